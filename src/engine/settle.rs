//! What becomes of rows once their sums are known: losses, statistics, and the coefficients of their results.
//!
//! For a row with target masses `q_i` the loss is `sum_i q_i (lse - x_i) + k lse^2`, and its gradient with respect to
//! `x` is `(sum(q) + 2 k lse) p_i - q_i`. A class index is a mass of 1 at its class.

mod labels;
mod logarithms;
mod statistics;

pub(crate) use self::labels::Masses;
pub(super) use self::labels::make_labels;
pub(super) use self::logarithms::label_largest;
use self::logarithms::{log_sum_exp, logarithms};
use self::statistics::{entropy, save, statistics};
pub(super) use self::statistics::{first_of_largest, saved};
use super::call::{Inputs, Work};
use super::options::{Outputs, set};
use super::rows::{Groups, Lines};
use crate::kernels::finish::{Finish, SetFactors};
use crate::kernels::group::{Group, LossSum, Special};
use crate::kernels::map::Mask;
use crate::kernels::masses::{Mass, Weigh, WeighRows};
use crate::kernels::write::Formula;
use crate::numbers::exp::Reference;
use crate::numbers::factor::{TOO_LARGE, narrow, narrow_normal};
use crate::numbers::log_sum_exp::weighed;
use crate::simd::LANES;

/// Below this a logarithm next to 0 is taken again, without cancellation.
const NEAR_ZERO: f64 = 0.5;

/// What results are made of.
pub(super) fn formula(inputs: &Inputs<'_>, uniform: bool) -> Formula {
    match inputs.work {
        Work::Softmax => Formula::Scaled,
        Work::LogSoftmax => Formula::Logs,
        Work::LabelGradient(_) => Formula::ScaledLogs,
        Work::Entropy => Formula::TimesLogits,
        Work::Loss(_) | Work::LogSumExp => {
            if inputs.dense.is_some() || (inputs.makes_labels() && !uniform) {
                Formula::LessLabels
            } else if inputs.makes_labels() {
                Formula::Less
            } else {
                Formula::Scaled
            }
        }
    }
}

/// Settles a group: writes what there is one of per row, and sets the coefficients of results.
pub(super) fn settle(
    groups: &mut Groups,
    inputs: &Inputs<'_>,
    outputs: &mut Outputs<'_>,
    group: &mut Group,
    lines: &Lines<'_>,
    masses: &[Masses],
) {
    group.special = [Special::No; LANES];
    mark_not_a_number(group);
    match inputs.work {
        Work::Loss(_) if is_plain(inputs, outputs, group) => {
            plain(groups, outputs, group);
            save(groups, outputs, group, lines);
        }
        Work::Loss(_) => loss(groups, inputs, outputs, group, lines, masses),
        Work::Softmax => {
            finish(groups, group, false, false, true);
        }
        Work::LogSoftmax | Work::LabelGradient(_) => logarithms(groups, inputs, group, lines),
        Work::Entropy => entropies(groups, inputs, outputs, group, lines),
        Work::LogSumExp => {
            finish(groups, group, false, true, false);
            for i in 0..group.len {
                let value = log_sum_exp(groups, inputs, group, i, lines);
                set(outputs.log_sum_exp, group.rows[i], value);
            }
        }
    }
    mark_special(inputs, group, groups.writes);
    if let Work::LabelGradient(_) = inputs.work {
        // Of a masked class, too: a row that is multiplied by 0 has no gradient.
        for i in 0..group.len {
            if group.scale[i] == 0.0 && group.special[i] == Special::No {
                group.special[i] = Special::Zero;
            }
        }
    }
}

/// A row with a NaN has no largest logit, so that one of a NaN and only -inf beside it looks like one without any.
pub(super) fn mark_not_a_number(group: &mut Group) {
    if !group.has_empty_rows() {
        return;
    }
    for i in 0..group.len {
        if group.max[i] == f32::NEG_INFINITY && (group.ends.rest[i].is_nan() || group.ends.logit[i].is_nan())
        {
            group.max[i] = f32::NAN;
        }
    }
}

/// Whether all of a loss is done by kernels.
fn is_plain(inputs: &Inputs<'_>, outputs: &Outputs<'_>, group: &Group) -> bool {
    let loss = inputs.loss();
    loss.smoothing.mass == 0.0
        && loss.z_loss == 0.0
        && inputs.labels.is_some()
        && inputs.dense.is_none()
        && inputs.map.mask == Mask::None
        && outputs.have_no_statistics()
        && !(inputs.weights.classes.is_some() && group.weight[..group.len].contains(&0.0))
        && group.max[..group.len].iter().all(|max| *max > f32::NEG_INFINITY)
}

fn finish(groups: &Groups, group: &mut Group, labels: bool, logs: bool, factors: bool) {
    let groups_of_one = core::slice::from_mut(group);
    groups.token.run(Finish { groups: groups_of_one, labels, losses: None, logs, factors });
}

fn plain(groups: &mut Groups, outputs: &mut Outputs<'_>, group: &mut Group) {
    groups.token.run(Finish {
        groups: core::slice::from_mut(group),
        labels: true,
        losses: Some(&mut groups.losses),
        logs: false,
        factors: groups.writes,
    });
    outputs.put_losses(group);
}

/// Notes the rows whose results are not what the formula makes of terms.
pub(super) fn mark_special(inputs: &Inputs<'_>, group: &mut Group, writes: bool) {
    if !writes {
        return;
    }
    group.special = [Special::No; LANES];
    if group.ends.are_finite() && group.scales_are_ordinary() && !group.has_empty_rows() {
        return;
    }
    for i in 0..group.len {
        let sum = group.ends.sum[i];
        group.special[i] = if group.max[i] == f32::NEG_INFINITY {
            if inputs.empty_is_zero { Special::Zero } else { Special::NotANumber }
        } else if !(sum > 0.0 && sum.is_finite() && group.scale[i].is_finite()) {
            Special::NotANumber
        } else if group.scale[i].abs() > TOO_LARGE {
            Special::Large
        } else {
            Special::No
        };
    }
}

/// The entropies `H` of rows, and what their gradients `p ((lse - H) - x)` are made of.
fn entropies(
    groups: &mut Groups,
    inputs: &Inputs<'_>,
    outputs: &mut Outputs<'_>,
    group: &mut Group,
    lines: &Lines<'_>,
) {
    finish(groups, group, false, false, true);
    for i in 0..group.len {
        let logits = lines.logits[i];
        let (class, of_max, sum) = groups.of_largest(logits, reference(group, i));
        let value = entropy(groups, inputs, group, i, logits, (logits[class], of_max, sum));
        set(outputs.entropy, group.rows[i], narrow_normal(value));
        // From the largest logit, whose own part has not been rounded with it.
        let max = f64::from(logits[class]) - f64::from(group.ends.pivot[i]);
        group.subtract[i] = narrow(max + (of_max - value));
    }
}

fn reference(group: &Group, i: usize) -> Reference {
    Reference { pivot: group.ends.pivot[i], exponent: group.ends.exponent[i] }
}

/// Losses with any options, and statistics.
fn loss(
    groups: &mut Groups,
    inputs: &Inputs<'_>,
    outputs: &mut Outputs<'_>,
    group: &mut Group,
    lines: &Lines<'_>,
    masses: &[Masses],
) {
    let labelled = inputs.labels.is_some();
    let mut ignored = LossSum::EMPTY;
    groups.token.run(Finish {
        groups: core::slice::from_mut(group),
        labels: labelled,
        losses: labelled.then_some(&mut ignored),
        logs: true,
        factors: false,
    });
    statistics(groups, inputs, outputs, group, lines);
    let mut masses_of = [Mass::default(); LANES];
    if let (Some(labels), true) = (&lines.labels, inputs.dense.is_some()) {
        let (logits, origins) = (&lines.logits[..group.len], &group.ends.pivot);
        groups.token.run(WeighRows { logits, labels: &labels[..group.len], origins, to: &mut masses_of });
    }
    for (i, mass) in masses_of.into_iter().enumerate().take(group.len) {
        let row = group.rows[i];
        let empty = group.max[i] == f32::NEG_INFINITY;
        let parts = if inputs.dense.is_some() {
            of_distribution(groups, inputs, group, i, lines, mass)
        } else {
            of_index(groups, inputs, group, i, lines, masses.get(i).copied().unwrap_or_default())
        };
        let log_sum_exp = f64::from(group.ends.pivot[i]) + group.log[i];
        let z = inputs.loss().z_loss;
        let squared = if z == 0.0 { 0.0 } else { z * (log_sum_exp * log_sum_exp) };
        let mut value = weighed(inputs.weights.of_row(row), parts.loss + squared);
        if empty {
            value = if inputs.empty_is_zero { 0.0 } else { f64::NAN };
        }
        groups.losses.add_one(i, value);
        // Not -0.
        set(outputs.losses, row, narrow_normal(value + 0.0));
        let slope = if z == 0.0 { 0.0 } else { 2.0 * z * log_sum_exp };
        let scale = inputs.scale.of(row) * inputs.weights.of_row(row);
        group.scale[i] = scale * (parts.mass + slope);
        group.inverse_scale[i] = 1.0 / group.scale[i].abs();
        group.subtract[i] = narrow(scale * parts.share);
        let share = group.ends.rest[i] / group.ends.sum[i];
        let at_label = if share < 0.5 {
            // The label's own mass taken off first: nothing is left to cancel.
            ((parts.mass - parts.at_label) + slope) - (parts.mass + slope) * share
        } else {
            (parts.mass + slope) * (group.ends.term[i] / group.ends.sum[i]) - parts.at_label
        };
        let keeps = inputs.map.mask.keeps(row, group.labels[i].min(groups.classes - 1), groups.classes);
        group.at_label[i] = if keeps || at_label.is_nan() { narrow_normal(scale * at_label) } else { 0.0 };
    }
    if groups.writes {
        groups.token.run(SetFactors { group });
    }
}

/// What a loss is made of, beside weights of rows and z-loss.
struct Parts {
    loss: f64,
    /// The mass of all classes, that at the label, and what the labels in lines are multiplied by.
    mass: f64,
    at_label: f64,
    share: f64,
}

fn of_index(
    groups: &mut Groups,
    inputs: &Inputs<'_>,
    group: &Group,
    i: usize,
    lines: &Lines<'_>,
    masses: Masses,
) -> Parts {
    let weight = inputs.weights.of_class(group.labels[i]);
    if inputs.loss().smoothing.mass == 0.0 {
        return Parts { loss: weighed(weight, group.loss[i]), mass: weight, at_label: weight, share: 0.0 };
    }
    let Masses { at_label, share, others, origin } = masses;
    let at_label = at_label * weight;
    let from_origin = (f64::from(group.ends.pivot[i]) - origin) + group.log[i];
    let mut of_others = others.total * from_origin + others.distance;
    if of_others.abs() < NEAR_ZERO * others.magnitude {
        let labels = lines.labels.map(|labels| labels[i]);
        of_others = from_largest(groups, group, i, lines.logits[i], labels);
    }
    let loss = weighed(at_label, group.loss[i]) + weighed(share, of_others);
    Parts { loss, mass: at_label + share * others.total, at_label, share }
}

/// The loss of all classes but the label's: what is small is a difference of what is not, but from the largest logit no
/// part is negative. Only few classes have so small a loss.
fn from_largest(groups: &mut Groups, group: &Group, i: usize, logits: &[f32], masses: Option<&[f32]>) -> f64 {
    let (largest, of_max, _) = groups.of_largest(logits, reference(group, i));
    let max = f64::from(logits[largest]);
    let mut loss = 0.0;
    for (class, logit) in logits.iter().enumerate() {
        if class != group.labels[i] && *logit != f32::NEG_INFINITY {
            let mass = masses.map_or(1.0, |masses| f64::from(masses[class]));
            loss += weighed(mass, of_max + (max - f64::from(*logit)));
        }
    }
    loss
}

fn of_distribution(
    groups: &mut Groups,
    inputs: &Inputs<'_>,
    group: &Group,
    i: usize,
    lines: &Lines<'_>,
    mut mass: Mass,
) -> Parts {
    let (logits, labels) = (lines.logits[i], lines.labels.map_or(&[][..], |lines| lines[i]));
    let mut loss = weighed(mass.total, group.log[i]) + mass.distance;
    if loss < NEAR_ZERO * mass.magnitude {
        // What is small is a difference of what is not: from the largest logit no part is negative.
        let (class, of_max, _) = groups.of_largest(logits, reference(group, i));
        mass = groups.token.run(Weigh { logits, labels, origin: f64::from(logits[class]) });
        loss = weighed(mass.total, of_max) + mass.distance;
    }
    let total = if inputs.loss().unit_mass { 1.0 } else { mass.total };
    Parts { loss, mass: total, at_label: 0.0, share: 1.0 }
}

/// Writes the results of a row that are not what the formula makes of terms.
pub(super) fn write_special(
    formula: Formula,
    group: &Group,
    i: usize,
    from: Option<&[f32]>,
    labels: &[f32],
    to: &mut [f32],
) {
    match group.special[i] {
        Special::Zero => to.fill(0.0),
        Special::Large => {
            let factor = group.scale[i] / group.ends.sum[i];
            let subtract = f64::from(group.subtract[i]);
            for (class, to) in to.iter_mut().enumerate() {
                let term = from.map_or(0.0, |from| f64::from(from[class]));
                let less = match formula {
                    Formula::Less => subtract,
                    Formula::LessLabels => subtract * f64::from(labels[class]),
                    Formula::TimesLogits | Formula::Scaled | Formula::Logs | Formula::ScaledLogs => 0.0,
                };
                let share = match formula {
                    Formula::TimesLogits => {
                        let below = f64::from(labels[class]) - f64::from(group.ends.pivot[i]);
                        weighed(factor * term, subtract - below)
                    }
                    _ => factor * term,
                };
                *to = narrow_normal(share - less);
            }
            if let Some(to) = to.get_mut(group.labels[i]) {
                *to = group.at_label[i];
            }
        }
        Special::No | Special::NotANumber => to.fill(f32::NAN),
    }
}
