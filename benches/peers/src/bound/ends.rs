//! The ends of sixteen rows at once, in f64: losses, factors, and gradients at the label.

use super::lanes::{Factor, Lanes};
use super::numbers::{Exp, Reference};

/// Losses.
pub const LOSS: u8 = 0;
/// Losses and their gradient.
pub const GRADIENT: u8 = 1;
/// Probabilities.
pub const SOFTMAX: u8 = 2;

/// `(2 artanh(s) / s - 2) / s^2` in powers of `s^2`, where `|s| <= 1/5`.
const ARTANH: [f64; 4] =
    [0.666_666_662_444_976_8, 0.400_003_307_551_012, 0.285_311_313_455_293_8, 0.237_793_492_285_550_65];

/// What becomes of sixteen rows on their way: a value for each in every field.
#[repr(align(64))]
#[derive(Clone, Copy)]
pub struct Group {
    pub exponent: [f32; 16],
    pub pivot: [f32; 16],
    /// What the sum started with.
    pub bias: [f32; 16],
    pub sum: [[f32; 16]; 2],
    pub at_label: [f32; 16],
    pub factor: [[f32; 16]; 2],
    pub gradient: [f32; 16],
    /// Whether all pivots are 0.
    pub moderate: bool,
}

impl Group {
    /// Chooses the references of the rows from their largest logits: that of the label is apart, since its term
    /// is no part of the sum.
    #[inline(always)]
    pub unsafe fn refer<L: Lanes, const OP: u8>(&mut self, others: L::F, classes: usize) {
        let max = if OP == SOFTMAX { others } else { L::max(others, L::load(self.at_label.as_ptr())) };
        let (reference, moderate) = Reference::<L>::of_largest(max);
        // Above the sum of so many terms.
        let extra = (1.42 * classes as f32).log2().ceil();
        self.moderate = moderate;
        L::store(self.exponent.as_mut_ptr(), reference.exponent);
        L::store(self.pivot.as_mut_ptr(), reference.pivot);
        L::store(self.bias.as_mut_ptr(), reference.power_above(others, extra));
    }

    #[inline(always)]
    pub unsafe fn reference<L: Lanes>(&self) -> Reference<L> {
        Reference::new(L::load(self.pivot.as_ptr()), L::load(self.exponent.as_ptr()))
    }

    /// The reference of one row, in all lanes.
    #[inline(always)]
    pub unsafe fn reference_of<L: Lanes>(&self, row: usize) -> Reference<L> {
        Reference::new(L::splat(self.pivot[row]), L::splat(self.exponent[row]))
    }

    #[inline(always)]
    pub unsafe fn factor<L: Lanes>(&self) -> Factor<L> {
        Factor::new(L::load(self.factor[0].as_ptr()), L::load(self.factor[1].as_ptr()))
    }

    /// The factor of one row, in all lanes.
    #[inline(always)]
    pub unsafe fn factor_of<L: Lanes>(&self, row: usize) -> Factor<L> {
        Factor::new(L::splat(self.factor[0][row]), L::splat(self.factor[1][row]))
    }

    /// From sums to results. With `R` the sum of all terms but that of the label, `T`: the sum is `S = R + T`, the
    /// loss `ln(S / T)`, and the gradient at the label `-R / S`. Nothing cancels.
    #[inline(always)]
    pub unsafe fn finish<L: Lanes, const OP: u8>(&mut self, losses: *mut f32, rows: usize) {
        let high = L::sub(L::load(self.sum[0].as_ptr()), L::load(self.bias.as_ptr()));
        let rest = L::add_f64(L::widen(high), L::widen(L::load(self.sum[1].as_ptr())));
        let mut sum = rest;
        if OP != SOFTMAX {
            let by = self.reference::<L>();
            let distance = L::sub(L::load(self.at_label.as_ptr()), by.pivot);
            let clamped = L::max(by.floor, distance);
            let term = Exp::<L>::new().term_f64(clamped, &by);
            sum = L::add_f64(rest, term);
            let mut loss = ln_quotient::<L>(rest, term, sum);
            if !L::all(L::not_less(distance, by.floor)) {
                loss = L::add_f64(loss, L::sub_f64(L::widen(clamped), L::widen(distance)));
            }
            if rows == 16 {
                L::store(losses, L::narrow(loss));
            } else {
                L::store_part(losses, rows, L::narrow(loss));
            }
        }
        if OP != LOSS {
            let up = Factor::<L>::UP;
            // 2^124 / S = h (1 + e), by a division in f32 and what it leaves.
            let h = L::div(L::splat(up as f32), L::narrow(sum));
            let wide = L::widen(h);
            let down = L::splat_f64(-1.0 / up);
            let e = L::mul_add_f64(L::mul_f64(wide, down), sum, L::splat_f64(1.0));
            L::store(self.factor[0].as_mut_ptr(), h);
            L::store(self.factor[1].as_mut_ptr(), L::mul(h, L::narrow(e)));
            if OP == GRADIENT {
                let gradient = L::mul_f64(L::mul_f64(rest, down), L::mul_add_f64(wide, e, wide));
                L::store(self.gradient.as_mut_ptr(), L::narrow(gradient));
            }
        }
    }
}

/// `ln(sum / term)`, where `sum = rest + term`: with a power of two that takes the quotient to between 2/3 and 3/2, as
/// `k ln 2 + 2 artanh((sum - 2^k term) / (sum + 2^k term))`.
#[inline(always)]
unsafe fn ln_quotient<L: Lanes>(rest: L::D, term: L::D, sum: L::D) -> L::D {
    let splat = L::splat_f64;
    let half = splat(f64::from_bits(1 << 51));
    let exponents = splat(f64::from_bits(0xfff << 52));
    // The difference of the exponents, rounded, where f64 has its exponent.
    let k = L::and(L::add_i64(L::sub_i64(sum, term), half), exponents);
    let scaled = L::add_i64(term, k);
    let s = L::div_f64(L::sub_f64(rest, L::sub_f64(scaled, term)), L::add_f64(sum, scaled));
    // The integer k, by the bits of 2^52.
    let shift = splat(4_503_599_627_370_496.0);
    let k = L::sub_f64(L::or(L::exponent_bits(k), shift), shift);
    let z = L::mul_f64(s, s);
    let p = L::mul_add_f64(splat(ARTANH[3]), z, splat(ARTANH[2]));
    let p = L::mul_add_f64(p, z, splat(ARTANH[1]));
    let p = L::mul_add_f64(p, z, splat(ARTANH[0]));
    let log = L::mul_add_f64(L::mul_f64(s, z), p, L::add_f64(s, s));
    L::mul_add_f64(k, splat(core::f64::consts::LN_2), log)
}
