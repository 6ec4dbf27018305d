//! What is made of labels before they are read: masses after smoothing, weights and masks.

use crate::PartialRow;
use crate::engine::call::{Call, Inputs, Work};
use crate::engine::options::Sums;
use crate::engine::rows::Groups;
use crate::kernels::group::Group;
use crate::kernels::masses::{Mass, Uniform, Weigh};
use crate::numbers::factor::narrow;
use crate::numbers::smoothing::Spread;
use crate::simd::LANES;

/// What is made of a row's class index or distribution before it is read.
#[derive(Clone, Copy, Default)]
pub(crate) struct Masses {
    /// The mass at the label, and that of every other class that takes part.
    pub(super) at_label: f64,
    pub(super) share: f64,
    /// Of the classes that have a share, but for the label: their mass, and the distance of their logits from `origin`.
    pub(super) others: Mass,
    pub(super) origin: f64,
}

impl Masses {
    /// Those of a row of which not all classes are at hand.
    fn of_merged(smoothing: Spread, row: &PartialRow) -> Self {
        let takes_part = row.logit != f32::NEG_INFINITY;
        let (at_label, share) = smoothing.shares(row.taking_part(), takes_part);
        let origin = f64::from(if row.logit.is_finite() { row.logit } else { row.max });
        let distance = row.distance - row.taking_part() * (f64::from(row.max) - origin);
        let total = row.taking_part() - f64::from(u8::from(takes_part));
        // Without a magnitude nothing is next to 0 of it: the logits that another way would need are elsewhere.
        Self { at_label, share, others: Mass { total, magnitude: 0.0, distance }, origin }
    }
}

/// Makes the labels of a group's rows, where dense ones are changed or class indices become them. Tells of class indices
/// whether all other classes of every row have the same mass, so that no labels are needed.
pub(in crate::engine) fn make_labels(
    groups: &Groups,
    Call { inputs, outputs, .. }: &Call<'_>,
    group: &Group,
    logits: &[&[f32]; LANES],
    labels: &mut [f32],
    masses: &mut [Masses],
) -> bool {
    let mut uniform = inputs.dense.is_none() && inputs.weights.classes.is_none();
    for i in 0..group.len {
        let (logits, label) = (logits[i], group.labels[i]);
        let smoothing = inputs.loss().smoothing;
        let at_label = logits.get(label).copied();
        let finite = |x: &f32| x.is_finite();
        let origin =
            at_label.filter(finite).or_else(|| logits.iter().copied().find(finite)).unwrap_or(0.0).into();
        let all = groups.token.run(Uniform { logits, origin });
        let line = &mut labels[i * groups.stride..][..groups.classes];
        if inputs.dense.is_some() {
            let (kept, share) = smoothing.dense_shares(all.total);
            for (to, x) in line.iter_mut().zip(logits) {
                let share = if *x == f32::NEG_INFINITY { 0.0 } else { share };
                *to = narrow(kept * f64::from(*to) + share);
            }
            weigh(inputs, group.rows[i], line);
            continue;
        }
        let takes_part = at_label.is_some_and(|x| x != f32::NEG_INFINITY);
        let (mass, share) = smoothing.shares(all.total, takes_part);
        #[expect(clippy::cast_precision_loss, reason = "a number of classes")]
        let every = groups.classes as f64;
        uniform &= all.total >= every;
        if let Sums::Merged(rows) = outputs.sums {
            masses[i] = Masses::of_merged(smoothing, &rows[group.rows[i]]);
            continue;
        }
        // The label's own distance from the origin is 0 where it takes part.
        let others = if takes_part { all.total - 1.0 } else { all.total };
        masses[i] = Masses {
            at_label: mass,
            share,
            others: Mass { total: others, magnitude: others, distance: all.distance },
            origin,
        };
    }
    if !uniform && inputs.dense.is_none() {
        for i in 0..group.len {
            let (logits, label) = (logits[i], group.labels[i]);
            let line = &mut labels[i * groups.stride..][..groups.classes];
            // Without weights of classes masses are shares of 1, as they are where no lines are made for the group: what is
            // masked in one row changes no bit of another.
            let weighted = inputs.weights.classes.is_some();
            let share = if weighted { narrow(masses[i].share) } else { 1.0 };
            for (to, x) in line.iter_mut().zip(logits) {
                *to = if *x == f32::NEG_INFINITY { 0.0 } else { share };
            }
            weigh(inputs, group.rows[i], line);
            if let Some(to) = line.get_mut(label) {
                *to = 0.0;
            }
            if weighted {
                let origin = masses[i].origin;
                masses[i].others = groups.token.run(Weigh { logits, labels: line, origin });
                masses[i].share = 1.0;
            }
        }
    }
    uniform
}

/// Multiplies masses by the weights of classes, and takes masked ones out.
fn weigh(inputs: &Inputs<'_>, row: usize, line: &mut [f32]) {
    if let Some(weights) = inputs.weights.classes {
        for (to, weight) in line.iter_mut().zip(weights) {
            *to = if *weight == 0.0 && !to.is_nan() { 0.0 } else { *to * weight };
        }
    }
    inputs.map.mask.fill(row, line, 0.0);
}

impl Call<'_> {
    /// Whether results are multiplied by something for each class: the slopes of a soft cap, or what labels are made of.
    pub(in crate::engine) fn has_slopes(&self) -> bool {
        let Inputs { work, map, weights, .. } = &self.inputs;
        match work {
            Work::LabelGradient(spread) => spread.mass > 0.0 || !weights.is_none() || !map.is_none(),
            Work::Loss(_) | Work::Entropy => map.cap.is_some(),
            Work::Softmax | Work::LogSoftmax | Work::LogSumExp => false,
        }
    }
}

impl Inputs<'_> {
    /// What the gradient with respect to each label of a row is multiplied by.
    pub(in crate::engine) fn label_slopes(&self, row: usize, logits: &[f32], slopes: &mut [f64]) {
        let Work::LabelGradient(spread) = self.work else { return };
        let taking_part = logits.iter().fold(0.0, |n, x| if *x == f32::NEG_INFINITY { n } else { n + 1.0 });
        let kept = if spread.mass == 0.0 { 1.0 } else { spread.dense_shares(taking_part).0 };
        for (class, slope) in slopes.iter_mut().enumerate() {
            *slope = kept * self.weights.of_class(class);
        }
        self.map.mask.fill(row, slopes, 0.0);
    }
}
