//! How the terms of vectors are added.
//!
//! Formula: `high + low = sum power (1 + q)`, lane by lane.
//!
//! Identity: where `a >= b`, `b - ((a + b) - a)` is what `a + b` rounds away, and it is exact (Dekker).
//!
//! Trick: only the sums of two powers each are added to `high`, and what that rounds away to `low`; what `q` makes of the
//! powers is small, and goes to `low` at once. A term need not be made, nor rounded, to be added. What comes to `low` is
//! rounded each time, in rows of equal logits always in the same direction: so `low` is that of one block, and those of all
//! blocks are added for themselves.

use super::classes::{STEP, first, kept};
use crate::numbers::exp::{Exp, LaneReference, NEGLIGIBLE, Parts};
use crate::simd::{LANES, Lanes, Simd};

/// Adds steps of up to four vectors. Without `PIVOT` the pivot is 0. Without `CLAMP` no logit may be below the floor: `seen` tells
/// if one was.
pub(super) struct Adder<
    S: Simd,
    const PIVOT: bool,
    const CLAMP: bool,
    const MASK: bool,
    const DISTANCES: bool,
> {
    pub(super) label: usize,
    pub(super) simd: S,
    pub(super) exp: Exp<S>,
    pub(super) reference: LaneReference<S>,
    pub(super) part: usize,
    pub(super) high: S::Lanes,
    pub(super) low: S::Lanes,
    /// The low parts of the blocks before.
    pub(super) lows: S::Lanes,
    /// The bits of depths.
    pub(super) seen: S::Lanes,
    /// What distances are measured from, less the pivot.
    pub(super) from: S::Lanes,
    pub(super) distance: S::Lanes,
}

/// The powers of a step that are still to be added, and what its terms have beyond them: to add them at once would fill the
/// processor's window with what cannot start yet.
#[derive(Clone, Copy)]
pub(super) struct Pending<S: Simd, const N: usize> {
    pub(super) power: [S::Lanes; N],
    pub(super) beyond: S::Lanes,
}

impl<S: Simd, const PIVOT: bool, const CLAMP: bool, const MASK: bool, const DISTANCES: bool>
    Adder<S, PIVOT, CLAMP, MASK, DISTANCES>
{
    /// The powers of a step, of which there are `len` where it is not whole. Of depths those bits are noted that are `noted`.
    #[inline(always)]
    pub(super) fn step<const N: usize>(
        &mut self,
        mut x: [S::Lanes; N],
        index: usize,
        len: Option<usize>,
        noted: Option<S::Lanes>,
        to: Option<&mut [[f32; LANES]; 4]>,
    ) -> Pending<S, N> {
        if PIVOT {
            for x in &mut x {
                *x = *x - self.reference.pivot;
            }
        }
        let reference = [self.reference; N];
        let Parts { x, mut power, q, depth } = if CLAMP {
            self.exp.parts_to_add(x, &reference)
        } else {
            self.exp.parts_above_floor(x, &reference)
        };
        let mut depths = depth[0];
        for depth in &depth[1..] {
            depths = depths.or(*depth);
        }
        if let Some(noted) = noted {
            depths = depths.and(noted);
        }
        self.seen = self.seen.or(depths);
        if let Some(len) = len {
            for (power, kept) in power.iter_mut().zip(first(len)) {
                *power = power.and(self.simd.load(kept, self.part));
            }
        }
        if DISTANCES {
            // A logit of -inf is at the floor, and its term too small for any sum to see.
            let mut sum = self.simd.splat(0.0);
            for i in 0..N {
                sum = power[i].mul_add(q[i], power[i]).mul_add(self.from - x[i], sum);
            }
            self.distance = self.distance + sum;
        }
        let mut added = power;
        if MASK {
            for (power, kept) in added.iter_mut().zip(kept(self.label.wrapping_sub(index * STEP))) {
                *power = power.and(self.simd.load(kept, self.part));
            }
        }
        let beyond = beyond(self.simd, &added, &q);
        if let Some(to) = to {
            let mut terms = [self.simd.splat(0.0); 4];
            for (term, (power, q)) in terms.iter_mut().zip(power.iter().zip(&q)) {
                *term = power.mul_add(*q, *power);
            }
            self.simd.store_step(terms, to, self.part);
        }
        Pending { power: S::Lanes::in_step(added), beyond }
    }

    /// Adds the `N` vectors after the last whole step: logits, and what stands for those past the end.
    #[inline(always)]
    pub(super) fn tail<const N: usize>(
        &mut self,
        (logits, pad): (&[f32], f32),
        index: usize,
        noted: Option<S::Lanes>,
        to: Option<&mut [[f32; LANES]; 4]>,
    ) {
        let mut x = [self.simd.splat(pad); N];
        let (lines, last) = logits.split_at(logits.len().min((N - 1) * LANES));
        for (x, line) in x.iter_mut().zip(lines.chunks(LANES)) {
            *x = match line.first_chunk() {
                Some(line) => self.simd.load(line, self.part),
                None => self.simd.load_tail(line, self.part, pad),
            };
        }
        if !last.is_empty() {
            x[N - 1] = self.simd.load_tail(last, self.part, pad);
        }
        let pending = self.step(x, index, Some(logits.len()), noted, to);
        self.add(&pending);
    }

    #[inline(always)]
    pub(super) fn add<const N: usize>(&mut self, pending: &Pending<S, N>) {
        add(&mut self.high, &mut self.low, pending.power, pending.beyond);
    }

    /// Ends a block, and adds its distances to those of all.
    #[inline(always)]
    pub(super) fn fold(&mut self, distances: &mut [f64; LANES]) {
        let zero = self.simd.splat(0.0);
        (self.lows, self.low) = (self.lows + self.low, zero);
        if DISTANCES {
            let mut own = [0.0; LANES];
            self.distance.store(&mut own, self.part);
            self.distance = zero;
            let lanes = LANES / S::PARTS;
            let own_lanes = self.part * lanes..(self.part + 1) * lanes;
            for (all, own) in distances[own_lanes.clone()].iter_mut().zip(&own[own_lanes]) {
                *all += f64::from(*own);
            }
        }
    }
}

/// What terms have beyond their powers. A term that is added has not been rounded: the largest one's error would be that
/// of the sum.
#[inline(always)]
pub(super) fn beyond<S: Simd, const N: usize>(simd: S, power: &[S::Lanes; N], q: &[S::Lanes; N]) -> S::Lanes {
    // Of masked classes it would be subnormal, which costs a hundred cycles, but for a number that no sum sees.
    let mut sum = simd.splat(NEGLIGIBLE);
    for (power, q) in power.iter().zip(q) {
        sum = power.mul_add(*q, sum);
    }
    sum
}

/// Adds powers, two at a time, and what their terms have beyond them, to a sum in two parts.
#[inline(always)]
pub(super) fn add<L: Lanes, const N: usize>(high: &mut L, low: &mut L, powers: [L; N], beyond: L) {
    *low = *low + beyond;
    let (pairs, last) = powers.as_chunks();
    for [a, b] in pairs {
        add_power(high, low, *a + *b);
    }
    for power in last {
        add_power(high, low, *power);
    }
}

/// Adds a number that is not negative, as the sum so far, and what is lost of the smaller of the two. (Of four, rounded twice,
/// the sum of a row that one term dominates would be off by a unit, and a share by two.)
#[inline(always)]
fn add_power<L: Lanes>(high: &mut L, low: &mut L, power: L) {
    let sum = *high + power;
    *low = *low + (high.min(power) - (sum - high.max(power)));
    *high = sum;
}
