//! Labels that are distributions: their mass, and how far from an origin the logits are that they weigh.
//!
//! Formula: `sum t_i` and `sum t_i (o - x_i)` for an origin `o`. In f64, where differences of f32 next to each other and
//! their products with a third are exact enough. A label of 0 contributes 0, whatever the logit.

use super::Kernel;
use super::gradient::sum_of;
use crate::simd::{LANES, Lanes, Simd, Wide};

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
    fn eval<S: Simd>(self, simd: S) -> Mass {
        weigh(simd, self.logits, self.labels, self.origin)
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
    fn eval<S: Simd>(self, simd: S) {
        let rows = self.logits.iter().zip(self.labels).zip(self.origins);
        for (((logits, labels), origin), to) in rows.zip(self.to) {
            *to = weigh(simd, logits, labels, f64::from(*origin));
        }
    }
}

#[inline(always)]
fn weigh<S: Simd>(simd: S, logits: &[f32], labels: &[f32], origin: f64) -> Mass {
    let mut sums = [[0.0; LANES]; 3];
    let (logits, tail) = logits.as_chunks::<LANES>();
    let (labels, label_tail) = labels.as_chunks::<LANES>();
    for (x, t) in logits.iter().zip(labels) {
        weigh_lanes(simd, x, t, origin, &mut sums);
    }
    if !tail.is_empty() {
        let (mut x, mut t) = ([0.0; LANES], [0.0; LANES]);
        x[..tail.len()].copy_from_slice(tail);
        t[..tail.len()].copy_from_slice(label_tail);
        weigh_lanes(simd, &x, &t, origin, &mut sums);
    }
    let [total, magnitude, distance] = sums.map(sum_of);
    Mass { total, magnitude, distance }
}

/// Adds what sixteen labels weigh to the sums of the parts of a [`Mass`].
#[inline(always)]
fn weigh_lanes<S: Simd>(
    simd: S,
    x: &[f32; LANES],
    t: &[f32; LANES],
    origin: f64,
    [total, magnitude, distance]: &mut [[f64; LANES]; 3],
) {
    let (origin, zero) = (simd.splat_wide(origin), simd.splat_wide(0.0));
    let mut weighed = [0.0; LANES];
    for part in simd.parts() {
        simd.load(x, part).zero_where_zero(simd.load(t, part)).store(&mut weighed, part);
    }
    for part in simd.wide_parts() {
        let (label, x) = (simd.widen(t, part), simd.widen(&weighed, part));
        (simd.load_wide(total, part) + label).store(total, part);
        (simd.load_wide(magnitude, part) + label.max(zero - label)).store(magnitude, part);
        (simd.load_wide(distance, part) + label * (origin - x)).store(distance, part);
    }
}

/// The classes of a row that take part, and the sum of what their logits are below an origin.
pub(crate) struct Uniform<'a> {
    pub(crate) logits: &'a [f32],
    pub(crate) origin: f64,
}

impl Kernel for Uniform<'_> {
    type Output = Mass;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> Mass {
        let mut sums = [[0.0; LANES]; 2];
        let (logits, tail) = self.logits.as_chunks::<LANES>();
        if all_take_part(simd, logits) {
            add_all(simd, logits, self.origin, &mut sums);
        } else {
            for x in logits {
                count_lanes(simd, x, self.origin, &mut sums);
            }
        }
        if !tail.is_empty() {
            let mut x = [f32::NEG_INFINITY; LANES];
            x[..tail.len()].copy_from_slice(tail);
            count_lanes(simd, &x, self.origin, &mut sums);
        }
        let [total, distance] = sums.map(sum_of);
        Mass { total, magnitude: total, distance }
    }
}

/// Whether no logit is -inf.
#[inline(always)]
fn all_take_part<S: Simd>(simd: S, logits: &[[f32; LANES]]) -> bool {
    let mut least = [f32::INFINITY; LANES];
    for part in simd.parts() {
        let mut all = [simd.splat(f32::INFINITY); 4];
        for lines in logits.chunks(4) {
            for (least, x) in all.iter_mut().zip(lines) {
                *least = simd.load(x, part).min(*least);
            }
        }
        all[0].min(all[1]).min(all[2].min(all[3])).store(&mut least, part);
    }
    least.iter().all(|x| *x > f32::NEG_INFINITY)
}

/// As [`count_lanes`], of logits that all take part.
#[inline(always)]
fn add_all<S: Simd>(
    simd: S,
    logits: &[[f32; LANES]],
    origin: f64,
    [count, distance]: &mut [[f64; LANES]; 2],
) {
    let origin = simd.splat_wide(origin);
    const { assert!(S::WIDE_PARTS <= 4, "a sum for each part") };
    let mut sums = [simd.splat_wide(0.0); 4];
    for x in logits {
        for (part, sum) in sums.iter_mut().take(S::WIDE_PARTS).enumerate() {
            *sum = *sum + (origin - simd.widen(x, part));
        }
    }
    for (part, sum) in sums.iter().take(S::WIDE_PARTS).enumerate() {
        sum.store(distance, part);
    }
    #[expect(clippy::cast_precision_loss, reason = "a number of lines")]
    let lines = logits.len() as f64;
    *count = [lines; LANES];
}

/// Counts which of sixteen logits take part, and adds how far these are below the origin.
#[inline(always)]
fn count_lanes<S: Simd>(simd: S, x: &[f32; LANES], origin: f64, [count, distance]: &mut [[f64; LANES]; 2]) {
    let (origin, one, least) = (simd.splat_wide(origin), simd.splat(1.0), simd.splat(f32::MIN));
    let [mut takes_part, mut finite] = [[0.0; LANES]; 2];
    for part in simd.parts() {
        let x = simd.load(x, part);
        one.zero_below(x, least).store(&mut takes_part, part);
        x.zero_below(x, least).store(&mut finite, part);
    }
    for part in simd.wide_parts() {
        let takes_part = simd.widen(&takes_part, part);
        let below = origin * takes_part - simd.widen(&finite, part);
        (simd.load_wide(count, part) + takes_part).store(count, part);
        (simd.load_wide(distance, part) + below).store(distance, part);
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
        let exp = Exp::new(simd);
        let reference = [LaneReference::splat(simd, self.reference)];
        // Of a row without any distribution the terms tell.
        let max = simd.splat_wide(if self.max.is_finite() { self.max.into() } else { 0.0 });
        let mut sum = [0.0; LANES];
        for logits in self.logits.chunks(LANES) {
            let mut x = [f32::NEG_INFINITY; LANES];
            x[..logits.len()].copy_from_slice(logits);
            let mut terms = [0.0; LANES];
            for part in simd.parts() {
                let own = simd.load(&x, part);
                let ([term], _) = exp.terms::<1, true>([own], &reference);
                // A class of probability 0 has no part, though its distance is large or infinite.
                let term = term.zero_below(term, simd.splat(NEGLIGIBLE));
                term.store(&mut terms, part);
                own.zero_where_zero(term).store(&mut x, part);
            }
            for part in simd.wide_parts() {
                let product = simd.widen(&terms, part) * (max - simd.widen(&x, part));
                (simd.load_wide(&sum, part) + product).store(&mut sum, part);
            }
        }
        sum_of(sum)
    }
}
