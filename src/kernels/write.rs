//! From terms, or logits, to results.

use super::Kernel;
use super::group::{Group, NO_LABEL};
use super::rows::STEP;
use crate::numbers::factor::Factors;
use crate::simd::strided::StridedMut;
use crate::simd::{LANES, Lanes, Simd};

/// What results are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Formula {
    /// `f t`, of terms.
    Scaled,
    /// `(x - pivot) - log`, of logits.
    Logs,
}

/// The coefficients of a row, in lanes.
#[derive(Clone, Copy)]
pub(crate) struct RowFactors<S: Simd> {
    high: S::Lanes,
    low: S::Lanes,
    limit: S::Lanes,
    unscale: S::Lanes,
}

impl<S: Simd> RowFactors<S> {
    #[inline(always)]
    pub(crate) fn splat(simd: S, factors: &Factors, row: usize) -> Self {
        Self {
            high: simd.splat(factors.high[row]),
            low: simd.splat(factors.low[row]),
            limit: simd.splat(factors.limit[row]),
            unscale: simd.splat(factors.unscale[row]),
        }
    }

    #[inline(always)]
    pub(crate) fn lanes(simd: S, factors: &Factors, part: usize) -> Self {
        Self {
            high: simd.load(&factors.high, part),
            low: simd.load(&factors.low, part),
            limit: simd.load(&factors.limit, part),
            unscale: simd.load(&factors.unscale, part),
        }
    }

    /// `f t`: compare, two multiplications, an addition to the exponent.
    #[inline(always)]
    pub(crate) fn apply(&self, term: S::Lanes) -> S::Lanes {
        term.mul_add(self.high, term * self.low).add_bits_or_zero(self.unscale, term, self.limit)
    }
}

/// Writes the results of tiles.
pub(crate) struct WriteTiles<'a> {
    pub(crate) groups: &'a [Group],
    pub(crate) tiles: &'a mut [[f32; LANES]],
    pub(crate) results: &'a mut StridedMut<'a>,
}

impl Kernel for WriteTiles<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let classes = self.results.layout().classes;
        for (group, tile) in self.groups.iter().zip(self.tiles.chunks_exact_mut(classes)) {
            for part in 0..S::PARTS {
                let factors = RowFactors::lanes(simd, &group.factors, part);
                for class in &mut *tile {
                    factors.apply(simd.load(class, part)).store(class, part);
                }
            }
            simd.turn_out(tile, &mut self.results.tile_mut(&group.rows));
        }
        for group in self.groups {
            for i in 0..group.len {
                if group.labels[i] != NO_LABEL {
                    self.results.set(group.rows[i], group.labels[i], group.at_label[i]);
                }
            }
        }
    }
}

/// Writes results of rows.
pub(crate) struct WriteRows<'a> {
    pub(crate) group: &'a Group,
    pub(crate) from: &'a [f32],
    pub(crate) stride: usize,
    /// The first of the classes.
    pub(crate) class: usize,
    pub(crate) len: usize,
    pub(crate) results: &'a mut StridedMut<'a>,
    pub(crate) stream: bool,
}

impl Kernel for WriteRows<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Self { group, from, stride, class, len, results, stream } = self;
        for i in 0..group.len {
            let to = &mut results.row_mut(group.rows[i])[class..class + len];
            let factors = RowFactors::splat(simd, &group.factors, i);
            write(
                simd,
                &from[i * stride..],
                to,
                #[inline(always)]
                |term| factors.apply(term),
            );
            let label = group.labels[i].wrapping_sub(class);
            if let Some(to) = to.get_mut(label) {
                *to = group.at_label[i];
            }
        }
        if stream {
            simd.fence();
        }
    }
}

/// Writes what `f` makes of values.
#[inline(always)]
fn write<S: Simd>(simd: S, from: &[f32], to: &mut [f32], f: impl Fn(S::Lanes) -> S::Lanes) {
    let from = &from[..to.len()];
    let (steps, tail) = to.as_chunks_mut::<STEP>();
    let (from_steps, from_tail) = from.as_chunks::<STEP>();
    for (from, to) in from_steps.iter().zip(steps) {
        for (from, to) in from.as_chunks::<LANES>().0.iter().zip(to.as_chunks_mut::<LANES>().0) {
            for part in 0..S::PARTS {
                f(simd.load(from, part)).store(to, part);
            }
        }
    }
    for (from, to) in from_tail.chunks(LANES).zip(tail.chunks_mut(LANES)) {
        for part in 0..S::PARTS {
            f(simd.load_tail(from, part, 0.0)).store_tail(to, part);
        }
    }
}
