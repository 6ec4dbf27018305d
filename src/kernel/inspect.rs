//! What one read of a row tells of its prediction: log-sum-exp, log-probability of the label, argmax, entropy.
//!
//! Entropy: `-sum p_i ln p_i = (lse - m) + sum p_i (m - x_i)` for the largest logit `m`: no part is negative.

use super::ends::Ends;
use super::exp::{Exp, NEGLIGIBLE, Reference};
use super::flow::{Flow, Read, Slots};
use super::maximum::argmax;
use super::operation::{Finish, Operation, Row, Seen};
use super::place::{LabelRows, Place};
use super::share::narrow;
use crate::element::{Element, Lanewise};
use crate::simd::{Lanes, Simd, Wide};

/// Where statistics go, one of each for every row; empty where they are not wanted.
pub(crate) struct Wanted<'a> {
    pub(crate) log_sum_exp: &'a mut [f32],
    pub(crate) log_probability: &'a mut [f32],
    pub(crate) z_loss: &'a mut [f32],
    pub(crate) argmax: &'a mut [usize],
    pub(crate) correct: &'a mut [bool],
    pub(crate) entropy: &'a mut [f32],
}

impl Wanted<'_> {
    fn split_at(self, row: usize) -> (Self, Self) {
        fn split<T>(all: &mut [T], row: usize) -> (&mut [T], &mut [T]) {
            all.split_at_mut(row.min(all.len()))
        }
        let (log_sum_exp, other_log_sum_exp) = split(self.log_sum_exp, row);
        let (log_probability, other_log_probability) = split(self.log_probability, row);
        let (z_loss, other_z_loss) = split(self.z_loss, row);
        let (argmax, other_argmax) = split(self.argmax, row);
        let (correct, other_correct) = split(self.correct, row);
        let (entropy, other_entropy) = split(self.entropy, row);
        (
            Self { log_sum_exp, log_probability, z_loss, argmax, correct, entropy },
            Self {
                log_sum_exp: other_log_sum_exp,
                log_probability: other_log_probability,
                z_loss: other_z_loss,
                argmax: other_argmax,
                correct: other_correct,
                entropy: other_entropy,
            },
        )
    }
}

/// An operation on rows with labels, and the statistics of these rows.
pub(crate) struct Inspect<'a, O> {
    pub(crate) inner: O,
    /// What a z-loss multiplies.
    pub(crate) z_loss: f64,
    pub(crate) wanted: Wanted<'a>,
}

impl<O: Operation> Operation for Inspect<'_, O> {
    type Place = O::Place;
    type Epilogue = O::Epilogue;
    type Watch<'b> = O::Watch<'b>;
    const AT_LABEL: bool = O::AT_LABEL;
    const LOOKS_BACK: bool = true;

    fn place(&self) -> &O::Place {
        self.inner.place()
    }

    fn place_mut(&mut self) -> &mut O::Place {
        self.inner.place_mut()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (inner, other_inner) = self.inner.split_at(row);
        let (wanted, other_wanted) = self.wanted.split_at(row);
        (Self { inner, wanted, ..self }, Self { inner: other_inner, wanted: other_wanted, ..self })
    }

    fn seam(&self, near: usize) -> Option<usize> {
        self.inner.seam(near)
    }

    #[inline(always)]
    fn load<S: Simd>(&mut self, simd: S, first: usize, rows: &[Row], labels: &mut Vec<f32>, direct: bool) {
        self.inner.load(simd, first, rows, labels, direct);
    }

    #[inline(always)]
    fn dense<'b>(&self, made: &'b [f32]) -> Option<LabelRows<'b>>
    where
        Self: 'b,
    {
        self.inner.dense(made)
    }

    #[inline(always)]
    fn labels(&self, first: usize, labels: &mut [usize]) {
        self.inner.labels(first, labels);
    }

    fn ignore(&mut self, row: usize) {
        let Wanted { log_sum_exp, log_probability, z_loss, argmax, correct, entropy } = &mut self.wanted;
        set(log_sum_exp, row, f32::NEG_INFINITY);
        set(log_probability, row, 0.0);
        set(z_loss, row, 0.0);
        set(argmax, row, usize::MAX);
        set(correct, row, false);
        set(entropy, row, 0.0);
        self.inner.ignore(row);
    }

    #[inline(always)]
    fn watch(labels: Option<&[f32]>) -> O::Watch<'_> {
        O::watch(labels)
    }

    #[inline(always)]
    fn logit(&self, row: Row) -> f64 {
        self.inner.logit(row)
    }

    #[inline(always)]
    fn end<S: Simd, const N: usize>(
        &mut self,
        simd: S,
        rows: &[Row],
        ends: &mut Ends<N>,
        seen: &[Seen; N],
    ) -> Finish<N> {
        self.of_sums(simd, rows, ends, seen);
        let place = self.inner.place();
        let Wanted { argmax: indices, correct, entropy, .. } = &mut self.wanted;
        if !indices.is_empty() || !correct.is_empty() {
            for row in rows {
                let logits = place.logits(row.index);
                let index = simd.outline(
                    #[inline(always)]
                    || argmax(simd, logits),
                );
                set(indices, row.index, index);
                set(correct, row.index, index == row.label && !logits[index].to_f32().is_nan());
            }
        }
        if !entropy.is_empty() {
            let of_max = ends.losses(simd, &ends.max);
            for (i, row) in rows.iter().enumerate() {
                let logits = place.logits(row.index);
                let (reference, max) = (ends.partial(i).reference(), narrow(ends.max[i]));
                let distance = simd.outline(
                    #[inline(always)]
                    || distance(simd, logits, reference, max),
                );
                // NaN where there is no softmax.
                let value = of_max[i] + distance / ends.sum[i];
                entropy[row.index] = narrow(if of_max[i].is_nan() { of_max[i] } else { value });
            }
        }
        self.inner.end(simd, rows, ends, seen)
    }

    fn dominant(&self, row: Row, label: f64, of_dominant: f64, scale: f64, seen: &Seen) -> f32 {
        self.inner.dominant(row, label, of_dominant, scale, seen)
    }
}

impl<O: Operation> Inspect<'_, O> {
    /// What takes no more than the sums of the rows.
    #[inline(always)]
    fn of_sums<S: Simd, const N: usize>(
        &mut self,
        simd: S,
        rows: &[Row],
        ends: &mut Ends<N>,
        seen: &[Seen; N],
    ) {
        let Wanted { log_sum_exp, log_probability, z_loss, .. } = &mut self.wanted;
        if !log_sum_exp.is_empty() {
            for (row, value) in rows.iter().zip(ends.log_sum_exp(simd)) {
                log_sum_exp[row.index] = value;
            }
        }
        if !z_loss.is_empty() {
            let logs = ends.log_relative(simd);
            for (i, row) in rows.iter().enumerate() {
                // The logarithm of an infinite sum is NaN, for losses.
                let infinite = ends.sum[i] == f64::INFINITY;
                let log_sum_exp = if infinite { f64::INFINITY } else { ends.pivot[i] + logs[i] };
                z_loss[row.index] = narrow(ends.partial(i).z_loss_from(self.z_loss, log_sum_exp));
            }
        }
        if !log_probability.is_empty() {
            let mut logits = [0.0; N];
            for (to, seen) in logits.iter_mut().zip(seen) {
                *to = seen.logit;
            }
            for (row, loss) in rows.iter().zip(ends.losses(simd, &logits)) {
                log_probability[row.index] = 0.0 - narrow(loss);
            }
        }
    }
}

/// Sets a value, where there are any.
#[inline(always)]
fn set<T>(all: &mut [T], row: usize, value: T) {
    if let Some(to) = all.get_mut(row) {
        *to = value;
    }
}

/// `sum t_i (m - x_i)` for the terms `t_i` of a reference, over a row whose largest logit is `m`.
#[inline(always)]
fn distance<S: Simd, E: Element>(simd: S, logits: &[E], reference: Reference, max: f32) -> f64 {
    let exp = Exp::new(simd, reference);
    let mut sum = Distances { exp, max: simd.splat(max).widen(), sum: simd.wide_zero() };
    let (quads, tail) = Read(logits).quads();
    for quad in quads {
        for v in 0..4 {
            sum.add(simd, quad.load(simd, v));
        }
    }
    for v in 0..tail.vectors() {
        sum.add(simd, tail.load(simd, v));
    }
    sum.sum.reduce_add()
}

/// The sum of [`distance`].
struct Distances<S: Simd> {
    exp: Exp<S>,
    max: S::Wide,
    sum: S::Wide,
}

impl<S: Simd> Distances<S> {
    #[inline(always)]
    fn add(&mut self, simd: S, x: S::Lanes) {
        let (masked, zero) = (simd.splat(f32::NEG_INFINITY), simd.splat(0.0));
        // A class of probability 0 has no part, though its distance is large or infinite.
        let term = self.exp.term(x).zero_below(simd.splat(NEGLIGIBLE));
        let x = x.where_equal(masked, zero, x);
        self.sum = self.sum + term.widen() * (self.max - x.widen());
    }
}
