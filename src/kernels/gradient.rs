//! Gradients through softmax and log-softmax, from what these gave and the upstream gradient.
//!
//! Formulas: `y_i (g_i - sum_j y_j g_j)` through softmax, `g_i - e^(z_i) sum_j g_j` through log-softmax.
//!
//! Identity: products of f32 are exact in f64, so that a sum of them is as good as its additions, and a difference of f32
//! from a sum as two f32, `(g - high) - low`, is as good as its result.
//!
//! Trick: either side of a difference can be larger than every f32 where the difference itself is not. Where that may be
//! so, both sides are made smaller by a power of two first, and the result larger by the same: this changes no bit of
//! others but of subnormal numbers, which only such rows could lose.

use super::Kernel;
use super::group::Group;
use super::group_rows::{GroupRows, GroupRowsMut};
use crate::numbers::exp::{Exp, LaneReference, NEGLIGIBLE, Reference, TERM_OF_ONE};
use crate::numbers::factor::narrow;
use crate::numbers::math::{INTEGER, exp, power_of_two};
use crate::simd::{LANES, Lanes, Simd, Wide};

/// The operation that a gradient goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Through {
    Softmax,
    LogSoftmax,
}

/// Writes the gradients of a group of rows.
pub(crate) struct Gradient<'a> {
    pub(crate) through: Through,
    pub(crate) group: &'a Group,
    pub(crate) classes: usize,
    /// What the operation gave.
    pub(crate) output: GroupRows<'a>,
    /// The upstream gradient; `None` where it is what is written over.
    pub(crate) upstream: Option<GroupRows<'a>>,
    pub(crate) results: GroupRowsMut<'a>,
}

impl Kernel for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Self { through, group, classes, output, upstream, mut results } = self;
        for i in 0..group.len {
            let output = output.row(group, i, classes);
            let upstream = upstream.as_ref().map(
                #[inline(always)]
                |upstream| upstream.row(group, i, classes),
            );
            let to = results.row_mut(group, i, classes);
            match through {
                Through::Softmax => through_softmax(simd, output, upstream, to),
                Through::LogSoftmax => through_log_softmax(simd, output, upstream, to),
            }
        }
    }
}

/// Room for a difference whose sides may be too large: `(g down - sum down) up`.
#[derive(Clone, Copy)]
struct Room {
    down: f32,
    up: f32,
}

/// Less than half of the last bit of the largest f32: a sum below it beside any f32 does not become infinite.
const ROUNDS_AWAY: f64 = 1.267_650_600_228_229_4e30;

/// Below it, products with a probability are finite.
const OVERFLOWS: f64 = 1.701_411_834_604_692_3e38;

impl Room {
    /// For a difference from `sum`; none is needed below the threshold, where small numbers keep all their bits.
    #[inline(always)]
    fn beside(sum: f64, threshold: f64) -> Self {
        if sum.abs() < threshold { Self { down: 1.0, up: 1.0 } } else { Self { down: 0.25, up: 4.0 } }
    }
}

/// `y_i (g_i - sum_j y_j g_j)`. A class of probability 0 has gradient 0, whatever its upstream gradient is.
#[inline(always)]
fn through_softmax<S: Simd>(simd: S, y: &[f32], upstream: Option<&[f32]>, to: &mut [f32]) {
    let mut dot = Sums::new(simd);
    for_pairs(
        simd,
        (y, 0.0),
        upstream.unwrap_or(to),
        #[inline(always)]
        |y, g| {
            for part in simd.wide_parts() {
                dot.add(part, simd.widen(y, part) * simd.widen(g, part));
            }
        },
    );
    let dot = dot.total();
    // Only there may be a class of probability 0 whose upstream gradient is not a number, or infinite.
    let dot = if dot.is_nan() { dot_of_positive(y, upstream.unwrap_or(to)) } else { dot };
    let Room { down, up } = Room::beside(dot, ROUNDS_AWAY);
    let (high, low) = split(dot * f64::from(down));
    let (high, low) = (simd.splat(high), simd.splat(low));
    let (down, up) = (simd.splat(down), simd.splat(up));
    for_steps(
        simd,
        y,
        upstream,
        to,
        #[inline(always)]
        |y, g| {
            // A class of probability 0 takes no part, as in the sum.
            let difference = (g.zero_where_zero(y) * down - high) - low;
            ((difference * y) * up).zero_where_zero(y)
        },
    );
}

/// `sum_j y_j g_j` without classes of probability 0.
fn dot_of_positive(y: &[f32], g: &[f32]) -> f64 {
    let pairs = y.iter().zip(g).filter(|(y, _)| **y != 0.0);
    pairs.fold(0.0, |sum, (y, g)| sum + f64::from(*y) * f64::from(*g))
}

/// `g_i - e^(z_i) sum_j g_j`.
#[inline(always)]
fn through_log_softmax<S: Simd>(simd: S, z: &[f32], upstream: Option<&[f32]>, to: &mut [f32]) {
    let mut sum = Sums::new(simd);
    // As many of these are used as sixteen lanes have parts.
    let mut largest = [simd.splat(f32::NEG_INFINITY); LANES];
    for_pairs(
        simd,
        (z, f32::NEG_INFINITY),
        upstream.unwrap_or(to),
        #[inline(always)]
        |z, g| {
            for (part, largest) in largest.iter_mut().enumerate().take(S::PARTS) {
                *largest = simd.load(z, part).max(*largest);
            }
            for part in simd.wide_parts() {
                sum.add(part, simd.widen(g, part));
            }
        },
    );
    let sum = sum.total();
    let mut max = [f32::NEG_INFINITY; LANES];
    for (part, largest) in largest.iter().enumerate().take(S::PARTS) {
        largest.store(&mut max, part);
    }
    let max = max.iter().fold(f32::NEG_INFINITY, |max, &x| if x > max { x } else { max });
    let reference = Reference::for_max(max);
    let lanes = LaneReference::splat(simd, reference);
    let exp = Exp::new(simd);
    let unit = unit_of(reference);
    let factor = Factor::new(simd, -sum * unit);
    let Room { down, up } = Room::beside(sum, OVERFLOWS);
    let (down, up) = (simd.splat(down), simd.splat(up));
    let unscale = factor.unscale * down;
    for_steps(
        simd,
        z,
        upstream,
        to,
        #[inline(always)]
        |z, g| {
            let ([term], _) = exp.terms::<1, true>([z], &[lanes]);
            let product = factor.scaled(term);
            if S::FUSED {
                // Rounded once, only a result can be too large.
                product.mul_add(factor.unscale, g)
            } else {
                product.mul_add(unscale, g * down) * up
            }
        },
    );
}

/// Multiplies terms by an f64 factor, as [`Factors`](crate::numbers::factor::Factors) do for sixteen rows, but for any
/// factor: the exponent is put right by a multiplication, which can also overflow.
#[derive(Clone, Copy)]
struct Factor<S: Simd> {
    limit: S::Lanes,
    high: S::Lanes,
    low: S::Lanes,
    unscale: S::Lanes,
}

impl<S: Simd> Factor<S> {
    #[inline(always)]
    fn new(simd: S, factor: f64) -> Self {
        /// Binary exponent of the largest product before it is put right, less that of the largest term.
        const UP: f64 = 31.0;
        let exponent =
            f64::from_bits(INTEGER.to_bits() | (factor.to_bits() >> 52 & 0x7ff)) - (INTEGER + 1023.0);
        // So that the inverse is a normal f32, too.
        let shift = (UP - exponent).clamp(-126.0, 126.0);
        let (high, low) = split(factor * power_of_two(shift));
        // The smallest term with a normal product; a little above it, for the rounding of the product.
        let limit = narrow(f64::from(f32::MIN_POSITIVE) / factor.abs() * (1.0 + 2.4e-7));
        let limit = if limit > NEGLIGIBLE { limit } else { NEGLIGIBLE };
        Self {
            limit: simd.splat(limit),
            high: simd.splat(high),
            low: simd.splat(low),
            unscale: simd.splat(narrow(power_of_two(-shift))),
        }
    }

    /// The products, `1 / self.unscale` times too large.
    #[inline(always)]
    fn scaled(&self, term: S::Lanes) -> S::Lanes {
        let term = term.zero_below(term, self.limit);
        term.mul_add(self.high, term * self.low)
    }
}

/// What terms are in units of, as a number.
#[inline(always)]
fn unit_of(reference: Reference) -> f64 {
    exp(f64::from(reference.pivot)) * power_of_two(reference.exponent.into()) / TERM_OF_ONE
}

/// Sixteen sums in f64, one a lane.
struct Sums<S: Simd>([S::Wide; 4]);

impl<S: Simd> Sums<S> {
    #[inline(always)]
    fn new(simd: S) -> Self {
        const { assert!(S::WIDE_PARTS <= 4, "as many vectors as there are sums for") };
        Self([simd.splat_wide(0.0); 4])
    }

    #[inline(always)]
    fn add(&mut self, part: usize, values: S::Wide) {
        self.0[part] = self.0[part] + values;
    }

    /// All together, in an order that is the same for all backends.
    #[inline(always)]
    fn total(&self) -> f64 {
        let mut all = [0.0; LANES];
        for part in 0..S::WIDE_PARTS {
            self.0[part].store(&mut all, part);
        }
        sum_of(all)
    }
}

/// The sum of sixteen numbers, by halves: each sum is a new value, so that all stay in registers.
#[inline(always)]
pub(super) fn sum_of(all: [f64; LANES]) -> f64 {
    let (mut eight, mut four) = ([0.0; 8], [0.0; 4]);
    for i in 0..8 {
        eight[i] = all[i] + all[i + 8];
    }
    for i in 0..4 {
        four[i] = eight[i] + eight[i + 4];
    }
    (four[0] + four[2]) + (four[1] + four[3])
}

/// Up to sixteen values, and others behind them.
#[inline(always)]
fn filled<S: Simd>(simd: S, values: &[f32], with: f32) -> [f32; LANES] {
    let mut all = [0.0; LANES];
    for part in simd.parts() {
        simd.load_tail(values, part, with).store(&mut all, part);
    }
    all
}

/// Calls `f` with sixteen values of each of two rows at a time; beyond their ends the first is what is given with it, and
/// the second 0.
#[inline(always)]
fn for_pairs<S: Simd>(
    simd: S,
    (a, beyond): (&[f32], f32),
    b: &[f32],
    mut f: impl FnMut(&[f32; LANES], &[f32; LANES]),
) {
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks(), b.as_chunks());
    for (a, b) in a.iter().zip(b) {
        f(a, b);
    }
    if !a_tail.is_empty() {
        f(&filled(simd, a_tail, beyond), &filled(simd, b_tail, 0.0));
    }
}

/// Writes what `f` makes of the values of a row and of the upstream gradient, which may be where results go.
#[inline(always)]
fn for_steps<S: Simd>(
    simd: S,
    row: &[f32],
    upstream: Option<&[f32]>,
    to: &mut [f32],
    mut f: impl FnMut(S::Lanes, S::Lanes) -> S::Lanes,
) {
    let (row, row_tail) = row.as_chunks();
    let (upstream, upstream_tail) = upstream.map(<[f32]>::as_chunks).unzip();
    let (to, tail) = to.as_chunks_mut();
    if let Some(upstream) = upstream {
        for ((row, upstream), to) in row.iter().zip(upstream).zip(to) {
            for part in simd.parts() {
                f(simd.load(row, part), simd.load(upstream, part)).store(to, part);
            }
        }
    } else {
        for (row, to) in row.iter().zip(to) {
            for part in simd.parts() {
                f(simd.load(row, part), simd.load(to, part)).store(to, part);
            }
        }
    }
    if tail.is_empty() {
        return;
    }
    for part in simd.parts() {
        let g = simd.load_tail(upstream_tail.unwrap_or(tail), part, 0.0);
        f(simd.load_tail(row_tail, part, 0.0), g).store_tail(tail, part);
    }
}

/// Two f32 whose sum is the value to 48 bits.
#[inline(always)]
fn split(value: f64) -> (f32, f32) {
    let high = narrow(value);
    let low = if high.is_finite() { narrow(value - f64::from(high)) } else { 0.0 };
    (high, low)
}
