//! Losses of rows that need no exponentials: hinge, and the likelihood of probabilities that are given.
//!
//! All arithmetic is in f64, sixteen classes at a time; losses stay f64, gradients are rounded once.

use super::Kernel;
use super::gradient::sum_of;
use super::group::Group;
use super::group_rows::{GroupRows, GroupRowsMut, row_if_any, row_mut_if_any};
use super::likelihood::Likelihood;
use crate::numbers::factor::narrow;
use crate::numbers::log_sum_exp::weighed;
use crate::simd::{LANES, Simd};

/// The loss of a row.
#[derive(Clone, Copy)]
pub(crate) enum RowFormula {
    Hinge(Hinge),
    Likelihood(Likelihood),
}

/// Gives the losses of a group of rows, and writes their gradients.
pub(crate) struct RowLosses<'a> {
    pub(crate) formula: RowFormula,
    /// With labels, unless there are dense ones, weights, and what gradients are multiplied by beside these.
    pub(crate) group: &'a Group,
    pub(crate) classes: usize,
    pub(crate) inputs: GroupRows<'a>,
    /// Labels that are distributions.
    pub(crate) dense: Option<GroupRows<'a>>,
    pub(crate) class_weights: Option<&'a [f32]>,
    pub(crate) gradient: Option<GroupRowsMut<'a>>,
    pub(crate) losses: &'a mut [f64; LANES],
}

/// One row, without its gradient.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) inputs: &'a [f32],
    pub(super) label: usize,
    pub(super) dense: Option<&'a [f32]>,
    pub(super) class_weights: Option<&'a [f32]>,
    /// What the loss of the row is multiplied by.
    pub(super) weight: f64,
    /// What its gradient is multiplied by.
    pub(super) scale: f64,
}

impl Kernel for RowLosses<'_> {
    type Output = ();
    const VECTORS: bool = false;

    #[inline(always)]
    fn eval<S: Simd>(self, _simd: S) {
        let Self { formula, group, classes, inputs, dense, class_weights, mut gradient, losses } = self;
        for (i, loss) in losses.iter_mut().enumerate().take(group.len) {
            let row = Row {
                inputs: inputs.row(group, i, classes),
                label: group.labels[i],
                dense: row_if_any(dense.as_ref(), group, i, classes),
                class_weights,
                weight: group.weight[i],
                scale: group.scale[i],
            };
            let gradient = row_mut_if_any(gradient.as_mut(), group, i, classes);
            *loss = match formula {
                RowFormula::Hinge(hinge) => hinge.row(row, gradient),
                RowFormula::Likelihood(likelihood) => likelihood.row(row, gradient),
            };
        }
    }
}

impl Row<'_> {
    #[inline(always)]
    pub(super) fn class_weight(&self, class: usize) -> f64 {
        match self.class_weights {
            Some(weights) => weights[class].into(),
            None => 1.0,
        }
    }
}

/// `sum over j != y of max(0, d - x_y + x_j)^p` for a margin `d`, and its gradient `p max(0, d - x_y + x_j)^(p-1)`, at the
/// label minus the sum of the others.
#[derive(Clone, Copy)]
pub(crate) struct Hinge {
    pub(crate) margin: f64,
    /// Whether the power is 2, not 1.
    pub(crate) squared: bool,
    /// What every loss is multiplied by.
    pub(crate) share: f64,
}

impl Hinge {
    #[inline(always)]
    fn row(self, row: Row<'_>, mut gradient: Option<&mut [f32]>) -> f64 {
        let Row { inputs: logits, label, .. } = row;
        let factor = self.share * row.class_weight(label);
        let (weight, scale) = (row.weight * factor, row.scale * factor);
        let distance = self.margin - f64::from(logits[label]);
        let (mut sums, mut slopes) = ([0.0; LANES], [0.0; LANES]);
        for start in (0..logits.len()).step_by(LANES) {
            // What is not there, and the label, is far from every margin.
            let mut x = [f64::NEG_INFINITY; LANES];
            for (to, logit) in x.iter_mut().zip(&logits[start..]) {
                *to = f64::from(*logit);
            }
            if let Some(x) = x.get_mut(label.wrapping_sub(start)) {
                *x = f64::NEG_INFINITY;
            }
            let mut values = [0.0; LANES];
            for i in 0..LANES {
                // A class of -inf takes no part, whatever the label's logit. NaN does.
                let over = if x[i] == f64::NEG_INFINITY { 0.0 } else { distance + x[i] };
                let over = if over < 0.0 { 0.0 } else { over };
                let step = if over > 0.0 { 1.0 } else { over };
                sums[i] += if self.squared { over * over } else { over };
                let slope = if self.squared { 2.0 * over } else { step };
                slopes[i] += slope;
                values[i] = narrow(weighed(scale, slope));
            }
            if let Some(to) = &mut gradient {
                let to = &mut to[start..];
                let len = to.len().min(LANES);
                to[..len].copy_from_slice(&values[..len]);
            }
        }
        if let Some(to) = gradient {
            to[label] = narrow(0.0 - weighed(scale, sum_of(slopes)));
        }
        weighed(weight, if distance.is_nan() { distance } else { sum_of(sums) })
    }
}
