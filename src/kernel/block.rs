//! Blocks: the runs of a row that are reduced on their own, always the same ones.

use super::exp::{Exp, NEGLIGIBLE, Reference};
use super::flow::{Flow, Read, Slots};
use super::partial::Partial;
use crate::element::{Element, Lanewise};
use crate::simd::{LANES, Lanes, Simd, Wide};

/// Logits of a block. Its maximum is swept while its logits come into L1 (2 KiB), its exponentials
/// while they are there. 256 and 2048 were measured slower.
pub(crate) const BLOCK: usize = 512;

/// The largest logit; NaN is passed over, -inf where there is nothing else.
#[inline(always)]
pub(crate) fn block_max<S: Simd, E: Element>(simd: S, logits: &[E]) -> f32 {
    let mut max = [simd.splat(f32::NEG_INFINITY); 4];
    let (quads, tail) = Read(logits).quads();
    for quad in quads {
        for (v, max) in max.iter_mut().enumerate() {
            *max = quad.load(simd, v).max(*max);
        }
    }
    for (v, max) in max.iter_mut().enumerate().take(tail.vectors()) {
        *max = tail.load(simd, v).max(*max);
    }
    max[0].max(max[1]).max(max[2].max(max[3])).reduce_max()
}

/// Writes the terms of a block where its flow puts them, and gives their sum.
#[inline(always)]
pub(crate) fn block_terms<S: Simd, F: Flow>(simd: S, block: F, max: f32) -> Partial {
    let reference = Reference::for_max(max);
    let exp = Exp::new(simd, reference);
    // Looked at before the terms may be written over the logits.
    let infinite = max == f32::INFINITY && !block.logits().iter().any(|x| x.to_f32().is_nan());
    let sum = sum_terms(
        simd,
        block,
        #[inline(always)]
        |x| exp.split(x),
    );
    let sum = if infinite {
        f64::INFINITY
    } else if max == f32::NEG_INFINITY && !sum.is_nan() {
        // Logits that are all -inf leave their negligible terms, which are no sum.
        0.0
    } else {
        sum
    };
    Partial::new(reference, sum)
}

/// The sum of a block's terms without that of logit `skip`.
#[inline(always)]
pub(crate) fn block_sum_without<S: Simd, E: Element>(
    simd: S,
    logits: &[E],
    skip: usize,
    reference: Reference,
) -> f64 {
    let mut copy = [E::NEG_INFINITY; BLOCK];
    let copy = &mut copy[..logits.len()];
    copy.copy_from_slice(logits);
    copy[skip] = E::NEG_INFINITY;
    let exp = Exp::new(simd, reference);
    without_negligible(sum_terms(
        simd,
        Read(copy),
        #[inline(always)]
        |x| exp.split(x),
    ))
}

/// As [`block_sum_without`], from the terms of the block instead of its logits.
#[inline(always)]
pub(crate) fn stored_sum_without<S: Simd>(simd: S, terms: &[f32], skip: usize, reference: Reference) -> f64 {
    // The term of -inf, in the place of the skipped one and in the tail lanes, as from the logits.
    let nothing = Exp::new(simd, reference).term(simd.splat(f32::NEG_INFINITY)).to_array()[0];
    let mut copy = [nothing; BLOCK];
    copy[..terms.len()].copy_from_slice(terms);
    copy[skip] = nothing;
    let padded = Read(&copy[..terms.len().next_multiple_of(LANES)]);
    without_negligible(sum_terms(
        simd,
        padded,
        #[inline(always)]
        |term| (term, simd.splat(1.0)),
    ))
}

/// A sum of nothing but negligible terms is 0.
#[inline(always)]
fn without_negligible(sum: f64) -> f64 {
    let limit = f64::from(NEGLIGIBLE) * 1e4;
    if sum < limit { 0.0 } else { sum }
}

/// Adds the terms of a block in an order that depends on its length alone: quads of vectors as a tree
/// in f32, then in f64, lane by lane, then the lanes as a tree.
///
/// Formula: `sum p_i s_i`, with `s_i` a power of two.
/// Trick: the product is exact, so one fused multiply-add stands for multiplication and addition.
#[inline(always)]
fn sum_terms<S: Simd, F: Flow>(simd: S, block: F, split: impl Fn(S::Lanes) -> (S::Lanes, S::Lanes)) -> f64 {
    let (quads, mut tail) = block.quads();
    let mut sum = simd.wide_zero();
    for mut quad in quads {
        sum = sum + quad_terms(simd, &mut quad, &split).widen();
    }
    if tail.vectors() > 0 {
        sum = sum + quad_terms(simd, &mut tail, &split).widen();
    }
    sum.reduce_add()
}

/// `(t0 + t1) + (t2 + t3)`, without the vectors that are not there.
#[inline(always)]
fn quad_terms<S: Simd, Q: Slots>(
    simd: S,
    quad: &mut Q,
    split: &impl Fn(S::Lanes) -> (S::Lanes, S::Lanes),
) -> S::Lanes {
    let vectors = quad.vectors();
    let mut sum = term(simd, quad, 0, split);
    if vectors > 1 {
        sum = plus_term(simd, quad, 1, split, sum);
    }
    if vectors > 2 {
        let mut other = term(simd, quad, 2, split);
        if vectors > 3 {
            other = plus_term(simd, quad, 3, split, other);
        }
        sum = sum + other;
    }
    sum
}

/// The terms of one vector, which are also stored.
#[inline(always)]
fn term<S: Simd, Q: Slots>(
    simd: S,
    quad: &mut Q,
    vector: usize,
    split: &impl Fn(S::Lanes) -> (S::Lanes, S::Lanes),
) -> S::Lanes {
    let (p, scale) = split(quad.load(simd, vector));
    quad.store(vector, p * scale);
    p * scale
}

/// `sum` and the terms of one vector, which are also stored.
#[inline(always)]
fn plus_term<S: Simd, Q: Slots>(
    simd: S,
    quad: &mut Q,
    vector: usize,
    split: &impl Fn(S::Lanes) -> (S::Lanes, S::Lanes),
    sum: S::Lanes,
) -> S::Lanes {
    let (p, scale) = split(quad.load(simd, vector));
    quad.store(vector, p * scale);
    p.mul_add(scale, sum)
}
