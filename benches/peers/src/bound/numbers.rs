//! The exponential, sums, and what terms are relative to.
//!
//! `e^x = 2^n e^r` is taken with `n` in eighths: `e^x = 2^(n/8) (1 + q(r))`, where `|r| <= ln 2 / 16`. A table of
//! eight in one register has `2^(j/8)`, so that a polynomial of degree 3 is enough; a second table has what
//! rounding took from the first. The sum of `8 x log2 e` and a large number holds `n` in its low bits: its low three
//! are the index, and shifted by 20 they are what must be added to the bits of the entry.

use core::f32::consts::LOG2_E;

use super::lanes::Lanes;

/// 1.5 * 2^23: what is added to it is rounded to an integer in the low bits.
const ROUNDER: f32 = 12_582_912.0;
/// Makes that integer positive, for terms from 2^-128 to 2^128: a logit out of range shows in the bits above.
const BIAS: f32 = 1024.0;
/// The integers of logits in range.
pub const IN_RANGE: u32 = 0x7ff;
/// The exponent of the unit of terms, relative to that of the largest one.
const HEADROOM: f32 = 64.0;
/// The least term is 2^-125, and a bit.
const LEAST: f32 = -125.0 + 0.25;

/// The bits of 2^(j/8), less what the shifted integer has there: its index, and the bias.
const TABLE: [u32; 16] = {
    let powers = [
        0x3f80_0000_u32,
        0x3f8b_95c2,
        0x3f98_37f0,
        0x3fa5_fed7,
        0x3fb5_04f3,
        0x3fc5_672a,
        0x3fd7_44fd,
        0x3fea_c0c7,
    ];
    let mut table = [0; 16];
    let mut j = 0;
    while j < 16 {
        let index = (j % 8) as u32;
        table[j] = powers[j % 8].wrapping_sub((index + 1024) << 20);
        j += 1;
    }
    table
};

/// What the rounding of 2^(j/8) took, relative to it, and the constant of the polynomial.
const LOST: [f32; 16] = {
    let eight = [
        -1.838_299_5e-8_f32,
        -3.037_515e-8,
        1.355_118_6e-8,
        -4.937_371_4e-8,
        -1.268_723_2e-9,
        -1.314_966e-8,
        -3.310_259_8e-8,
        -2.451_125_3e-8,
    ];
    let mut table = [0.0; 16];
    let mut j = 0;
    while j < 16 {
        table[j] = eight[j % 8];
        j += 1;
    }
    table
};

/// ln 2 / 8 in two parts, the first of 13 bits.
const LN_2_8: [f32; 2] = [0.086_639_404, 3.993_273e-6];
/// `e^r - 1 = r + c2 r^2 + c3 r^3`, to 1.9e-8.
const POLYNOMIAL: [f32; 2] = [0.500_078_26, 0.166_682_32];

/// What the terms of rows are relative to: `e^pivot 2^exponent`. One row in all lanes, or sixteen rows.
#[derive(Clone, Copy)]
pub struct Reference<L: Lanes> {
    pub pivot: L::F,
    pub exponent: L::F,
    /// Lower logits have the least term.
    pub floor: L::F,
    rounder: L::F,
}

impl<L: Lanes> Reference<L> {
    #[inline(always)]
    pub unsafe fn new(pivot: L::F, exponent: L::F) -> Self {
        let least = L::add(exponent, L::splat(LEAST));
        Self {
            pivot,
            exponent,
            floor: L::mul(least, L::splat(core::f32::consts::LN_2)),
            rounder: L::mul_add(exponent, L::splat(-8.0), L::splat(ROUNDER + BIAS)),
        }
    }

    /// The pivot is 0 where the largest logit is moderate; whether that is so in all lanes.
    #[inline(always)]
    pub unsafe fn of_largest(max: L::F) -> (Self, bool) {
        let zero = L::splat(0.0);
        let moderate = L::not_less(L::splat(264.0), L::max(L::sub(zero, max), max));
        let all = L::all(moderate);
        let rounder = L::splat(ROUNDER);
        let mut power = L::sub(L::mul_add(max, L::splat(LOG2_E), rounder), rounder);
        let mut pivot = zero;
        if !all {
            let finite = L::select(L::not_less(max, L::splat(f32::MIN)), max, zero);
            power = L::keep(moderate, power);
            pivot = L::select(moderate, zero, finite);
        }
        (Self::new(pivot, L::sub(power, L::splat(HEADROOM))), all)
    }

    /// For rows whose largest logit is in -43 .. 43.
    #[inline(always)]
    pub unsafe fn tame() -> Self {
        Self::new(L::splat(0.0), L::splat(-HEADROOM))
    }

    /// A power of two above `2^extra` times the term of `x`.
    #[inline(always)]
    pub unsafe fn power_above(&self, x: L::F, extra: f32) -> L::F {
        let x = L::max(self.floor, L::sub(x, self.pivot));
        let rounder = L::sub(L::splat(ROUNDER), self.exponent);
        let power = L::add(L::mul_add(x, L::splat(LOG2_E), rounder), L::splat(extra + 127.0));
        L::shift_left::<23>(power)
    }
}

/// The logarithm of what the terms of one row are relative to.
pub fn ln_reference(pivot: f32, exponent: f32) -> f64 {
    f64::from(pivot) + f64::from(exponent) * core::f64::consts::LN_2
}

/// Whether the shifted integers of a row, all in one by OR, were in range, and its sum is no more and no less than that
/// of a row with a largest logit in -43 .. 43.
pub fn is_tame(seen: u32, sum: f64) -> bool {
    seen & !IN_RANGE == ROUNDER.to_bits() && sum > 4.0 && sum < f64::from(f32::MAX)
}

/// The constants of the exponential, in registers.
pub struct Exp<L: Lanes> {
    pub one: L::F,
    pub zero: L::F,
    log2_e: L::F,
    ln_2: [L::F; 2],
    polynomial: [L::F; 2],
    table: L::F,
    lost: L::F,
}

/// An array of which each element is a value of its index.
macro_rules! each {
    ($fill:expr, |$u:ident| $value:expr) => {{
        let mut all = [$fill; N];
        for $u in 0..N {
            all[$u] = $value;
        }
        all
    }};
}

impl<L: Lanes> Exp<L> {
    #[inline(always)]
    pub unsafe fn new() -> Self {
        Self {
            one: L::splat(1.0),
            zero: L::splat(0.0),
            log2_e: L::splat(8.0 * LOG2_E),
            ln_2: [L::splat(-LN_2_8[0]), L::splat(-LN_2_8[1])],
            polynomial: [L::splat(POLYNOMIAL[0]), L::splat(POLYNOMIAL[1])],
            table: L::load(TABLE.as_ptr().cast()),
            lost: L::load(LOST.as_ptr()),
        }
    }

    /// The terms of `N` vectors.
    #[inline(always)]
    pub unsafe fn terms<const N: usize, const PIVOT: bool>(
        &self,
        x: [L::F; N],
        by: [&Reference<L>; N],
    ) -> [L::F; N] {
        self.terms_and_range::<N, PIVOT>(x, by, |_| ())
    }

    /// The terms of `N` vectors; the shifted integers are shown to `see`.
    #[inline(always)]
    pub unsafe fn terms_and_range<const N: usize, const PIVOT: bool>(
        &self,
        x: [L::F; N],
        by: [&Reference<L>; N],
        see: impl FnOnce([L::F; N]),
    ) -> [L::F; N] {
        let zero = self.zero;
        let x = if PIVOT { each!(zero, |u| L::sub(x[u], by[u].pivot)) } else { x };
        let x = each!(zero, |u| L::max(by[u].floor, x[u]));
        let shifted = L::in_step(each!(zero, |u| L::mul_add(x[u], self.log2_e, by[u].rounder)));
        see(shifted);
        let n = each!(zero, |u| L::sub(shifted[u], by[u].rounder));
        let r = L::in_step(each!(zero, |u| L::mul_add(n[u], self.ln_2[0], x[u])));
        let r = L::in_step(each!(zero, |u| L::mul_add(n[u], self.ln_2[1], r[u])));
        let q = L::in_step(each!(zero, |u| L::mul_add(self.polynomial[1], r[u], self.polynomial[0])));
        let q = L::in_step(each!(zero, |u| L::mul_add(q[u], r[u], self.one)));
        let lost = each!(zero, |u| L::look_up(self.lost, shifted[u]));
        let q = L::in_step(each!(zero, |u| L::mul_add(q[u], r[u], lost[u])));
        let power = each!(zero, |u| self.power(shifted[u]));
        L::in_step(each!(zero, |u| L::mul_add(power[u], q[u], power[u])))
    }

    /// 2^(n/8).
    #[inline(always)]
    unsafe fn power(&self, shifted: L::F) -> L::F {
        L::add_bits(L::look_up(self.table, shifted), L::shift_left::<20>(shifted))
    }

    /// One term without its last rounding. `x` is the distance from the pivot, and not below the floor.
    #[inline(always)]
    pub unsafe fn term_f64(&self, x: L::F, by: &Reference<L>) -> L::D {
        let shifted = L::mul_add(x, self.log2_e, by.rounder);
        let n = L::sub(shifted, by.rounder);
        let r = L::mul_add(n, self.ln_2[1], L::mul_add(n, self.ln_2[0], x));
        let q = L::mul_add(L::mul_add(self.polynomial[1], r, self.polynomial[0]), r, self.one);
        let q = L::mul_add(q, r, L::look_up(self.lost, shifted));
        let power = L::widen(self.power(shifted));
        L::mul_add_f64(power, L::widen(q), power)
    }
}

/// A sum in two parts. Its `high` part is never below what is added: then the error of each addition is exact, by
/// the two subtractions of Dekker's `Fast2Sum`.
#[derive(Clone, Copy)]
pub struct Sum<L: Lanes> {
    pub high: L::F,
    pub low: L::F,
}

impl<L: Lanes> Sum<L> {
    #[inline(always)]
    pub unsafe fn starting_with(high: L::F) -> Self {
        Self { high, low: L::splat(0.0) }
    }

    #[inline(always)]
    pub unsafe fn add(&mut self, term: L::F) {
        let high = L::add(self.high, term);
        self.low = L::add(self.low, L::sub(term, L::sub(high, self.high)));
        self.high = high;
    }
}

pub(super) use each;
