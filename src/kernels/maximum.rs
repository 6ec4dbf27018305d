//! The largest logit of rows, and where it is.

use super::Kernel;
use super::classes::STEP;
use super::group::Group;
use super::group_rows::GroupRows;
use super::rows::BLOCK;
use crate::numbers::exp::{HIGH, Reference};
use crate::simd::half::{Line, LineRows};
use crate::simd::{LANES, Lanes, Simd};

/// Finds the largest logit of each row, of those that are not NaN, and the reference that the row's terms have.
pub(crate) struct Largest<'a> {
    pub(crate) rows: LineRows<'a>,
    /// Rows whose largest logit is at least this, and not above [`HIGH`], have the common reference.
    pub(crate) low: f32,
    pub(crate) max: &'a mut [f32],
    pub(crate) references: &'a mut [Reference],
}

impl Kernel for Largest<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        for (i, (max, reference)) in
            self.max.iter_mut().zip(self.references).enumerate().take(self.rows.len())
        {
            let row = self.rows.line(i);
            let mut room = [0.0; BLOCK];
            let size = match row {
                Line::F32(row) => row.len().max(1),
                Line::Half(..) => BLOCK,
            };
            *max = f32::NEG_INFINITY;
            for start in (0..row.len()).step_by(size) {
                let block = largest(simd, row.block(simd, start, size, &mut room));
                *max = if block > *max { block } else { *max };
            }
            // A row of nothing but NaN is NaN against any reference.
            *reference =
                if *max < self.low || *max > HIGH { Reference::for_max(*max) } else { Reference::TAME };
        }
    }
}

/// The largest logit of a row, of those that are not NaN.
#[inline(always)]
pub(super) fn largest<S: Simd>(simd: S, row: &[f32]) -> f32 {
    let mut all = [f32::NEG_INFINITY; LANES];
    for part in simd.parts() {
        largest_of_part(simd, row, part).store(&mut all, part);
    }
    largest_lane(all)
}

/// The largest of sixteen that are not NaN.
#[inline(always)]
pub(super) fn largest_lane(mut all: [f32; LANES]) -> f32 {
    // By halves: one after the other each would wait for the one before.
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            all[i] = if all[i + width] > all[i] { all[i + width] } else { all[i] };
        }
        width /= 2;
    }
    all[0]
}

/// The largest logits of a row, of those that are not NaN, in each lane of a part.
#[inline(always)]
pub(super) fn largest_of_part<S: Simd>(simd: S, row: &[f32], part: usize) -> S::Lanes {
    let (steps, tail) = row.as_chunks::<STEP>();
    let mut max = [simd.splat(f32::NEG_INFINITY); 4];
    for step in steps {
        for (max, from) in max.iter_mut().zip(step.as_chunks().0) {
            *max = simd.load(from, part).max(*max);
        }
    }
    for (max, from) in max.iter_mut().zip(tail.chunks(LANES)) {
        *max = simd.load_tail(from, part, f32::NEG_INFINITY).max(*max);
    }
    let [a, b, c, d] = max;
    a.max(b).max(c.max(d))
}

/// Finds the index of the first NaN of a row, else of its first largest logit.
pub(crate) struct Argmax<'a> {
    pub(crate) row: &'a [f32],
}

impl Kernel for Argmax<'_> {
    type Output = usize;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> usize {
        argmax(simd, self.row)
    }
}

/// As [`Argmax`], of each row of a group.
pub(crate) struct GroupArgmax<'a> {
    pub(crate) group: &'a Group,
    pub(crate) classes: usize,
    pub(crate) logits: GroupRows<'a>,
    pub(crate) to: &'a mut [usize; LANES],
}

impl Kernel for GroupArgmax<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        for i in 0..self.group.len {
            self.to[i] = argmax(simd, self.logits.row(self.group, i, self.classes));
        }
    }
}

/// As [`Argmax`].
#[inline(always)]
fn argmax<S: Simd>(simd: S, row: &[f32]) -> usize {
    let (mut max, mut start) = (f32::NEG_INFINITY, 0);
    for (index, block) in row.chunks(BLOCK).enumerate() {
        let block_max = largest(simd, block);
        if may_hold_nan(simd, block)
            && let Some(nan) = block.iter().position(|x| x.is_nan())
        {
            return index * BLOCK + nan;
        }
        if block_max > max {
            (max, start) = (block_max, index * BLOCK);
        }
    }
    let block = &row[start..];
    start + first_index(simd, &block[..block.len().min(BLOCK)], max)
}

/// The index of the first logit of a block that equals `max`, its largest; 0 where none does.
#[inline(always)]
#[expect(clippy::float_cmp, reason = "the maximum is one of the logits")]
pub(super) fn first_index<S: Simd>(simd: S, block: &[f32], max: f32) -> usize {
    if max == f32::NEG_INFINITY {
        return block.iter().position(|x| *x == max).unwrap_or(0);
    }
    let limit = simd.splat(max.next_down());
    let (steps, tail) = block.as_chunks::<STEP>();
    // Without an early exit, which nobody foresees: from behind, so that the first is what is left.
    let (mut bits, mut start) = (0, 0);
    for (i, chunk) in tail.chunks(LANES).enumerate() {
        for part in simd.parts() {
            let above = simd.load_tail(chunk, part, f32::NEG_INFINITY).above(limit);
            bits |= u64::from(above) << (i * LANES + part * LANES / S::PARTS);
            start = steps.len() * STEP;
        }
    }
    for (number, step) in steps.iter().enumerate().rev() {
        let mut own = 0;
        for (i, chunk) in step.as_chunks().0.iter().enumerate() {
            for part in simd.parts() {
                let above = simd.load(chunk, part).above(limit);
                own |= u64::from(above) << (i * LANES + part * LANES / S::PARTS);
            }
        }
        (bits, start) = if own == 0 { (bits, start) } else { (own, number * STEP) };
    }
    if bits == 0 { 0 } else { start + bits.trailing_zeros() as usize }
}

/// Whether a NaN or an infinity is among the logits: 0 times either is NaN.
#[inline(always)]
fn may_hold_nan<S: Simd>(simd: S, logits: &[f32]) -> bool {
    let zero = simd.splat(0.0);
    let (groups, tail) = logits.as_chunks::<LANES>();
    let mut all = [0.0; LANES];
    for part in simd.parts() {
        let mut sum = [zero; 4];
        let (fours, last) = groups.as_chunks::<4>();
        for four in fours {
            for (sum, x) in sum.iter_mut().zip(four) {
                *sum = simd.load(x, part).mul_add(zero, *sum);
            }
        }
        for (sum, x) in sum.iter_mut().zip(last) {
            *sum = simd.load(x, part).mul_add(zero, *sum);
        }
        ((sum[0] + sum[1]) + (sum[2] + sum[3])).store(&mut all, part);
    }
    for (all, x) in all.iter_mut().zip(tail) {
        *all += x * 0.0;
    }
    // Sums of zeros are zero, others NaN.
    all.iter().fold(0, |bits, lane| bits | lane.to_bits()) << 1 != 0
}

/// The largest logits of some rows, of those that are not NaN.
pub(crate) struct MaxOfRows<'a> {
    pub(crate) rows: &'a [&'a [f32]],
    pub(crate) which: &'a [bool; LANES],
    pub(crate) to: &'a mut [f32],
}

impl Kernel for MaxOfRows<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        for ((row, to), which) in self.rows.iter().zip(self.to).zip(self.which) {
            if *which {
                *to = largest(simd, row);
            }
        }
    }
}

/// The first classes of some rows whose logits are the largest ones, which are known.
pub(crate) struct FirstOfRows<'a> {
    pub(crate) rows: &'a [&'a [f32]],
    pub(crate) which: &'a [bool; LANES],
    pub(crate) max: &'a [f32; LANES],
    pub(crate) to: &'a mut [usize; LANES],
}

impl Kernel for FirstOfRows<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        for (i, row) in self.rows.iter().enumerate() {
            if self.which[i] {
                self.to[i] = first_index(simd, row, self.max[i]);
            }
        }
    }
}
