//! Cross-entropy with one distribution `t` per row: `sum_i t_i (ln sum_j e^(x_j) - x_i)`, and its
//! gradient `softmax_i sum(t) - t_i`, times the row's upstream factor.
//!
//! Identity: with the row's maximum `m`, `sum(t) (ln sum_j e^(x_j) - m) + sum_i t_i (m - x_i)`: no part
//! is negative for labels that are not. The first bracket is `ln(1 + R / e^m)` for a confident row,
//! with `R` the sum without the maximum.

use super::across::gather_labels;
use super::ends::Ends;
use super::flow::{Flow, Read, Slots};
use super::operation::{Finish, Operation, Row, Seen};
use super::partial::SPLIT_BLOCKS;
use super::place::{LabelRows, Place};
use super::row::Watch;
use super::scale::{Scale, Sums, leave_out};
use super::share::narrow;
use super::weights::Weights;
use crate::Rows;
use crate::element::Element;
use crate::simd::{Lanes, Simd, Wide};

/// The loss of each row, and, where the place writes, its gradient.
pub(crate) struct Dense<'a, P> {
    pub(crate) place: P,
    pub(crate) labels: Rows<'a>,
    /// Of rows alone.
    pub(crate) weights: Weights<'a>,
    pub(crate) scale: Scale<'a>,
    /// Whether the gradient takes the labels to add up to 1.
    pub(crate) unit_mass: bool,
    /// One per row, or empty.
    pub(crate) losses: &'a mut [f32],
    pub(crate) sums: Sums<'a>,
    /// The first row of the group, where its labels are copied.
    pub(crate) first: usize,
}

impl<P: Place> Operation for Dense<'_, P> {
    type Place = P;
    type Epilogue = P::SharesAndLabels;
    type Watch<'b> = Distance<'b>;

    fn place(&self) -> &P {
        &self.place
    }

    fn place_mut(&mut self) -> &mut P {
        &mut self.place
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (place, other_place) = self.place.split_at(row);
        let (labels, other_labels) = self.labels.split_at(row);
        let (weights, other_weights) = self.weights.split_at(row);
        let (scale, other_scale) = self.scale.split_at(row);
        let (losses, other_losses) = self.losses.split_at_mut(row.min(self.losses.len()));
        let (sums, other_sums) = self.sums.split_at(row);
        (
            Self { place, labels, weights, scale, unit_mass: self.unit_mass, losses, sums, first: 0 },
            Self {
                place: other_place,
                labels: other_labels,
                weights: other_weights,
                scale: other_scale,
                unit_mass: self.unit_mass,
                losses: other_losses,
                sums: other_sums,
                first: 0,
            },
        )
    }

    fn seam(&self, near: usize) -> Option<usize> {
        self.place.seam(near).or_else(|| self.labels.seam(near))
    }

    #[inline(always)]
    fn load<S: Simd>(&mut self, simd: S, first: usize, rows: &[Row], labels: &mut Vec<f32>, direct: bool) {
        if !direct {
            self.place.load(simd, first, rows);
        }
        if !self.labels.is_plain() {
            self.first = first;
            gather_labels(simd, &self.labels, first, rows, labels);
        }
    }

    #[inline(always)]
    fn dense<'b>(&self, made: &'b [f32]) -> Option<LabelRows<'b>>
    where
        Self: 'b,
    {
        Some(if self.labels.is_plain() {
            LabelRows::of(&self.labels)
        } else {
            LabelRows::new(made, self.labels.classes(), self.first)
        })
    }

    #[inline(always)]
    fn watch(labels: Option<&[f32]>) -> Distance<'_> {
        Distance::to(labels.unwrap_or(&[]))
    }

    #[inline(always)]
    fn labels(&self, first: usize, labels: &mut [usize]) {
        self.weights.ignore_weightless(first, labels);
    }

    #[inline(always)]
    fn ignore(&mut self, row: usize) {
        self.place.clear(row);
        leave_out(self.losses, &mut self.sums, row);
    }

    #[inline(always)]
    fn end<S: Simd, const N: usize>(
        &mut self,
        simd: S,
        rows: &[Row],
        ends: &mut Ends<N>,
        seen: &[Seen; N],
    ) -> Finish<N> {
        self.sums.exchange(rows, ends);
        if !self.losses.is_empty() {
            let mut losses = ends.losses(simd, &ends.max);
            for (loss, seen) in losses.iter_mut().zip(seen) {
                *loss = seen.loss(*loss);
            }
            self.weights.weigh(rows, &mut losses);
            for (row, loss) in rows.iter().zip(losses) {
                self.losses[row.index] = narrow(loss);
            }
        }
        if !P::WRITES {
            return Finish::NOTHING;
        }
        let mut scale = self.scale.of_all(rows);
        self.weights.weigh(rows, &mut scale);
        let mut by = scale;
        for i in 0..N {
            by[i] *= self.mass(&seen[i]);
            scale[i] = -scale[i];
        }
        let of_dominant = ends.dominant_complements(simd);
        Finish { by: ends.factors(simd, &by), scale, of_dominant, ..Finish::NOTHING }
    }

    /// `mass p - t` without cancellation where p is next to 1.
    #[inline(always)]
    fn dominant(&self, _row: Row, label: f64, complement: f64, scale: f64, seen: &Seen) -> f32 {
        let mass = self.mass(seen);
        narrow(-scale * ((mass - label) - mass * complement))
    }
}

impl<P> Dense<'_, P> {
    /// What probabilities are multiplied by in the gradient.
    #[inline(always)]
    fn mass(&self, seen: &Seen) -> f64 {
        if self.unit_mass { 1.0 } else { seen.mass }
    }
}

impl Seen {
    /// The loss against dense labels, given that of the largest logit.
    #[inline(always)]
    pub(super) fn loss(&self, of_max: f64) -> f64 {
        let by_mass = if self.mass == 0.0 && !of_max.is_nan() { 0.0 } else { self.mass * of_max };
        by_mass + self.distance
    }
}

/// The weights of a row's labels over the blocks so far, on two levels as its sum is.
pub(crate) struct Distance<'a> {
    labels: &'a [f32],
    done: Weight,
    open: Weight,
    blocks: usize,
}

/// `sum t_i` and `sum t_i (m - x_i)` over some classes, `m` being their maximum.
///
/// A label of 0 contributes 0, whatever the logit.
#[derive(Clone, Copy)]
struct Weight {
    max: f32,
    mass: f64,
    sum: f64,
}

impl Weight {
    const NOTHING: Self = Self { max: f32::NEG_INFINITY, mass: 0.0, sum: 0.0 };

    /// That of both.
    #[inline(always)]
    fn merge(self, other: Self) -> Self {
        let mass = self.mass + other.mass;
        if other.max == f32::NEG_INFINITY {
            // It has no origin: a label there makes the loss infinite, no label adds nothing.
            Self { mass, sum: self.sum + other.sum, ..self }
        } else if other.max > self.max {
            Self { mass, sum: self.sum + (Self::moved(self, other.max) + other.sum), ..other }
        } else {
            Self { mass, sum: self.sum + (Self::moved(other, self.max) + other.sum), ..self }
        }
    }

    /// What `sum` grows by with another maximum, 0 for no mass.
    #[inline(always)]
    fn moved(self, to: f32) -> f64 {
        if self.mass == 0.0 { 0.0 } else { self.mass * (f64::from(to) - f64::from(self.max)) }
    }
}

impl<'a> Distance<'a> {
    #[inline(always)]
    pub(super) fn to(labels: &'a [f32]) -> Self {
        Self { labels, done: Weight::NOTHING, open: Weight::NOTHING, blocks: 0 }
    }
}

impl Seen {
    /// What was seen of two parts of a row, with their maxima.
    #[inline(always)]
    pub(crate) fn merge(self, max: f32, other: Self, other_max: f32) -> Self {
        let weight = |seen: Self, max| Weight { max, mass: seen.mass, sum: seen.distance };
        let Weight { mass, sum, .. } = weight(self, max).merge(weight(other, other_max));
        Self { mass, distance: sum, ..self }
    }
}

impl<E: Element> Watch<E> for Distance<'_> {
    #[inline(always)]
    fn block<S: Simd>(&mut self, simd: S, start: usize, logits: &[E], max: f32) {
        if self.labels.is_empty() {
            return;
        }
        let labels = &self.labels[start..start + logits.len()];
        // Where there is no maximum any finite origin will do.
        let origin = if max == f32::NEG_INFINITY { 0.0 } else { max };
        let (mass, sum) = distance(simd, logits, labels, origin);
        self.open = self.open.merge(Weight { max, mass, sum });
        self.blocks += 1;
        if self.blocks == SPLIT_BLOCKS {
            (self.done, self.open, self.blocks) = (self.done.merge(self.open), Weight::NOTHING, 0);
        }
    }

    #[inline(always)]
    fn seen(&self) -> Seen {
        // Of nothing where the last group is full: its merge would change no number.
        let Weight { mass, sum, .. } = self.done.merge(self.open);
        Seen { mass, distance: sum, ..Seen::NOTHING }
    }
}

/// `sum t_i` and `sum t_i (max - x_i)` of one block.
///
/// In f64, where the difference of two f32 next to each other and its product with a third are exact
/// enough: what is left of `2^-53` after cancellation is far below an f32's `2^-24`.
#[inline(always)]
fn distance<S: Simd, E: Element>(simd: S, logits: &[E], labels: &[f32], max: f32) -> (f64, f64) {
    let max = simd.splat(max).widen();
    let mut add = Weighted { max, mass: simd.wide_zero(), sum: simd.wide_zero() };
    let (quads, tail) = Read(logits).quads();
    let (label_quads, label_tail) = Read(labels).quads();
    for (x, t) in quads.zip(label_quads) {
        for v in 0..4 {
            add.label(t.load(simd, v), x.load(simd, v));
        }
    }
    for v in 0..tail.vectors() {
        add.label(label_tail.load_padded(simd, v, 0.0), tail.load(simd, v));
    }
    (add.mass.reduce_add(), add.sum.reduce_add())
}

/// The two sums of [`distance`].
struct Weighted<W> {
    max: W,
    mass: W,
    sum: W,
}

impl<W: Wide> Weighted<W> {
    #[inline(always)]
    fn label<L: Lanes<Wide = W>>(&mut self, label: L, logit: L) {
        // A label of 0 takes no part, also at a logit of -inf.
        let logit = logit.zero_where_zero(label);
        let label = label.widen();
        self.mass = self.mass + label;
        self.sum = self.sum + label * (self.max - logit.widen());
    }
}
