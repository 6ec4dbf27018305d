//! Rows of few classes: sixteen of them in the lanes.
//!
//! Formula: `sum e^(x_j - m)` over all classes but the label, whose logit is taken out first: its place holds -inf.
//!
//! Identity: against a number with the exponent of the largest possible sum, `high + t` rounds a term to a multiple of
//! one unit; what that leaves, `t - ((high + t) - high)`, is exact and is summed by itself.
//!
//! Trick: the terms of two tiles side by side. One alone is a chain too long for the processor to fill its units from.

use core::f32::consts::LOG2_E;

use super::Kernel;
use super::gather::{AnyColumns, ahead_of};
use super::group::Group;
use crate::numbers::exp::{Exp, LaneReference, ROUNDER, lane_reference};
use crate::simd::half::{Line, widen};
use crate::simd::strided::{Ahead, Strided};
use crate::simd::tile::{TileRows, TileRowsMut};
use crate::simd::{LANES, Lanes, Simd, Wide};

/// Tiles of one call to a kernel, at most.
pub(crate) const TILES: usize = 8;

/// Brings rows into tiles.
pub(crate) struct LoadTiles<'a> {
    pub(crate) from: Strided<'a>,
    pub(crate) groups: &'a [Group],
    /// One array per class, for each group.
    pub(crate) tiles: &'a mut [[f32; LANES]],
    /// Room for rows that do not lie at one stride: [`LINES`] values.
    pub(crate) lines: &'a mut [f32],
}

impl Kernel for LoadTiles<'_> {
    type Output = ();
    const VECTORS: bool = false;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Self { from, groups, tiles, lines } = self;
        let classes = from.layout().classes;
        if from.layout().class_step != 1 {
            return load_columns(simd, from, groups, tiles);
        }
        for (group, tile) in groups.iter().zip(tiles.chunks_exact_mut(classes)) {
            let rows = if let Some(rows) = from.tile(&group.rows) {
                rows
            } else if let Some((half, rows)) = from.half_tile(&group.rows) {
                widen(simd, half, rows, lines);
                TileRows::of_lines(lines, classes, 0, classes)
            } else {
                for (line, row) in lines.as_chunks_mut::<LINE>().0.iter_mut().zip(group.rows) {
                    let row = match from.line(row) {
                        Line::F32(row) => row.chunks(LANES),
                        Line::Half(half, row) => {
                            widen(simd, half, row, &mut line[..classes]);
                            continue;
                        }
                    };
                    for (to, from) in line.as_chunks_mut().0.iter_mut().zip(row) {
                        for part in simd.parts() {
                            simd.load_tail(from, part, 0.0).store(to, part);
                        }
                    }
                }
                TileRows::of_lines(lines, LINE, 0, classes)
            };
            simd.turn_in(&rows, tile);
        }
    }
}

/// Brings rows whose classes do not follow each other into tiles.
#[inline(always)]
fn load_columns<S: Simd>(simd: S, from: Strided<'_>, groups: &[Group], tiles: &mut [[f32; LANES]]) {
    let classes = from.layout().classes;
    let mut columns = [const { None }; TILES];
    for (columns, group) in columns.iter_mut().zip(groups) {
        *columns = AnyColumns::of(&from, group);
    }
    // Class after class: a processor that sees some lines after each other reads on by itself.
    for class in 0..classes {
        let ahead = ahead_of(class, (classes, from.layout().class_step), groups.len());
        for (number, columns) in columns[..groups.len()].iter().enumerate() {
            if let Some(columns) = columns {
                let to = &mut tiles[number * classes + class];
                columns.load(simd, class, to, ahead);
            }
        }
    }
    for (number, group) in groups.iter().enumerate() {
        if columns[number].is_none() {
            for (class, to) in tiles[number * classes..][..classes].iter_mut().enumerate() {
                let (own, repeated) = to.split_at_mut(group.len);
                for (to, row) in own.iter_mut().zip(group.rows) {
                    *to = from.get(row, class);
                }
                repeated.fill(own[0]);
            }
        }
    }
}

/// From one of sixteen lines to the next: room for all classes that a tile may have.
pub(super) const LINE: usize = 64;

/// Room for the rows of a tile in lines of their own.
pub(crate) const LINES: usize = LANES * LINE;

/// Sums the terms of sixteen rows that are slices, by a tile of theirs.
pub(crate) struct SumLines<'a> {
    pub(crate) group: &'a mut Group,
    pub(crate) rows: &'a [&'a [f32]; LANES],
    pub(crate) tile: &'a mut [[f32; LANES]],
    /// Whether labels become the classes of the largest logits.
    pub(crate) by_largest: bool,
    /// Where terms are kept, in sixteen lines, and the length of each; empty if they are not.
    pub(crate) terms: &'a mut [f32],
    pub(crate) stride: usize,
}

impl Kernel for SumLines<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Self { group, rows, tile, by_largest, terms, stride } = self;
        let classes = tile.len();
        let mut lines = [0.0; LINES];
        for (line, row) in lines.as_chunks_mut::<LINE>().0.iter_mut().zip(rows) {
            line[..classes].copy_from_slice(&row[..classes]);
        }
        simd.turn_in(&TileRows::of_lines(&lines, LINE, 0, classes), tile);
        if by_largest {
            group.labels = largest(tile);
        }
        let (groups, keep) = (core::slice::from_mut(group), !terms.is_empty());
        let sums = &mut [Sums::EMPTY];
        SumTiles { groups, tiles: tile, classes, labels: true, keep, sums, ahead: [Ahead::NOTHING; 2] }
            .eval(simd);
        if keep {
            simd.turn_out(tile, &mut TileRowsMut::of_lines(terms, stride, 0, classes));
        }
    }
}

/// The class of the largest logit of each row, the first of equal ones.
#[inline(always)]
pub(super) fn largest(tile: &[[f32; LANES]]) -> [usize; LANES] {
    let (mut max, mut at, mut number) = ([f32::NEG_INFINITY; LANES], [0_u32; LANES], 0);
    for class in tile {
        for lane in 0..LANES {
            let above = class[lane] > max[lane];
            max[lane] = if above { class[lane] } else { max[lane] };
            at[lane] = if above { number } else { at[lane] };
        }
        number += 1;
    }
    at.map(|class| class as usize)
}

/// Sums the terms of tiles; with `keep` they are left in the logits' places.
pub(crate) struct SumTiles<'a> {
    pub(crate) groups: &'a mut [Group],
    pub(crate) tiles: &'a mut [[f32; LANES]],
    pub(crate) classes: usize,
    pub(crate) labels: bool,
    pub(crate) keep: bool,
    /// Room for the sums of each group.
    pub(crate) sums: &'a mut [Sums],
    /// What is wanted next, and asked for meanwhile: where results go, and the tiles after these.
    pub(crate) ahead: [Ahead; 2],
}

/// The sums of a tile's rows, and what they are relative to.
#[derive(Clone)]
pub(crate) struct Sums {
    high: [f32; LANES],
    low: [f32; LANES],
    /// What `high` began with.
    bias: [f32; LANES],
}

impl Sums {
    pub(crate) const EMPTY: Self = Self { high: [0.0; LANES], low: [0.0; LANES], bias: [0.0; LANES] };
}

impl Kernel for SumTiles<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Self { groups, tiles, classes, labels, keep, sums: all, mut ahead } = self;
        for (group, tile) in groups.iter_mut().zip(tiles.chunks_exact_mut(classes)) {
            // What an earlier call left there would count as the largest logit.
            for part in simd.parts() {
                simd.splat(f32::NEG_INFINITY).store(&mut group.ends.logit, part);
            }
            if labels {
                take_labels(group, tile);
            }
        }
        for ((group, sums), tile) in groups.iter_mut().zip(&mut *all).zip(tiles.chunks_exact(classes)) {
            refer(simd, group, sums, tile);
        }
        let pairs = tiles.chunks_mut(2 * classes);
        for ((groups, sums), pair) in groups.chunks(2).zip(all.chunks_mut(2)).zip(pairs) {
            let at = (classes, &mut ahead);
            let pivots = groups
                .iter()
                .fold(0, |all, group| group.ends.pivot.iter().fold(all, |all, x| all | x.to_bits()))
                != 0;
            match (pivots || S::SMALL, keep) {
                (false, false) => sum_pair::<S, false, false>(simd, groups, sums, pair, at),
                (false, true) => sum_pair::<S, false, true>(simd, groups, sums, pair, at),
                (true, false) => sum_pair::<S, true, false>(simd, groups, sums, pair, at),
                (true, true) => sum_pair::<S, true, true>(simd, groups, sums, pair, at),
            }
        }
        for (group, sums) in groups.iter_mut().zip(all) {
            for part in simd.parts() {
                (simd.load(&sums.high, part) - simd.load(&sums.bias, part)).store(&mut sums.high, part);
            }
            for part in simd.wide_parts() {
                (simd.widen(&sums.high, part) + simd.widen(&sums.low, part))
                    .store(&mut group.ends.rest, part);
            }
        }
    }
}

/// Takes the labels' logits out of a tile.
#[inline(always)]
fn take_labels(group: &mut Group, tile: &mut [[f32; LANES]]) {
    for lane in 0..LANES {
        if let Some(class) = tile.get_mut(group.labels[lane]) {
            group.ends.logit[lane] = class[lane];
            class[lane] = f32::NEG_INFINITY;
        }
    }
}

/// The binary exponent of the largest term, at least. No loss is as small as one of these terms; and what is rounded away beside a
/// power of two above it is never subnormal, for which an Intel processor would take 50 ns.
const LEAST: f32 = -100.75;

/// Chooses the references of a tile's rows, by their largest logits.
#[inline(always)]
fn refer<S: Simd>(simd: S, group: &mut Group, sums: &mut Sums, tile: &[[f32; LANES]]) {
    let room = simd.splat(room_for(tile.len()) + ROUNDER);
    for part in simd.parts() {
        let mut max = [simd.splat(f32::NEG_INFINITY); 2];
        let (pairs, last) = tile.as_chunks::<2>();
        for [a, b] in pairs {
            max = [simd.load(a, part).max(max[0]), simd.load(b, part).max(max[1])];
        }
        for class in last {
            max[0] = simd.load(class, part).max(max[0]);
        }
        let others = max[0].max(max[1]);
        let max = others.max(simd.load(&group.ends.logit, part));
        max.store(&mut group.max, part);
        let (pivot, exponent) = lane_reference(simd, max);
        pivot.store(&mut group.ends.pivot, part);
        exponent.store(&mut group.ends.exponent, part);
        // A power of two above the sum: its exponent is that of the largest term, and room for all classes.
        let least = (exponent + simd.splat(LEAST)) * simd.splat(core::f32::consts::LN_2);
        let largest = least.max(others - pivot);
        let n = (largest * simd.splat(LOG2_E) + simd.splat(ROUNDER)) - simd.splat(ROUNDER);
        let bias = (n - exponent + room).shift_left::<23>();
        bias.store(&mut sums.bias, part);
        bias.store(&mut sums.high, part);
    }
}

/// What [`refer`] makes of one row: a power of two above the sum of its terms.
#[inline(always)]
pub(super) fn bias(difference: f32, exponent: f32, classes: usize) -> f32 {
    let least = (exponent + LEAST) * core::f32::consts::LN_2;
    let largest = if least > difference { least } else { difference };
    let n = (largest * LOG2_E + ROUNDER) - ROUNDER;
    f32::from_bits((n - exponent + (room_for(classes) + ROUNDER)).to_bits() << 23)
}

/// The exponent's bias, and the number of bits that a sum of so many terms has more than the largest of them, which is
/// at most 1.54 times its power of two.
#[expect(clippy::cast_precision_loss, reason = "few classes, and an exponent")]
pub(super) fn room_for(classes: usize) -> f32 {
    ((1.54 * classes as f32).to_bits().wrapping_add((1 << 23) - 1) >> 23) as f32
}

/// `high + low` takes a term.
#[inline(always)]
fn take<L: Lanes>(high: &mut L, low: &mut L, term: L) {
    let sum = *high + term;
    *low = *low + (term - (sum - *high));
    *high = sum;
}

/// The sums of two tiles, or of the last one.
#[inline(always)]
fn sum_pair<S: Simd, const PIVOT: bool, const KEEP: bool>(
    simd: S,
    groups: &[Group],
    sums: &mut [Sums],
    pair: &mut [[f32; LANES]],
    (classes, ahead): (usize, &mut [Ahead; 2]),
) {
    let (a, b) = pair.split_at_mut(classes);
    match (groups, sums) {
        ([ga, gb], [sa, sb]) if S::PARTS == 1 => {
            columns::<S, 2, PIVOT, KEEP>(simd, [(ga, 0), (gb, 0)], [sa, sb], [a, b], ahead);
        }
        ([ga, gb], [sa, sb]) => {
            for part in (0..S::PARTS).step_by(2) {
                columns::<S, 4, PIVOT, KEEP>(simd, [(ga, part), (gb, part)], [sa, sb], [a, b], ahead);
            }
        }
        ([ga], [sa, ..]) => {
            for part in simd.parts() {
                column::<S, PIVOT, KEEP>(simd, (ga, part), sa, a);
            }
        }
        _ => {}
    }
}

/// The sums of `N / 2` parts of each of two tiles, from the parts that are given on.
#[inline(always)]
fn columns<S: Simd, const N: usize, const PIVOT: bool, const KEEP: bool>(
    simd: S,
    [(ga, part), (gb, _)]: [(&Group, usize); 2],
    sums: [&mut Sums; 2],
    [a, b]: [&mut [[f32; LANES]]; 2],
    ahead: &mut [Ahead; 2],
) {
    let exp = Exp::new(simd);
    let zero = simd.splat(0.0);
    let none = LaneReference::new(simd, zero, zero);
    let (mut references, mut high, mut low) = ([none; N], [zero; N], [zero; N]);
    for i in 0..N {
        let (group, sums) = if i < N / 2 { (ga, &sums[0]) } else { (gb, &sums[1]) };
        let part = part + i % (N / 2);
        let ends = &group.ends;
        references[i] =
            LaneReference::new(simd, simd.load(&ends.pivot, part), simd.load(&ends.exponent, part));
        high[i] = simd.load(&sums.high, part);
    }
    let mut next = *ahead;
    for (a, b) in a.iter_mut().zip(b) {
        for ahead in &mut next {
            ahead.ask(simd);
        }
        let mut x = [zero; N];
        for (i, x) in x.iter_mut().enumerate() {
            *x = simd.load(if i < N / 2 { a } else { b }, part + i % (N / 2));
        }
        let (terms, _) = exp.terms::<N, PIVOT>(x, &references);
        for i in 0..N {
            if KEEP {
                terms[i].store(if i < N / 2 { a } else { b }, part + i % (N / 2));
            }
            take(&mut high[i], &mut low[i], terms[i]);
        }
    }
    *ahead = next;
    let [sa, sb] = sums;
    for i in 0..N {
        let sums = if i < N / 2 { &mut *sa } else { &mut *sb };
        high[i].store(&mut sums.high, part + i % (N / 2));
        low[i].store(&mut sums.low, part + i % (N / 2));
    }
}

/// The sums of one part of a tile alone.
#[inline(always)]
fn column<S: Simd, const PIVOT: bool, const KEEP: bool>(
    simd: S,
    (group, part): (&Group, usize),
    sums: &mut Sums,
    tile: &mut [[f32; LANES]],
) {
    let exp = Exp::new(simd);
    let ends = &group.ends;
    let reference = LaneReference::new(simd, simd.load(&ends.pivot, part), simd.load(&ends.exponent, part));
    let (mut high, mut low) = (simd.load(&sums.high, part), simd.splat(0.0));
    for class in tile {
        let ([term], _) = exp.terms::<1, PIVOT>([simd.load(class, part)], &[reference]);
        if KEEP {
            term.store(class, part);
        }
        take(&mut high, &mut low, term);
    }
    high.store(&mut sums.high, part);
    low.store(&mut sums.low, part);
}
