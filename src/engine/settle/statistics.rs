//! The statistics of a group's rows.

use super::{log_sum_exp, reference};
use crate::LogSumExp;
use crate::engine::call::Inputs;
use crate::engine::options::{Outputs, Sums, set};
use crate::engine::rows::{FEW, Groups, Lines};
use crate::kernels::group::{Group, NO_LABEL};
use crate::kernels::masses::Spread as Distances;
use crate::kernels::maximum::Argmax;
use crate::numbers::factor::{narrow, narrow_normal};
use crate::numbers::log_sum_exp::{Apart, z_loss};

/// Writes the statistics of a group that are wanted.
pub(super) fn statistics(
    groups: &mut Groups,
    inputs: &Inputs<'_>,
    outputs: &mut Outputs<'_>,
    group: &mut Group,
    lines: &Lines<'_>,
) {
    if outputs.write_only_losses() {
        return;
    }
    let wants_log = !(outputs.log_sum_exp.is_empty() && outputs.z_loss.is_empty());
    // Of few classes all at once, and the logarithms are those of the largest logits.
    let tops = groups.all_of_largest(group, lines);
    let of_largest = groups.classes <= FEW;
    for i in 0..group.len {
        let (row, logits) = (group.rows[i], lines.logits[i]);
        let loss = match (group.max[i] == f32::NEG_INFINITY, inputs.empty_is_zero) {
            (false, _) => group.loss[i],
            (true, false) => f64::NAN,
            (true, true) => 0.0,
        };
        set(outputs.log_probability, row, 0.0 - narrow_normal(loss));
        if wants_log {
            let (class, of_max, _) =
                if of_largest { top(groups, tops.as_ref(), group, i, logits) } else { (0, f64::NAN, 0.0) };
            let (value, exact) = if of_max.is_finite() && group.max[i] > f32::NEG_INFINITY {
                let exact = f64::from(logits[class]) + of_max;
                (narrow(exact), exact)
            } else {
                // Of all classes, as the operation has it.
                let mut whole = groups.whole(logits, reference(group, i));
                whole.max[0] = group.max[i];
                let own = Lines { logits: &[logits], ..Lines::EMPTY };
                let value = log_sum_exp(groups, inputs, &whole, 0, &own);
                let exact = f64::from(whole.ends.pivot[0]) + whole.log[0];
                (value, if value.is_finite() { exact } else { value.into() })
            };
            set(outputs.log_sum_exp, row, value);
            set(outputs.z_loss, row, narrow(z_loss(inputs.loss().z_loss, exact)));
        }
        let saves = matches!(outputs.sums, Sums::Save(_));
        if outputs.argmax.is_empty() && outputs.correct.is_empty() && outputs.entropy.is_empty() && !saves {
            continue;
        }
        let (class, of_max, sum) = if outputs.entropy.is_empty() {
            (class_of_largest(groups, tops.as_ref(), i, logits), 0.0, 1.0)
        } else {
            top(groups, tops.as_ref(), group, i, logits)
        };
        let max = logits[class];
        let class = first_of_largest(inputs, row, logits.len(), |class| logits[class], class);
        set(outputs.argmax, row, class);
        set(outputs.correct, row, class == group.labels[i] && !max.is_nan());
        if !outputs.entropy.is_empty() {
            let value = entropy(groups, inputs, group, i, logits, (max, of_max, sum));
            set(outputs.entropy, row, narrow_normal(value));
        }
        if let Sums::Save(sums) = &mut outputs.sums {
            sums[row] = saved(group, i, (class, max));
        }
    }
}

/// The entropy of a row, of which the largest logit, its loss and the sum of all terms are known: `L + sum p (m - x)`.
pub(super) fn entropy(
    groups: &Groups,
    inputs: &Inputs<'_>,
    group: &Group,
    i: usize,
    logits: &[f32],
    (max, of_max, sum): (f32, f64, f64),
) -> f64 {
    if max == f32::NEG_INFINITY && inputs.empty_is_zero {
        return 0.0;
    }
    // NaN where there is no softmax.
    if of_max.is_nan() || max == f32::NEG_INFINITY {
        return f64::NAN;
    }
    let distance = groups.token.run(Distances { logits, reference: reference(group, i), max });
    of_max + distance / sum
}

/// The class of a row's largest logit, its loss, and the sum of all terms.
fn top(
    groups: &mut Groups,
    tops: Option<&Group>,
    group: &Group,
    i: usize,
    logits: &[f32],
) -> (usize, f64, f64) {
    match tops {
        // Where there is a NaN, it counts as the largest.
        Some(tops) if tops.loss[i].is_finite() => (tops.labels[i], tops.loss[i], tops.ends.sum[i]),
        _ => groups.of_largest(logits, reference(group, i)),
    }
}

/// The class of a row's largest logit.
fn class_of_largest(groups: &Groups, tops: Option<&Group>, i: usize, logits: &[f32]) -> usize {
    match tops {
        Some(tops) if tops.loss[i].is_finite() => tops.labels[i],
        _ => groups.token.run(Argmax { row: logits }),
    }
}

/// The class of the largest logit that was given: a scale or a soft cap can make it equal to others.
pub(in crate::engine) fn first_of_largest(
    inputs: &Inputs<'_>,
    row: usize,
    classes: usize,
    mapped: impl Fn(usize) -> f32,
    class: usize,
) -> usize {
    let max = mapped(class);
    if !inputs.map.makes_ties() || max == f32::NEG_INFINITY {
        return class;
    }
    let given = inputs.logits.share();
    let mut first = class;
    for other in class + 1..classes {
        if mapped(other) >= max && given.get(row, other) > given.get(row, first) {
            first = other;
        }
    }
    first
}

/// Saves the sums of a group, where nothing else is wanted of it but losses.
pub(super) fn save(groups: &Groups, outputs: &mut Outputs<'_>, group: &Group, lines: &Lines<'_>) {
    let Sums::Save(sums) = &mut outputs.sums else { return };
    for (i, logits) in lines.logits.iter().enumerate().take(group.len) {
        let class = groups.token.run(Argmax { row: logits });
        sums[group.rows[i]] = saved(group, i, (class, logits[class]));
    }
}

/// What is kept of a row.
pub(in crate::engine) fn saved(group: &Group, i: usize, (class, max): (usize, f32)) -> LogSumExp {
    LogSumExp {
        rest: if max == f32::NEG_INFINITY { 0.0 } else { group.ends.rest[i] },
        pivot: group.ends.pivot[i],
        exponent: group.ends.exponent[i],
        logit: group.ends.logit[i],
        apart: if group.labels[i] == NO_LABEL { Apart::NOBODY } else { Apart::LABEL },
        max,
        argmax: u32::try_from(class).unwrap_or(u32::MAX),
    }
}
