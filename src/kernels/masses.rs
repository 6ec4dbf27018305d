//! Labels that are distributions: their mass, and how far from an origin the logits are that they weigh.
//!
//! Formula: `sum t_i` and `sum t_i (o - x_i)` for an origin `o`. In f64, where differences of f32 next to each other and
//! their products with a third are exact enough. A label of 0 contributes 0, whatever the logit.

use super::Kernel;
use super::gradient::sum_of;
use crate::simd::{LANES, Simd};

/// What labels weigh.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mass {
    pub(crate) total: f64,
    /// The same of magnitudes.
    pub(crate) magnitude: f64,
    pub(crate) distance: f64,
}

/// Weighs the logits of a row by labels.
pub(crate) struct Weigh<'a> {
    pub(crate) logits: &'a [f32],
    pub(crate) labels: &'a [f32],
    pub(crate) origin: f64,
}

impl Kernel for Weigh<'_> {
    type Output = Mass;

    #[inline(always)]
    fn eval<S: Simd>(self, _simd: S) -> Mass {
        weigh(self.logits, self.labels, self.origin)
    }
}

/// As [`Weigh`], of the rows of a group.
pub(crate) struct WeighRows<'a> {
    pub(crate) logits: &'a [&'a [f32]],
    pub(crate) labels: &'a [&'a [f32]],
    pub(crate) origins: &'a [f32; LANES],
    pub(crate) to: &'a mut [Mass; LANES],
}

impl Kernel for WeighRows<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, _simd: S) {
        let rows = self.logits.iter().zip(self.labels).zip(self.origins);
        for (((logits, labels), origin), to) in rows.zip(self.to) {
            *to = weigh(logits, labels, f64::from(*origin));
        }
    }
}

#[inline(always)]
fn weigh(logits: &[f32], labels: &[f32], origin: f64) -> Mass {
    let [mut total, mut magnitude, mut distance] = [[0.0; LANES]; 3];
    let (logits, tail) = logits.as_chunks::<LANES>();
    let (labels, label_tail) = labels.as_chunks::<LANES>();
    let mut add = |x: &[f32; LANES], t: &[f32; LANES]| {
        for i in 0..LANES {
            let label = f64::from(t[i]);
            // Chosen by bits, so that there is no branch.
            let product = label * (origin - f64::from(x[i]));
            total[i] += label;
            magnitude[i] += label.abs();
            distance[i] += if t[i] == 0.0 { 0.0 } else { product };
        }
    };
    for (x, t) in logits.iter().zip(labels) {
        add(x, t);
    }
    if !tail.is_empty() {
        let (mut x, mut t) = ([0.0; LANES], [0.0; LANES]);
        x[..tail.len()].copy_from_slice(tail);
        t[..tail.len()].copy_from_slice(label_tail);
        add(&x, &t);
    }
    Mass { total: sum_of(total), magnitude: sum_of(magnitude), distance: sum_of(distance) }
}

/// The classes of a row that take part, and the sum of what their logits are below an origin.
pub(crate) struct Uniform<'a> {
    pub(crate) logits: &'a [f32],
    pub(crate) origin: f64,
}

impl Kernel for Uniform<'_> {
    type Output = Mass;

    #[inline(always)]
    fn eval<S: Simd>(self, _simd: S) -> Mass {
        let [mut count, mut distance] = [[0.0; LANES]; 2];
        let (logits, tail) = self.logits.as_chunks::<LANES>();
        let mut add = |x: &[f32; LANES]| {
            for i in 0..LANES {
                let takes_part = x[i] != f32::NEG_INFINITY;
                count[i] += if takes_part { 1.0 } else { 0.0 };
                distance[i] += if takes_part { self.origin - f64::from(x[i]) } else { 0.0 };
            }
        };
        for x in logits {
            add(x);
        }
        if !tail.is_empty() {
            let mut x = [f32::NEG_INFINITY; LANES];
            x[..tail.len()].copy_from_slice(tail);
            add(&x);
        }
        let total = sum_of(count);
        Mass { total, magnitude: total, distance: sum_of(distance) }
    }
}

/// Weighs the distances of a row's logits from its largest by their terms: what an entropy is made of.
pub(crate) struct Spread<'a> {
    pub(crate) logits: &'a [f32],
    pub(crate) reference: crate::numbers::exp::Reference,
    pub(crate) max: f32,
}

impl Kernel for Spread<'_> {
    type Output = f64;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> f64 {
        use crate::numbers::exp::{Exp, LaneReference, NEGLIGIBLE};
        use crate::simd::Lanes;
        let exp = Exp::new(simd);
        let reference = [LaneReference::splat(simd, self.reference)];
        let max = f64::from(self.max);
        let mut sum = [0.0; LANES];
        for logits in self.logits.chunks(LANES) {
            let mut x = [f32::NEG_INFINITY; LANES];
            x[..logits.len()].copy_from_slice(logits);
            let mut terms = [0.0; LANES];
            for part in 0..S::PARTS {
                let ([term], _) = exp.terms::<1, true>([simd.load(&x, part)], &reference);
                // A class of probability 0 has no part, though its distance is large or infinite.
                term.zero_below(term, simd.splat(NEGLIGIBLE)).store(&mut terms, part);
            }
            for i in 0..LANES {
                let product = f64::from(terms[i]) * (max - f64::from(x[i]));
                sum[i] += if terms[i] == 0.0 { 0.0 } else { product };
            }
        }
        sum_of(sum)
    }
}
