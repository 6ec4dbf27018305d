//! Row maximum and argmax.

use super::block::{BLOCK, block_max};
use super::lines::Lines;
use super::operation::for_groups;
use super::{Job, Join, Scratch};
use crate::element::Element;
use crate::simd::{LANES, Lanes, Simd};

/// The index of the largest logit of each row, the first of equal ones, and its value.
pub(crate) struct Maximum<'a> {
    pub(crate) logits: Lines<'a>,
    /// One index per row, or empty.
    pub(crate) indices: &'a mut [usize],
    /// One value per row, or empty.
    pub(crate) values: &'a mut [f32],
}

impl Job for Maximum<'_> {
    fn rows(&self) -> usize {
        self.logits.rows()
    }

    fn classes(&self) -> usize {
        self.logits.classes()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (logits, rest) = self.logits.split_at(row);
        let (indices, other_indices) = self.indices.split_at_mut(row.min(self.indices.len()));
        let (values, other_values) = self.values.split_at_mut(row.min(self.values.len()));
        (
            Self { logits, indices, values },
            Self { logits: rest, indices: other_indices, values: other_values },
        )
    }

    fn seam(&self, near: usize) -> Option<usize> {
        self.logits.seam(near)
    }

    #[inline(always)]
    fn eval<S: Simd>(mut self, simd: S, scratch: &mut Scratch, _: Option<Join>) {
        self.logits.exchange(&mut scratch.loaded.logits);
        for_groups(
            self.rows(),
            #[inline(always)]
            |first, group| {
                self.logits.load(simd, first, group);
                for row in group {
                    let logits = self.logits.row(row.index);
                    let index = argmax(simd, logits);
                    if let Some(to) = self.indices.get_mut(row.index) {
                        *to = index;
                    }
                    if let Some(to) = self.values.get_mut(row.index) {
                        *to = logits[index];
                    }
                }
            },
        );
        self.logits.exchange(&mut scratch.loaded.logits);
    }
}

/// The index of the first NaN, else of the first largest logit.
#[inline(always)]
pub(super) fn argmax<S: Simd, E: Element>(simd: S, logits: &[E]) -> usize {
    let (mut max, mut start) = (f32::NEG_INFINITY, 0);
    for (index, block) in logits.chunks(BLOCK).enumerate() {
        if may_hold_nan(simd, block)
            && let Some(nan) = block.iter().position(|x| x.to_f32().is_nan())
        {
            return index * BLOCK + nan;
        }
        let block_max = block_max(simd, block);
        if block_max > max {
            (max, start) = (block_max, index * BLOCK);
        }
    }
    start + first_index(&logits[start..], max)
}

/// The index of the first logit that equals `max`; 0 where none does.
#[inline(always)]
pub(crate) fn first_index<E: Element>(logits: &[E], max: f32) -> usize {
    #[expect(clippy::float_cmp, reason = "the maximum is one of the logits")]
    let is_max = |x: &E| x.to_f32() == max;
    for (i, chunk) in logits.chunks(LANES).enumerate() {
        // Without an early exit, so that it is a few vector instructions.
        if chunk.iter().fold(false, |any, x| any | is_max(x)) {
            return i * LANES + chunk.iter().position(is_max).unwrap_or(0);
        }
    }
    0
}

/// Whether a NaN or an infinity is among the logits: 0 times either is NaN.
#[inline(always)]
fn may_hold_nan<S: Simd, E: Element>(simd: S, logits: &[E]) -> bool {
    let zero = simd.splat(0.0);
    let mut sum = [zero; 4];
    let (groups, tail) = logits.as_chunks::<LANES>();
    for (i, group) in groups.iter().enumerate() {
        sum[i % 4] = E::load(simd, group).mul_add(zero, sum[i % 4]);
    }
    let sum = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    let tail = tail.iter().any(|x| !x.to_f32().is_finite());
    tail || sum.to_array().iter().any(|lane| lane.is_nan())
}
