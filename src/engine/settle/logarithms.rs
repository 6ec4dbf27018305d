//! Logarithms of sums, and what is next to 0 of them.

use super::{NEAR_ZERO, reference};
use crate::engine::call::Inputs;
use crate::engine::rows::{FEW, Groups, Lines};
use crate::kernels::finish::{Finish, SplitLogs};
use crate::kernels::group::{Group, LossSum, NO_LABEL};
use crate::kernels::leave_out::{LeaveOut, MayLead, Summed};
use crate::kernels::maximum::{FirstOfRows, MaxOfRows};
use crate::kernels::tile_ends::LargestOfTiles;
use crate::numbers::factor::{narrow, narrow_normal};
use crate::simd::LANES;

/// Takes the classes of the largest logits for labels.
pub(in crate::engine) fn label_largest(groups: &Groups, group: &mut Group, logits: &[&[f32]; LANES]) {
    let (rows, mut largest) = (&logits[..group.len], [0.0; LANES]);
    groups.token.run(MaxOfRows { rows, which: &[true; LANES], to: &mut largest });
    groups.token.run(FirstOfRows { rows, which: &[true; LANES], max: &largest, to: &mut group.labels });
}

/// Log-probabilities: the logarithms of sums, and, next to 0, the loss of the largest logit. Of few classes all sums are made
/// without it; of more, those of the rows that it leads.
pub(super) fn logarithms(groups: &mut Groups, inputs: &Inputs<'_>, group: &mut Group, lines: &Lines<'_>) {
    let (few, mut unused) = (groups.classes <= FEW, LossSum::EMPTY);
    groups.token.run(Finish {
        groups: core::slice::from_mut(group),
        labels: few,
        losses: few.then_some(&mut unused),
        logs: !few,
        factors: false,
    });
    let mut leads = [few; LANES];
    if !few {
        group.labels = [NO_LABEL; LANES];
        let (mut largest, mut may_lead) = (group.max, [true; LANES]);
        if lines.columns.is_none() {
            let rows = &lines.logits[..group.len];
            if groups.sums_are_whole {
                // Hardly any row is searched for its largest logit.
                let (sums, totals) = (&groups.sums[..group.len], &group.ends.sum);
                groups.token.run(MayLead { sums, totals, to: &mut may_lead });
            }
            if may_lead[..group.len].contains(&true) {
                groups.token.run(MaxOfRows { rows, which: &may_lead, to: &mut largest });
            }
        }
        for (i, leads) in leads.iter_mut().enumerate().take(group.len).filter(|(i, _)| may_lead[*i]) {
            let below = f64::from(group.ends.pivot[i]) + group.log[i] - f64::from(largest[i]);
            *leads = below < NEAR_ZERO;
        }
        if leads != [false; LANES] {
            leave_out_largest(groups, inputs, group, lines, &leads, &largest);
        }
    }
    for i in (0..group.len).filter(|i| leads[*i]) {
        let loss = group.loss[i];
        group.log[i] = (f64::from(group.ends.logit[i]) - f64::from(group.ends.pivot[i])) + loss;
        if loss < NEAR_ZERO {
            group.at_label[i] = 0.0 - narrow_normal(loss * group.scale[i]);
        } else {
            group.labels[i] = NO_LABEL;
        }
    }
    groups.token.run(SplitLogs { group });
}

/// Takes the largest logits of some rows for their labels, and their losses from sums that are made without them.
fn leave_out_largest(
    groups: &mut Groups,
    inputs: &Inputs<'_>,
    group: &mut Group,
    lines: &Lines<'_>,
    which: &[bool; LANES],
    max: &[f32; LANES],
) {
    let (token, classes) = (groups.token, groups.classes);
    let mut labels = [NO_LABEL; LANES];
    let rows = &lines.logits[..group.len];
    if let Some((tiles, _)) = lines.columns {
        token.run(LargestOfTiles { tiles, classes, to: core::slice::from_mut(&mut labels) });
    } else {
        token.run(FirstOfRows { rows, which, max, to: &mut labels });
    }
    for (label, wanted) in labels.iter_mut().zip(which) {
        *label = if *wanted { *label } else { NO_LABEL };
    }
    for i in (0..group.len).filter(|i| which[*i]) {
        (group.labels[i], group.ends.logit[i]) = (labels[i], max[i]);
    }
    if !groups.sums_are_whole {
        let mut own = core::mem::take(&mut groups.line);
        for i in (0..group.len).filter(|i| which[*i]) {
            let logits = groups.row(inputs, group, i, lines, &mut own);
            group.loss[i] = groups.of_largest(logits, reference(group, i)).1;
        }
        groups.line = own;
        return;
    }
    let summed = match lines.columns {
        Some((tile, sums)) => Summed::Columns(tile, sums),
        None => Summed::Rows(rows, &groups.sums[..group.len]),
    };
    let mut spare = core::mem::take(&mut groups.spare);
    spare.resize_with(1, || Group::EMPTY);
    let own = &mut spare[0];
    (own.len, own.labels) = (group.len, labels);
    (own.ends.pivot, own.ends.exponent, own.ends.logit) =
        (group.ends.pivot, group.ends.exponent, group.ends.logit);
    let (pivot, exponent, rest) = (&group.ends.pivot, &group.ends.exponent, &mut own.ends.rest);
    token.run(LeaveOut { summed, classes, labels: &labels, pivot, exponent, rest });
    let mut unused = LossSum::EMPTY;
    let losses = Some(&mut unused);
    token.run(Finish { groups: &mut spare[..1], labels: true, losses, logs: false, factors: false });
    group.loss = spare[0].loss;
    groups.spare = spare;
}

/// The log-sum-exp of a row, of which the whole sum is known.
///
/// Identity: `m + ln(1 + R / e^m)`: next to 0 the sum itself, next to 1, would have no digits left.
pub(super) fn log_sum_exp(
    groups: &mut Groups,
    inputs: &Inputs<'_>,
    group: &Group,
    i: usize,
    lines: &Lines<'_>,
) -> f32 {
    let logits = lines.line(i);
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
    let logits = groups.row(inputs, group, i, lines, &mut own);
    let (class, loss, _) = groups.of_largest(logits, reference(group, i));
    let value = narrow(f64::from(logits[class]) + loss);
    groups.line = own;
    value
}
