//! Sixteen rows on their way through the kernels: what is known of each, one lane a row.

use crate::numbers::ends::Ends;
use crate::numbers::factor::{Factors, TOO_LARGE};
use crate::simd::LANES;

/// The label of a row that has none.
pub(crate) const NO_LABEL: usize = usize::MAX;

/// Up to sixteen rows. Lanes without a row of their own repeat the first, so that what is computed for them is harmless.
#[derive(Clone)]
#[repr(align(64))]
pub(crate) struct Group {
    /// How many rows there are.
    pub(crate) len: usize,
    /// Which rows of the call they are.
    pub(crate) rows: [usize; LANES],
    /// Their classes, or [`NO_LABEL`].
    pub(crate) labels: [usize; LANES],
    /// The largest logit of each, where it was looked for.
    pub(crate) max: [f32; LANES],
    pub(crate) ends: Ends,
    /// What losses are multiplied by: 0 in lanes without a row.
    pub(crate) weight: [f64; LANES],
    /// What results are multiplied by.
    pub(crate) scale: [f64; LANES],
    /// `1 / |scale|`.
    pub(crate) inverse_scale: [f64; LANES],
    /// `ln(sum / term)` of the labels.
    pub(crate) loss: [f64; LANES],
    /// The losses, weighted and rounded.
    pub(crate) results: [f32; LANES],
    /// `ln sum`, relative to the pivots.
    pub(crate) log: [f64; LANES],
    pub(crate) factors: Factors,
    /// What is taken off results, or what labels are multiplied by that are.
    pub(crate) subtract: [f32; LANES],
    /// The results at the labels.
    pub(crate) at_label: [f32; LANES],
    /// Whether no term is so small that its result might be subnormal, whatever its row: `numbers/exp.rs`.
    pub(crate) shallow: bool,
    /// Rows whose results are not what the formula makes of terms.
    pub(crate) special: [Special; LANES],
}

impl Group {
    pub(crate) const EMPTY: Self = Self {
        len: 0,
        rows: [0; LANES],
        labels: [NO_LABEL; LANES],
        max: [0.0; LANES],
        ends: Ends::EMPTY,
        weight: [0.0; LANES],
        scale: [1.0; LANES],
        inverse_scale: [1.0; LANES],
        loss: [0.0; LANES],
        results: [0.0; LANES],
        log: [0.0; LANES],
        factors: Factors::ZERO,
        subtract: [0.0; LANES],
        at_label: [0.0; LANES],
        shallow: false,
        special: [Special::No; LANES],
    };

    /// Keeps the first rows alone.
    pub(crate) fn shorten(&mut self, len: usize) {
        self.len = len;
        let (row, label) = (self.rows[0], self.labels[0]);
        self.rows[len..].fill(row);
        self.labels[len..].fill(label);
    }

    /// Whether a row has no logit but -inf, or lanes without a row repeat one that has not.
    #[expect(clippy::needless_bitwise_bool, reason = "without an early exit it is a vector loop")]
    pub(crate) fn has_empty_rows(&self) -> bool {
        self.max.iter().fold(false, |any, max| any | (*max == f32::NEG_INFINITY))
    }

    /// Whether the results of any row are not what the formula makes of terms.
    #[expect(clippy::needless_bitwise_bool, reason = "without an early exit it is a vector loop")]
    pub(crate) fn is_special(&self) -> bool {
        self.special.iter().fold(false, |any, special| any | (*special != Special::No))
    }

    /// Whether nothing that results are multiplied by is too large or no number.
    pub(crate) fn scales_are_ordinary(&self) -> bool {
        self.scale.iter().fold(true, |all, scale| all & (scale.abs() <= TOO_LARGE))
    }
}

/// Why a row's results are not what the formula makes of terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Special {
    #[default]
    No,
    /// There is a NaN, or an infinity, or no logit at all.
    NotANumber,
    /// There is no logit at all, and results are to be 0.
    Zero,
    /// What results are multiplied by is too large.
    Large,
}

/// A sum of losses that does not depend on their order: two f64 for each lane.
#[derive(Clone, Copy)]
pub(crate) struct LossSum {
    pub(crate) high: [f64; LANES],
    pub(crate) low: [f64; LANES],
}
