//! Blocks: the runs of a row that are reduced on their own, always the same ones.

use super::exp::{Exp, LARGEST_TERM, NEGLIGIBLE, Reference};
use super::flow::{Flow, Move, Read, Slots};
use super::partial::Partial;
use crate::element::{Element, Lanewise};
use crate::simd::{Lanes, Simd, Wide};

/// Logits of a block: 2 KiB, so that it stays in L1 between the sweep for its maximum and the sweep
/// for its exponentials. 256 and 2048 were measured slower.
pub(crate) const BLOCK: usize = 512;

/// How far ahead of the sweep for the maximum memory is asked for. Half or a quarter of it was
/// measured slower.
const PREFETCH_BYTES: usize = 8192;

/// A running maximum in some chains, each of which passes over NaN: one where there is other work to do
/// meanwhile, four where nothing else hides the latency.
#[derive(Clone, Copy)]
struct Max<S: Simd, const CHAINS: usize>([S::Lanes; CHAINS]);

impl<S: Simd, const CHAINS: usize> Max<S, CHAINS> {
    #[inline(always)]
    fn new(simd: S) -> Self {
        Self([simd.splat(f32::NEG_INFINITY); CHAINS])
    }

    #[inline(always)]
    fn add<Q: Slots>(&mut self, simd: S, quad: &Q) {
        for v in 0..4 {
            if v < quad.vectors() {
                let max = &mut self.0[v % CHAINS];
                *max = quad.load(simd, v).max(*max);
            }
        }
    }

    #[inline(always)]
    fn reduce(self) -> f32 {
        let mut max = self.0[0];
        for other in &self.0[1..] {
            max = max.max(*other);
        }
        max.reduce_max()
    }
}

/// The largest logit; NaN is passed over, -inf where there is nothing else.
#[inline(always)]
pub(crate) fn block_max<S: Simd, E: Element>(simd: S, logits: &[E]) -> f32 {
    let mut max = Max::<S, 4>::new(simd);
    let (quads, tail) = Read(logits).quads();
    for quad in quads {
        max.add(simd, &quad);
    }
    max.add(simd, &tail);
    max.reduce()
}

/// A sum of f32 terms that is as good as exact.
///
/// Formula: `sum t_i`. Identity: with a `high` that starts at a power of two above any sum of a block, all
/// its values have one exponent, so `h = (high + t) - high` is exact, and so is the rest `t - h`.
/// Trick: terms come as `p s` with `s` a power of two. The product is exact, so that each fused
/// multiply-add takes it without a rounding of its own.
#[derive(Clone, Copy)]
pub(crate) struct Sum<S: Simd> {
    bias: S::Lanes,
    high: S::Lanes,
    low: S::Lanes,
}

impl<S: Simd> Sum<S> {
    /// For up to a block of terms that are smaller than `2^(exponent + 1)`.
    #[inline(always)]
    fn new(simd: S, exponent: i32) -> Self {
        Self::biased(simd, simd.splat(bias(exponent)))
    }

    /// With the [`bias`] of each lane.
    #[inline(always)]
    pub(crate) fn biased(simd: S, bias: S::Lanes) -> Self {
        Self { bias, high: bias, low: simd.splat(0.0) }
    }

    /// Adds the terms `p * scale`.
    #[inline(always)]
    pub(crate) fn add(&mut self, p: S::Lanes, scale: S::Lanes) {
        let high = p.mul_add(scale, self.high);
        let added = high - self.high;
        self.low = self.low + p.mul_sub(scale, added);
        self.high = high;
    }

    /// The sum of each lane, exact but for the last addition.
    #[inline(always)]
    pub(crate) fn lanes(self) -> S::Wide {
        (self.high - self.bias).widen() + self.low.widen()
    }

    /// The lanes as a tree, in f64.
    #[inline(always)]
    fn reduce(self) -> f64 {
        self.lanes().reduce_add()
    }
}

/// What a sum of up to a block of terms smaller than `2^(exponent + 1)` starts from.
#[inline(always)]
pub(crate) fn bias(exponent: i32) -> f32 {
    // A lane adds up 32 terms: less than 2^(exponent + 6).
    f32::from_bits((exponent + 7 + 127).cast_unsigned() << 23)
}

/// Writes the terms of a block, whose largest logit is `max`, where its flow puts them, and gives their
/// sum and the largest of the logits `ahead`.
///
/// The sweep for the next block's maximum is bound by loads, the one for this block's exponentials by
/// arithmetic: together they take hardly longer than the second alone.
#[inline(always)]
pub(crate) fn block_terms<S: Simd, F: Flow>(
    simd: S,
    block: F,
    max: f32,
    ahead: &[F::Element],
) -> (Partial, f32) {
    let reference = Reference::for_max(max);
    let exp = Exp::new(simd, reference);
    // Looked at before the terms may be written over the logits.
    let infinite = max == f32::INFINITY && !block.logits().iter().any(|x| x.to_f32().is_nan());
    let (sum, ahead_max) = if reference.pivot == 0.0 {
        sum_terms(
            simd,
            block,
            ahead,
            LARGEST_TERM,
            #[inline(always)]
            |x| exp.split(x),
            #[inline(always)]
            |x| exp.split(x),
        )
    } else {
        sum_terms(
            simd,
            block,
            ahead,
            LARGEST_TERM,
            #[inline(always)]
            |x| exp.split_from_pivot(x),
            #[inline(always)]
            |x| exp.split_from_pivot(x),
        )
    };
    let sum = if infinite {
        f64::INFINITY
    } else if max == f32::NEG_INFINITY && !sum.is_nan() {
        // Logits that are all -inf leave their negligible terms, which are no sum.
        0.0
    } else {
        sum
    };
    (Partial::new(reference, sum), ahead_max)
}

/// The term of one logit.
#[inline(always)]
pub(crate) fn term<S: Simd>(simd: S, logit: f32, reference: Reference) -> f32 {
    Exp::new(simd, reference).term(simd.splat(logit)).to_array()[0]
}

/// The sum of a block's terms without that of logit `skip`, from the logits.
#[inline(always)]
pub(crate) fn sum_without<S: Simd, E: Element>(
    simd: S,
    logits: &[E],
    skip: usize,
    reference: Reference,
) -> f64 {
    let exp = Exp::new(simd, reference);
    let mut terms = [0.0; BLOCK];
    let terms = &mut terms[..logits.len()];
    super::share::map(
        simd,
        Move(logits, terms),
        #[inline(always)]
        |x| exp.term(x),
    );
    stored_sum_without(simd, terms, skip)
}

/// As [`sum_without`], from the terms.
#[inline(always)]
pub(crate) fn stored_sum_without<S: Simd>(simd: S, terms: &[f32], skip: usize) -> f64 {
    let mut others = [0.0; BLOCK];
    let others = &mut others[..terms.len()];
    others.copy_from_slice(terms);
    others[skip] = 0.0;
    let max = block_max(simd, others);
    // Terms that are all negligible are no sum.
    if max <= NEGLIGIBLE {
        return 0.0;
    }
    let exponent = exponent_of(max);
    let one = simd.splat(1.0);
    let mut sum = Sum::new(simd, exponent);
    let (quads, tail) = Read(&*others).quads();
    for quad in quads {
        for v in 0..4 {
            sum.add(quad.load(simd, v), one);
        }
    }
    for v in 0..tail.vectors() {
        sum.add(tail.load_padded(simd, v, 0.0), one);
    }
    sum.reduce()
}

/// The binary exponent of a positive normal number.
#[inline(always)]
pub(crate) fn exponent_of(term: f32) -> i32 {
    (term.to_bits() >> 23).cast_signed() - 127
}

/// The terms of a block, stored and added in an order that depends on its length alone; and the largest
/// of the logits `ahead`.
#[inline(always)]
fn sum_terms<S: Simd, F: Flow>(
    simd: S,
    block: F,
    ahead: &[F::Element],
    exponent: i32,
    split_one: impl Fn([S::Lanes; 1]) -> ([S::Lanes; 1], [S::Lanes; 1]),
    split_two: impl Fn([S::Lanes; 2]) -> ([S::Lanes; 2], [S::Lanes; 2]),
) -> (f64, f32) {
    let mut sum = Sum::new(simd, exponent);
    let mut max = Max::<S, 1>::new(simd);
    let (quads, mut tail) = block.quads();
    let (mut ahead_quads, ahead_tail) = Read(ahead).quads();
    for mut quad in quads {
        add_pair(simd, &mut quad, 0, &mut sum, &split_two);
        add_pair(simd, &mut quad, 2, &mut sum, &split_two);
        if let Some(ahead) = ahead_quads.next() {
            ahead.prefetch(simd, PREFETCH_BYTES);
            max.add(simd, &ahead);
        }
    }
    let vectors = tail.vectors();
    for pair in 0..vectors / 2 {
        add_pair(simd, &mut tail, 2 * pair, &mut sum, &split_two);
    }
    if let Some(last) = vectors.checked_sub(1).filter(|last| last % 2 == 0) {
        let ([p], [scale]) = split_one([tail.load(simd, last)]);
        tail.store(last, p * scale);
        sum.add(p, scale);
    }
    // The first block of the next row may be longer than the last of this one.
    for ahead in ahead_quads {
        max.add(simd, &ahead);
    }
    max.add(simd, &ahead_tail);
    (sum.reduce(), max.reduce())
}

/// Stores and adds the terms of two vectors.
#[inline(always)]
fn add_pair<S: Simd, T: Slots>(
    simd: S,
    slots: &mut T,
    v: usize,
    sum: &mut Sum<S>,
    split: &impl Fn([S::Lanes; 2]) -> ([S::Lanes; 2], [S::Lanes; 2]),
) {
    let (p, scale) = split([slots.load(simd, v), slots.load(simd, v + 1)]);
    for i in 0..2 {
        slots.store(v + i, p[i] * scale[i]);
        sum.add(p[i], scale[i]);
    }
}
