//! What makes results of terms, or of logits, in lanes: of one row, or of a tile's.
//!
//! Formula: `y = t f` for a term `t`, with `f = high + low` (`numbers/factor.rs`); or `(x - pivot) - log` of logits.

use super::group::Group;
use crate::numbers::factor::{Factors, Plain};
use crate::simd::{Lanes, Simd};

/// What makes `f t` of terms.
pub(super) trait OfTerms<S: Simd>: Copy {
    fn apply(self, term: S::Lanes) -> S::Lanes;

    /// [`apply`](Self::apply) as a function.
    #[inline(always)]
    fn of_terms(self) -> impl Fn(S::Lanes) -> S::Lanes + Copy {
        #[inline(always)]
        move |term| self.apply(term)
    }
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

impl<S: Simd> OfTerms<S> for RowFactors<S> {
    #[inline(always)]
    fn apply(self, term: S::Lanes) -> S::Lanes {
        RowFactors::apply(&self, term)
    }
}

/// As [`RowFactors`], of rows without a term whose result might be subnormal: there is nothing to compare, nor to put right.
#[derive(Clone, Copy)]
pub(super) struct PlainFactors<S: Simd> {
    high: S::Lanes,
    low: S::Lanes,
}

impl<S: Simd> PlainFactors<S> {
    #[inline(always)]
    pub(super) fn of(simd: S, group: &Group, row: usize) -> Option<Self> {
        if S::SMALL || !group.shallow {
            return None;
        }
        let Plain { high, low } = group.factors.plain(row)?;
        Some(Self { high: simd.splat(high), low: simd.splat(low) })
    }
}

impl<S: Simd> OfTerms<S> for PlainFactors<S> {
    #[inline(always)]
    fn apply(self, term: S::Lanes) -> S::Lanes {
        term.mul_add(self.high, term * self.low)
    }
}

/// What logarithms are taken off, of a row or of a tile's rows, in lanes.
#[derive(Clone, Copy)]
pub(super) struct LogFactors<S: Simd> {
    pivot: S::Lanes,
    high: S::Lanes,
    low: S::Lanes,
}

impl<S: Simd> LogFactors<S> {
    /// Those of a part of a tile's rows.
    #[inline(always)]
    pub(super) fn lanes(simd: S, group: &Group, part: usize) -> Self {
        Self {
            pivot: simd.load(&group.ends.pivot, part),
            high: simd.load(&group.factors.high, part),
            low: simd.load(&group.factors.low, part),
        }
    }

    #[inline(always)]
    pub(super) fn splat(simd: S, group: &Group, row: usize) -> Self {
        Self {
            pivot: simd.splat(group.ends.pivot[row]),
            high: simd.splat(group.factors.high[row]),
            low: simd.splat(group.factors.low[row]),
        }
    }

    /// [`apply`](Self::apply) as a function.
    #[inline(always)]
    pub(super) fn of_logits(self) -> impl Fn(S::Lanes) -> S::Lanes + Copy {
        #[inline(always)]
        move |x| self.apply(x)
    }

    #[inline(always)]
    pub(super) fn apply(&self, x: S::Lanes) -> S::Lanes {
        x - self.pivot - self.high - self.low
    }
}
