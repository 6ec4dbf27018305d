//! Rows of many classes that are neighbours in memory: sixteen of them in the lanes, class after class, as they lie.
//!
//! Formula and identity are those of [`rows`](super::rows), and so is the order of additions: what is there one of a row's
//! sixteen sums, in a lane, is here a vector of sixteen rows.
//!
//! Trick: nothing is turned. The four classes that a lane takes of a step go through the exponential together.

use super::Kernel;
use super::adder::{add, beyond};
use super::classes::{STEP, class_bits, leave_out};
use super::group::Group;
use super::rows::{BLOCK, PART};
use crate::numbers::exp::{Exp, LaneReference, NO_DEPTH, Parts, Reference, all_depths, are_out_of_range};
use crate::simd::strided::{Ahead, Columns};
use crate::simd::{LANES, Lanes, Simd, Wide};

/// Adds the terms of a group's rows, without the labels', against the reference of all ordinary rows, and tells whether no
/// term was too large for that.
pub(crate) struct SumColumns<'a> {
    /// Where logits are; in the tile, where they are not given.
    pub(crate) from: Option<Columns<'a, f32>>,
    pub(crate) classes: usize,
    pub(crate) group: &'a mut Group,
    /// One array per class, where terms are kept, if they are.
    pub(crate) tile: &'a mut [[f32; LANES]],
    pub(crate) keep: bool,
    pub(crate) sums: &'a mut ColumnSums,
    /// As that of [`SumTiles`](super::tiles::SumTiles).
    pub(crate) ahead: &'a mut [Ahead; 2],
}

/// The sums of sixteen rows: one vector of rows for each lane of `RowSum`.
#[repr(align(64))]
pub(crate) struct ColumnSums {
    high: [[f32; LANES]; LANES],
    low: [[f32; LANES]; LANES],
    /// The low parts of the blocks before.
    lows: [[f32; LANES]; LANES],
    total: [f64; LANES],
}

impl Kernel for SumColumns<'_> {
    type Output = bool;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> bool {
        // Then rows are copied and read as all others are: no code for it.
        if S::SMALL {
            return false;
        }
        let Self { from, classes, group, tile, keep, sums, ahead } = self;
        *sums = ColumnSums::EMPTY;
        let asks = ahead.each_ref().map(Ahead::is_far);
        let mut all =
            Adder { simd, from, classes, group: &*group, keep, ahead: *ahead, asks, seen: [NO_DEPTH; LANES] };
        all.read(sums, tile);
        let seen = all.seen;
        *ahead = all.ahead;
        group.ends.rest = sums.total;
        !are_out_of_range(all_depths(&seen))
    }
}

struct Adder<'a, S> {
    simd: S,
    from: Option<Columns<'a, f32>>,
    classes: usize,
    group: &'a Group,
    keep: bool,
    ahead: [Ahead; 2],
    asks: [bool; 2],
    /// The bits of depths.
    seen: [f32; LANES],
}

impl<S: Simd> Adder<'_, S> {
    #[expect(clippy::needless_bitwise_bool, reason = "without an early exit it is a vector loop")]
    #[inline(always)]
    fn read(&mut self, sums: &mut ColumnSums, tile: &mut [[f32; LANES]]) {
        let classes = self.classes;
        let labels = self.group.labels;
        if classes > BLOCK {
            self.see_labels();
        }
        for start in (0..classes).step_by(STEP) {
            if start > 0 && start.is_multiple_of(BLOCK) {
                sums.fold(self.simd);
                if start.is_multiple_of(PART) {
                    sums.close(self.simd);
                }
            }
            // As in rows of one block, labels are taken out of the powers; of more, out of the logits.
            let labelled = labels.iter().fold(false, |any, label| any | (label / STEP == start / STEP));
            match (classes - start >= STEP, labelled, classes > BLOCK) {
                (false, _, false) => self.last_step::<true, false>(start, sums, tile),
                (false, _, true) => self.last_step::<false, true>(start, sums, tile),
                (true, false, _) => self.step::<false, false>(start, sums, tile),
                (true, true, false) => self.step::<true, false>(start, sums, tile),
                (true, true, true) => self.step::<false, true>(start, sums, tile),
            }
        }
        sums.fold(self.simd);
        // What the lanes hold stays at hand.
        sums.total = sums.total(self.simd);
    }

    /// Notes the bits of the labels' terms.
    #[inline(always)]
    fn see_labels(&mut self) {
        let (simd, exp) = (self.simd, Exp::new(self.simd));
        let reference = LaneReference::splat(simd, Reference::TAME);
        for part in simd.parts() {
            let bits = exp.depth(reference.floor.max(simd.load(&self.group.ends.logit, part)), &reference);
            simd.load(&self.seen, part).or(bits).store(&mut self.seen, part);
        }
    }

    /// Adds the terms of 64 classes.
    #[inline(always)]
    fn step<const MASK: bool, const LEAVE_OUT: bool>(
        &mut self,
        start: usize,
        sums: &mut ColumnSums,
        tile: &mut [[f32; LANES]],
    ) {
        for lane in 0..LANES {
            self.lane::<MASK, LEAVE_OUT, 4>(start, lane, sums, tile);
        }
    }

    /// Adds the terms of the classes after the last whole step: what there is of them for each lane.
    #[inline(always)]
    fn last_step<const MASK: bool, const LEAVE_OUT: bool>(
        &mut self,
        start: usize,
        sums: &mut ColumnSums,
        tile: &mut [[f32; LANES]],
    ) {
        for lane in 0..LANES.min(self.classes - start) {
            match (self.classes - start - lane).div_ceil(LANES) {
                1 => self.lane::<MASK, LEAVE_OUT, 1>(start, lane, sums, tile),
                2 => self.lane::<MASK, LEAVE_OUT, 2>(start, lane, sums, tile),
                _ => self.lane::<MASK, LEAVE_OUT, 4>(start, lane, sums, tile),
            }
        }
    }

    /// Adds the terms of up to `N` classes, sixteen apart, to the sums of a lane.
    #[inline(always)]
    fn lane<const MASK: bool, const LEAVE_OUT: bool, const N: usize>(
        &mut self,
        start: usize,
        lane: usize,
        sums: &mut ColumnSums,
        tile: &mut [[f32; LANES]],
    ) {
        let (simd, from) = (self.simd, &self.from);
        let exp = Exp::new(simd);
        let references = [LaneReference::splat(simd, Reference::TAME); N];
        let labels = self.group.labels.map(class_bits);
        let (high, low) = (&mut sums.high[lane], &mut sums.low[lane]);
        for (ahead, asks) in self.ahead.iter_mut().zip(self.asks) {
            if asks {
                for _ in 0..N.div_ceil(2) {
                    ahead.ask(simd);
                }
            }
        }
        for part in simd.parts() {
            let label = simd.load(&labels, part);
            let mut x = [simd.splat(f32::NEG_INFINITY); N];
            for (i, x) in x.iter_mut().enumerate() {
                let class = start + i * LANES + lane;
                if class < self.classes {
                    let column = if let Some(from) = from { from.at(class) } else { &tile[class] };
                    *x = simd.load(column, part);
                    if LEAVE_OUT {
                        *x = leave_out(simd, *x, simd.splat(class_bits(class)), label);
                    }
                }
            }
            let Parts { mut power, q, depth, .. } = exp.parts_to_add(x, &references);
            let mut seen = simd.load(&self.seen, part);
            for (i, depth) in depth.into_iter().enumerate() {
                seen = seen.or(depth);
                let class = start + i * LANES + lane;
                if self.keep
                    && let Some(to) = tile.get_mut(class)
                {
                    power[i].mul_add(q[i], power[i]).store(to, part);
                }
                if MASK {
                    power[i] = power[i].zero_where_same(simd.splat(class_bits(class)), label);
                }
            }
            seen.store(&mut self.seen, part);
            let (mut a, mut b) = (simd.load(high, part), simd.load(low, part));
            add(&mut a, &mut b, power, beyond(simd, &power, &q));
            a.store(high, part);
            b.store(low, part);
        }
    }
}

impl ColumnSums {
    pub(crate) const EMPTY: Self = Self {
        high: [[0.0; LANES]; LANES],
        low: [[0.0; LANES]; LANES],
        lows: [[0.0; LANES]; LANES],
        total: [0.0; LANES],
    };

    /// Ends a block.
    #[inline(always)]
    fn fold<S: Simd>(&mut self, simd: S) {
        for (lows, low) in self.lows.iter_mut().zip(&mut self.low) {
            for part in simd.parts() {
                (simd.load(lows, part) + simd.load(low, part)).store(lows, part);
            }
            *low = [0.0; LANES];
        }
    }

    /// Adds what the lanes hold to the totals, at the end of a block.
    #[inline(always)]
    fn close<S: Simd>(&mut self, simd: S) {
        *self = Self { total: self.total(simd), ..Self::EMPTY };
    }

    /// The totals and what the lanes hold at the end of a block, added in the order of [`Simd::sum_lanes`].
    #[inline(always)]
    pub(super) fn total<S: Simd>(&self, simd: S) -> [f64; LANES] {
        let mut total = self.total;
        for part in simd.wide_parts() {
            let mut all = [simd.splat_wide(0.0); LANES];
            for (all, (high, lows)) in all.iter_mut().zip(self.high.iter().zip(&self.lows)) {
                *all = simd.widen(high, part) + simd.widen(lows, part);
            }
            let mut width = LANES / 2;
            while width > 0 {
                for i in 0..width {
                    all[i] = all[i] + all[i + width];
                }
                width /= 2;
            }
            (simd.load_wide(&self.total, part) + all[0]).store(&mut total, part);
        }
        total
    }

    /// What the lanes hold, to be added once more.
    pub(super) fn of_lanes(&self) -> Self {
        Self { high: self.high, lows: self.lows, ..Self::EMPTY }
    }

    /// Replaces what one lane holds of a row.
    pub(super) fn set(&mut self, lane: usize, row: usize, high: f32, lows: f32) {
        (self.high[lane][row], self.lows[lane][row]) = (high, lows);
    }
}
