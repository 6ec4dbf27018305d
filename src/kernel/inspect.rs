//! What one read of a row tells of its prediction: log-sum-exp, log-probability of the label, argmax, entropy.
//!
//! Entropy: `-sum p_i ln p_i = (lse - m) + sum p_i (m - x_i)` for the largest logit `m`: no part is negative.

use super::ends::Ends;
use super::epilogue::Nothing;
use super::exp::{Exp, NEGLIGIBLE, Reference};
use super::flow::{Flow, Read, Slots};
use super::maximum::argmax;
use super::operation::{Finish, Operation, Row, Seen};
use super::place::Place;
use super::share::narrow;
use crate::element::{Element, Lanewise};
use crate::labels::RowLabels;
use crate::simd::{Lanes, Simd, Wide};

/// Where statistics go, one of each for every row; empty where they are not wanted.
pub(crate) struct Wanted<'a> {
    pub(crate) log_sum_exp: &'a mut [f32],
    pub(crate) log_probability: &'a mut [f32],
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
        let (argmax, other_argmax) = split(self.argmax, row);
        let (correct, other_correct) = split(self.correct, row);
        let (entropy, other_entropy) = split(self.entropy, row);
        (
            Self { log_sum_exp, log_probability, argmax, correct, entropy },
            Self {
                log_sum_exp: other_log_sum_exp,
                log_probability: other_log_probability,
                argmax: other_argmax,
                correct: other_correct,
                entropy: other_entropy,
            },
        )
    }
}

/// The statistics of rows with labels.
pub(crate) struct Inspect<'a, P> {
    pub(crate) place: P,
    pub(crate) labels: RowLabels<'a>,
    pub(crate) wanted: Wanted<'a>,
}

impl<P: Place> Operation for Inspect<'_, P> {
    type Place = P;
    type Epilogue = Nothing;
    type Watch<'b> = ();
    const AT_LABEL: bool = true;
    const LOOKS_BACK: bool = true;

    fn place(&self) -> &P {
        &self.place
    }

    fn place_mut(&mut self) -> &mut P {
        &mut self.place
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (place, other_place) = self.place.split_at(row);
        let (labels, other_labels) = self.labels.split_at(row);
        let (wanted, other_wanted) = self.wanted.split_at(row);
        (
            Self { place, labels, wanted },
            Self { place: other_place, labels: other_labels, wanted: other_wanted },
        )
    }

    #[inline(always)]
    fn labels(&self, first: usize, labels: &mut [usize]) {
        self.labels.classes(first, labels);
    }

    fn ignore(&mut self, row: usize) {
        let Wanted { log_sum_exp, log_probability, argmax, correct, entropy } = &mut self.wanted;
        set(log_sum_exp, row, f32::NEG_INFINITY);
        set(log_probability, row, 0.0);
        set(argmax, row, usize::MAX);
        set(correct, row, false);
        set(entropy, row, 0.0);
    }

    fn watch(_labels: Option<&[f32]>) {}

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
        let Wanted { log_sum_exp, log_probability, argmax: indices, correct, entropy } = &mut self.wanted;
        if !log_sum_exp.is_empty() {
            for (row, value) in rows.iter().zip(ends.log_sum_exp(simd)) {
                log_sum_exp[row.index] = value;
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
        if !indices.is_empty() || !correct.is_empty() {
            for row in rows {
                let logits = self.place.logits(row.index);
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
                let logits = self.place.logits(row.index);
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
        Finish::NOTHING
    }

    fn dominant(&self, _row: Row, _label: f64, _of_dominant: f64, _scale: f64, _seen: &Seen) -> f32 {
        0.0
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
