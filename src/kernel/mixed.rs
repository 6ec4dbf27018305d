//! Cross-entropy with labels that are made up: smoothed, weighted, of mapped logits; with a z-loss.
//!
//! Formula: for a row with target masses `q_i`, `sum_i q_i (lse - z_i) + k lse^2`; its gradient with respect to
//! `z` is `(sum(q) + 2 k lse) p_i - q_i`.
//!
//! The masses are those of smoothing, `w_i (a t_i + b)` for weights `w` and labels `t`, and `h = a w_y` more at the label
//! of a row that has one. The first are written as dense labels where the row will be read, so that they are dense
//! labels like any others; what is left is arithmetic at the row's end.

use super::across::{gather_labels, make_room};
use super::dense::Distance;
use super::ends::Ends;
use super::lines::Results;
use super::loaded::Loaded;
use super::math::exp;
use super::operation::{Finish, GROUP, Operation, Row, Seen};
use super::place::{LabelRows, Place};
use super::scale::{Scale, Sums, leave_out};
use super::share::narrow;
use super::weights::{Weights, weighed};
use crate::Rows;
use crate::element::Lanewise;
use crate::labels::RowLabels;
use crate::simd::Simd;

/// What a row is compared with.
#[derive(Clone, Copy)]
pub(crate) enum RowTargets<'a> {
    Sparse(RowLabels<'a>),
    Dense(Rows<'a>),
}

impl RowTargets<'_> {
    pub(super) fn split_at(self, row: usize) -> (Self, Self) {
        match self {
            Self::Sparse(labels) => {
                let (first, rest) = labels.split_at(row);
                (Self::Sparse(first), Self::Sparse(rest))
            }
            Self::Dense(labels) => {
                let (first, rest) = labels.split_at(row);
                (Self::Dense(first), Self::Dense(rest))
            }
        }
    }
}

/// How much of a label's mass goes to other classes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spread {
    pub(crate) mass: f64,
    /// Whether it goes to the other classes alone.
    pub(crate) others: bool,
}

impl Spread {
    /// What a label keeps beyond the share of every class, and that share. Classes of probability 0 take no part.
    #[inline(always)]
    pub(super) fn shares(self, logits: &[f32]) -> (f64, f64) {
        if self.mass == 0.0 {
            return (1.0, 0.0);
        }
        // NaN is no such class.
        self.shares_of(logits.iter().fold(0.0, |n, x| if *x == f32::NEG_INFINITY { n } else { n + 1.0 }))
    }

    /// As [`shares`](Self::shares), where so many classes take part.
    #[inline(always)]
    pub(crate) fn shares_of(self, classes: f64) -> (f64, f64) {
        if !self.others {
            (1.0 - self.mass, if classes > 0.0 { self.mass / classes } else { 0.0 })
        } else if classes > 1.0 {
            let share = self.mass / (classes - 1.0);
            (1.0 - self.mass - share, share)
        } else {
            (1.0, 0.0)
        }
    }
}

/// What is known of a row of a group.
#[derive(Clone, Copy, Default)]
pub(crate) struct Known {
    /// `h`, and the other mass at the label.
    hard: f64,
    soft: f64,
    /// What probabilities are multiplied by in the gradient.
    total: f64,
    /// What the gradient is multiplied by.
    scale: f64,
}

/// The loss of each row, and, where the place writes, its gradient.
pub(crate) struct Mixed<'a, R> {
    pub(crate) place: Loaded<'a, R>,
    pub(crate) targets: RowTargets<'a>,
    pub(crate) weights: Weights<'a>,
    pub(crate) smoothing: Spread,
    pub(crate) z_loss: f64,
    /// Whether the gradient takes the masses to add up to 1.
    pub(crate) unit_mass: bool,
    pub(crate) scale: Scale<'a>,
    /// One per row, or empty.
    pub(crate) losses: &'a mut [f32],
    pub(crate) sums: Sums<'a>,
    pub(crate) group: Group,
}

/// What is known of the rows of a group.
#[derive(Clone, Copy, Default)]
pub(crate) struct Group {
    /// The first of the rows.
    first: usize,
    rows: [Known; GROUP],
}

impl<'a, R: Results<'a>> Mixed<'a, R> {
    /// Whether there are masses beside those at labels.
    #[inline(always)]
    fn is_soft(&self) -> bool {
        self.smoothing.mass > 0.0 || matches!(self.targets, RowTargets::Dense(_))
    }

    /// Makes the masses of a row, of its dense labels where it has them, and notes that of its label.
    #[inline(always)]
    fn make_labels(&mut self, row: Row, masses: &mut [f32]) {
        let logits = self.place.logits(row.index);
        let (kept, share) = self.smoothing.shares(logits);
        if matches!(self.targets, RowTargets::Dense(_)) {
            for (to, x) in masses.iter_mut().zip(logits) {
                let share = if *x == f32::NEG_INFINITY { 0.0 } else { share };
                *to = narrow(kept * f64::from(*to) + share);
            }
        } else {
            let share = narrow(share);
            for (to, x) in masses.iter_mut().zip(logits) {
                *to = if *x == f32::NEG_INFINITY { 0.0 } else { share };
            }
        }
        if let Some(weights) = self.weights.classes {
            for (to, weight) in masses.iter_mut().zip(weights) {
                *to *= weight;
            }
        }
        self.place.map.mask.fill(row.index, masses, 0.0);
        let soft = masses.get(row.label).map_or(0.0, |mass| f64::from(*mass));
        let weight = self.weights.of_class(row.label);
        let hard = match self.targets {
            // Together exactly what the others do not get: all of the rounded share goes, where they get everything.
            RowTargets::Sparse(_) if self.smoothing.others && soft > 0.0 => {
                (1.0 - self.smoothing.mass) * weight - soft
            }
            RowTargets::Sparse(_) => kept * weight,
            RowTargets::Dense(_) => 0.0,
        };
        self.group.rows[row.index - self.group.first] = Known { hard, soft, ..Known::default() };
    }
}

impl<'a, R: Results<'a>> Operation for Mixed<'a, R> {
    type Place = Loaded<'a, R>;
    type Epilogue = R::SharesAndLabels;
    type Watch<'b> = Distance<'b>;
    const AT_LABEL: bool = true;
    const LOOKS_BACK: bool = true;

    fn place(&self) -> &Self::Place {
        &self.place
    }

    fn place_mut(&mut self) -> &mut Self::Place {
        &mut self.place
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (place, other_place) = self.place.split_at(row);
        let (targets, other_targets) = self.targets.split_at(row);
        let (weights, other_weights) = self.weights.split_at(row);
        let (scale, other_scale) = self.scale.split_at(row);
        let (losses, other_losses) = self.losses.split_at_mut(row.min(self.losses.len()));
        let (sums, other_sums) = self.sums.split_at(row);
        (
            Self { place, targets, weights, scale, losses, sums, ..self },
            Self {
                place: other_place,
                targets: other_targets,
                weights: other_weights,
                scale: other_scale,
                losses: other_losses,
                sums: other_sums,
                ..self
            },
        )
    }

    fn seam(&self, near: usize) -> Option<usize> {
        self.place.seam(near).or_else(|| match self.targets {
            RowTargets::Sparse(_) => None,
            RowTargets::Dense(labels) => labels.seam(near),
        })
    }

    #[inline(always)]
    fn load<S: Simd>(&mut self, simd: S, first: usize, rows: &[Row], labels: &mut Vec<f32>, _direct: bool) {
        self.place.load(simd, first, rows);
        self.group.first = first;
        let classes = self.place.classes();
        let span = if self.is_soft() { rows.last().map_or(0, |last| last.index - first + 1) } else { 0 };
        match &self.targets {
            RowTargets::Sparse(_) => make_room(labels, span * classes),
            RowTargets::Dense(from) => gather_labels(simd, from, first, rows, labels),
        }
        simd.outline(
            #[inline(always)]
            || {
                for row in rows {
                    let masses = match span {
                        0 => &mut [],
                        _ => &mut labels[(row.index - first) * classes..][..classes],
                    };
                    self.make_labels(*row, masses);
                }
            },
        );
    }

    #[inline(always)]
    fn dense<'b>(&self, made: &'b [f32]) -> Option<LabelRows<'b>>
    where
        Self: 'b,
    {
        self.is_soft().then(|| LabelRows::new(made, self.place.classes(), self.group.first))
    }

    #[inline(always)]
    fn labels(&self, first: usize, labels: &mut [usize]) {
        if let RowTargets::Sparse(all) = &self.targets {
            all.classes(first, labels);
        }
        self.weights.ignore_weightless(first, labels);
    }

    #[inline(always)]
    fn ignore(&mut self, row: usize) {
        self.place.clear(row);
        leave_out(self.losses, &mut self.sums, row);
    }

    #[inline(always)]
    fn watch(labels: Option<&[f32]>) -> Distance<'_> {
        Distance::to(labels.unwrap_or(&[]))
    }

    #[inline(always)]
    fn logit(&self, row: Row) -> f64 {
        self.place.logits(row.index)[row.label].to_f32().into()
    }

    #[inline(always)]
    fn end<S: Simd, const N: usize>(
        &mut self,
        simd: S,
        rows: &[Row],
        ends: &mut Ends<N>,
        seen: &[Seen; N],
    ) -> Finish<N> {
        let mut logits = [0.0; N];
        for (to, seen) in logits.iter_mut().zip(seen) {
            *to = seen.logit;
        }
        self.sums.exchange(rows, ends);
        let hard = ends.losses(simd, &logits);
        let of_max = ends.losses(simd, &ends.max);
        let logs = ends.log_relative(simd);
        let (soft, classes) = (self.is_soft(), self.place.classes());
        let mut finish = Finish::NOTHING;
        let complements = ends.complements(simd, &logits, &hard);
        for (i, row) in rows.iter().enumerate() {
            let known = &mut self.group.rows[row.index - self.group.first];
            let log_sum_exp = ends.pivot[i] + logs[i];
            if let Some(to) = self.losses.get_mut(row.index) {
                let loss = weighed(known.hard, hard[i]) + seen[i].loss(of_max[i]);
                let squared = log_sum_exp * log_sum_exp;
                let loss = if self.z_loss == 0.0 { loss } else { loss + self.z_loss * squared };
                *to = narrow(weighed(self.weights.of_row(row.index), loss));
            }
            let mass = if self.unit_mass { 1.0 } else { known.hard + seen[i].mass };
            let slope = if self.z_loss == 0.0 { 0.0 } else { 2.0 * self.z_loss * log_sum_exp };
            known.total = mass + slope;
            known.scale = self.scale.of(row.index) * self.weights.of_row(row.index);
            finish.by[i] = known.scale * known.total;
            finish.scale[i] = if soft { -known.scale } else { 0.0 };
            let p = exp(-hard[i]);
            let at_label = if p < 0.5 {
                known.total * p - (known.hard + known.soft)
            } else {
                // The label's own mass taken off first: nothing is left to cancel.
                ((mass - known.hard - known.soft) + slope) - known.total * complements[i]
            };
            let keeps = self.place.map.mask.keeps(row.index, row.label, classes);
            finish.at_label[i] = if keeps || at_label.is_nan() { known.scale * at_label } else { 0.0 };
        }
        if R::WRITES {
            finish.by = ends.factors(simd, &finish.by);
            finish.of_dominant = ends.dominant_complements(simd);
        }
        finish
    }

    #[inline(always)]
    fn dominant(&self, row: Row, mass: f64, complement: f64, _scale: f64, _seen: &Seen) -> f32 {
        let Known { total, scale, .. } = self.group.rows[row.index - self.group.first];
        narrow(scale * ((total - mass) - total * complement))
    }
}
