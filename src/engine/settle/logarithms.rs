//! Logarithms of sums, and what is next to 0 of them.

use super::{NEAR_ZERO, reference};
use crate::engine::rows::{Groups, Lines};
use crate::kernels::finish::Finish;
use crate::kernels::group::{Group, LossSum, NO_LABEL};
use crate::kernels::maximum::LargestOfRows;
use crate::numbers::factor::{narrow, narrow_normal};
use crate::simd::LANES;
use crate::simd::half::Line;

/// From so many classes on log-probabilities are made of whole sums: rows come from afar then, and to look for the largest
/// logit first would cost more than to sum again the few rows that one class leads.
const MANY: usize = 1024;

/// Whether the largest logits are left out of sums, as labels are: their losses are what is next to 0.
pub(in crate::engine) fn leaves_out_largest(classes: usize) -> bool {
    classes < MANY
}

/// Takes the classes of the largest logits for labels.
pub(in crate::engine) fn label_largest(groups: &Groups, group: &mut Group, logits: &[&[f32]; LANES]) {
    let (rows, to) = (&logits[..group.len], &mut group.labels[..group.len]);
    groups.token.run(LargestOfRows { rows, to });
}

/// Log-probabilities: the logarithms of sums, and, next to 0, the loss of the largest logit.
pub(super) fn logarithms(groups: &mut Groups, group: &mut Group, lines: &Lines<'_>) {
    let (left_out, mut unused) = (leaves_out_largest(groups.classes), LossSum::EMPTY);
    groups.token.run(Finish {
        groups: core::slice::from_mut(group),
        labels: left_out,
        losses: left_out.then_some(&mut unused),
        logs: !left_out,
        factors: false,
    });
    if !left_out {
        label_largest(groups, group, &lines.logits);
    }
    for i in 0..group.len {
        let pivot = f64::from(group.ends.pivot[i]);
        let (log, loss) = if left_out {
            ((f64::from(group.ends.logit[i]) - pivot) + group.loss[i], group.loss[i])
        } else {
            let log = group.log[i];
            let below = pivot + log - f64::from(lines.logits[i][group.labels[i]]);
            let near = below < NEAR_ZERO;
            (log, if near { groups.of_largest(lines.logits[i], reference(group, i)).1 } else { below })
        };
        group.factors.high[i] = narrow(log);
        group.factors.low[i] = narrow(log - f64::from(group.factors.high[i]));
        group.subtract[i] = narrow(group.scale[i]);
        if loss < NEAR_ZERO {
            group.at_label[i] = 0.0 - narrow_normal(loss * group.scale[i]);
        } else {
            group.labels[i] = NO_LABEL;
        }
    }
}

/// The log-sum-exp of a row, of which the whole sum is known.
///
/// Identity: `m + ln(1 + R / e^m)`: next to 0 the sum itself, next to 1, would have no digits left.
pub(super) fn log_sum_exp(groups: &mut Groups, group: &Group, i: usize, logits: Line<'_>) -> f32 {
    if let (1, Some(logit)) = (logits.len(), logits.get(0)) {
        return logit;
    }
    if !group.ends.sum[i].is_finite() {
        return if logits.first_nan().is_some() { f32::NAN } else { f32::INFINITY };
    }
    if group.max[i] == f32::NEG_INFINITY {
        return f32::NEG_INFINITY;
    }
    let value = f64::from(group.ends.pivot[i]) + group.log[i];
    if value.abs() >= NEAR_ZERO {
        return narrow(value);
    }
    let mut own = core::mem::take(&mut groups.line);
    let logits = groups.floats(logits, &mut own);
    let (class, loss, _) = groups.of_largest(logits, reference(group, i));
    let value = narrow(f64::from(logits[class]) + loss);
    groups.line = own;
    value
}
