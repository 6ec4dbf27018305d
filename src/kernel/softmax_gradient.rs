//! Gradients through softmax and log-softmax, from their outputs and the upstream gradient.

use core::marker::PhantomData;

use super::block::{BLOCK, block_max};
use super::exp::{Exp, Reference};
use super::lines::Lines;
use super::operation::for_groups;
use super::place::Place;
use super::share::{Factor, map_with, split};
use super::{Job, Join, Scratch};
use crate::simd::{LANES, Lanes, Simd, Wide};

/// The gradient through an operation. The place holds the upstream gradient `g`.
pub(crate) struct Through<'a, F, P> {
    formula: PhantomData<F>,
    /// The output of the forward pass.
    output: Lines<'a>,
    place: P,
}

/// What the gradient of a row is.
pub(crate) trait OutputFormula: Send {
    /// Writes that of a row with this output.
    fn row<S: Simd, P: Place<Element = f32>>(simd: S, output: &[f32], place: &mut P, row: usize);
}

/// Softmax: `y_i (g_i - sum_j y_j g_j)`.
///
/// A class of probability 0 has gradient 0, whatever its upstream gradient is.
pub(crate) enum Softmax {}

/// Log-softmax: `g_i - e^(z_i) sum_j g_j`.
pub(crate) enum LogSoftmax {}

/// Powers of two that make room for a difference before one of its sides can be larger than every f32, where the difference
/// itself may be none: `(g down - sum down) up`.
struct Room {
    down: f32,
    up: f32,
}

/// Less than half of the last bit of the largest f32: a sum this large beside any f32 does not become infinite.
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

impl OutputFormula for Softmax {
    #[inline(always)]
    fn row<S: Simd, P: Place<Element = f32>>(simd: S, y: &[f32], place: &mut P, row: usize) {
        // Products of f32 are exact in f64, so that the sum is as good as its terms.
        let dot = sum_pairs(
            simd,
            y,
            place.logits(row),
            #[inline(always)]
            |y, g| y.widen() * g.zero_where_zero(y).widen(),
        );
        let Room { down, up } = Room::beside(dot, ROUNDS_AWAY);
        let (high, low) = split(dot * f64::from(down));
        let (high, low) = (simd.splat(high), simd.splat(low));
        let (down, up) = (simd.splat(down), simd.splat(up));
        map_with(
            simd,
            y,
            place.flow(row),
            #[inline(always)]
            |y, g| {
                // A class of probability 0 takes no part, as in the sum.
                ((((g.zero_where_zero(y) * down - high) - low) * y) * up).zero_where_zero(y)
            },
        );
    }
}

impl OutputFormula for LogSoftmax {
    #[inline(always)]
    fn row<S: Simd, P: Place<Element = f32>>(simd: S, z: &[f32], place: &mut P, row: usize) {
        let sum = sum_pairs(
            simd,
            z,
            place.logits(row),
            #[inline(always)]
            |_, g| g.widen(),
        );
        let reference = z
            .chunks(BLOCK)
            .map(
                #[inline(always)]
                |block| block_max(simd, block),
            )
            .fold(f32::NEG_INFINITY, |max, block| if block > max { block } else { max });
        let reference = Reference::for_max(reference);
        let exp = Exp::new(simd, reference);
        let factor = Factor::new(simd, -sum * reference.to_f64());
        let Room { down, up } = Room::beside(sum, OVERFLOWS);
        let (down, up) = (simd.splat(down), simd.splat(up));
        let unscale = factor.unscale * down;
        map_with(
            simd,
            z,
            place.flow(row),
            #[inline(always)]
            |z, g| {
                let product = factor.scaled(exp.term(z));
                // Rounded once, only a result can be too large.
                if S::FUSED {
                    product.mul_add(factor.unscale, g)
                } else {
                    product.mul_add(unscale, g * down) * up
                }
            },
        );
    }
}

impl<'a, F, P> Through<'a, F, P> {
    pub(crate) fn new(output: Lines<'a>, place: P) -> Self {
        Self { formula: PhantomData, output, place }
    }
}

impl<F: OutputFormula, P: Place<Element = f32>> Job for Through<'_, F, P> {
    fn rows(&self) -> usize {
        self.place.rows()
    }

    fn classes(&self) -> usize {
        self.place.classes()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (output, rest) = self.output.split_at(row);
        let (place, other) = self.place.split_at(row);
        (Self::new(output, place), Self::new(rest, other))
    }

    fn seam(&self, near: usize) -> Option<usize> {
        self.place.seam(near).or_else(|| self.output.seam(near))
    }

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S, scratch: &mut Scratch, _: Option<Join>) {
        let Self { mut output, mut place, .. } = self;
        place.exchange(&mut scratch.loaded);
        output.exchange(&mut scratch.loaded.labels);
        for_groups(
            place.rows(),
            #[inline(always)]
            |first, group| {
                place.load(simd, first, group);
                output.load(simd, first, group);
                for row in group {
                    F::row(simd, output.row(row.index), &mut place, row.index);
                }
                place.finish(simd, group, false);
            },
        );
        output.exchange(&mut scratch.loaded.labels);
        place.exchange(&mut scratch.loaded);
    }
}

/// The sum of `f(a, b)` over a row, lane by lane in f64.
#[inline(always)]
fn sum_pairs<S: Simd>(simd: S, a: &[f32], b: &[f32], f: impl Fn(S::Lanes, S::Lanes) -> S::Wide) -> f64 {
    let (a_chunks, a_tail) = a.as_chunks::<LANES>();
    let (b_chunks, b_tail) = b.as_chunks::<LANES>();
    let mut sum = simd.wide_zero();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        sum = sum + f(simd.load(a), simd.load(b));
    }
    if !a_tail.is_empty() {
        sum = sum + f(simd.load_partial(a_tail, 0.0), simd.load_partial(b_tail, 0.0));
    }
    sum.reduce_add()
}
