//! What a server asks of a row of logits beside their sum, in one read: the largest logits, how many are above a chosen
//! one, and how far all are from the largest.
//!
//! Formulas: `R = sum e^(x_i)` over all classes but that of the largest logit `m`, and `D = sum e^(x_i) (m - x_i)`.
//!
//! Identity: what is large is found before what it changes. So the part that is read next is searched while this one is summed, and
//! comes into a near cache meanwhile. Of each part the block with the largest logit is summed apart.
//!
//! Trick: of each block the largest logit in each of sixteen lanes is found, and no more: one operation for a vector. The `k`-th of
//! these is at most the row's `k`-th logit, and few blocks have any that are above it: only those are searched once more.

use super::Kernel;
use super::classes::STEP;
use super::gradient::sum_of;
use super::group::NO_LABEL;
use super::maximum::{first_index, largest, largest_of_part};
use super::pass::Pass;
use super::rows::{BLOCK, NOTHING, PART, Row, RowSum};
use super::write::PAGE;
use crate::numbers::exp::{NO_DEPTH, all_depths, are_out_of_range, are_shallow};
use crate::numbers::philox::{BASE, UNIT};
use crate::numbers::race::Race;
use crate::numbers::spread::Spread;
use crate::numbers::top::Top;
use crate::simd::half::Line;
use crate::simd::{LANES, Lanes, Simd};

/// How many logits are above that of a chosen class, and how many equal it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ranks {
    pub(crate) above: u32,
    pub(crate) equal: u32,
}

impl Ranks {
    /// Adds what was counted in so many logits.
    #[expect(clippy::cast_possible_truncation, reason = "a row's classes have numbers of 32 bits")]
    fn add(&mut self, counts: [[f32; LANES]; 2], chosen: f32, len: usize) {
        let [above, at_least] = counts.map(|counts| counts.iter().map(|count| count.to_bits()).sum::<u32>());
        // Above +inf there is nothing, and what fills up the last step is as large as -inf, for which no block is left out.
        let above = if chosen == f32::INFINITY { 0 } else { above };
        let at_least = if chosen == f32::NEG_INFINITY { len as u32 } else { at_least };
        self.above += above;
        self.equal += at_least - above;
    }
}

/// Reads a part of a row, in blocks.
pub(crate) struct ReadPart<'a> {
    /// The logits that are given, which are what is compared.
    pub(crate) given: Line<'a>,
    /// Those of the part that is read next, if there is one.
    pub(crate) next: Line<'a>,
    /// Those that the sum is of; `None` where they are the same.
    pub(crate) logits: Option<&'a [f32]>,
    /// The class of the first.
    pub(crate) first: usize,
    /// The given logit of the chosen class; NaN where no ranks are wanted.
    pub(crate) chosen: f32,
    pub(crate) ranks: &'a mut Ranks,
    pub(crate) top: &'a mut Top,
    /// Room for a block of logits that are widened.
    pub(crate) room: &'a mut [f32],
    /// Where one class is drawn, with the probabilities that the logits have.
    pub(crate) race: Option<&'a mut Race>,
    pub(crate) distances: bool,
    /// Room for the terms of a block; empty where no class is drawn.
    pub(crate) terms: &'a mut [f32],
    /// Whether there may be logits that are below the floor; what is read next begins with what this one needed.
    pub(crate) careful: &'a mut bool,
    pub(crate) search: &'a mut Search,
}

/// The largest logits of the blocks of a part in each lane, and of the part that is read next, if they have been found.
#[derive(Default)]
pub(crate) struct Search {
    pub(crate) found: bool,
    of_part: [[f32; LANES]; PART / BLOCK],
    of_next: [[f32; LANES]; PART / BLOCK],
}

impl Kernel for ReadPart<'_> {
    type Output = Spread;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> Spread {
        let Self { given, next, logits, first, chosen, ranks, top, room, .. } = self;
        let Self { mut race, distances, terms, careful, search, .. } = self;
        let blocks = given.len().div_ceil(BLOCK);
        let Search { found, of_part, of_next } = search;
        let (of_part, was_found) = (&mut of_part[..blocks], core::mem::replace(found, next.len() > 0));
        if was_found {
            of_part.copy_from_slice(&of_next[..blocks]);
        } else {
            for (i, to) in of_part.iter_mut().enumerate() {
                *to = maxima(simd, given.block(simd, i * BLOCK, BLOCK, room));
            }
        }
        let of_all = maxima(simd, of_part.as_flattened());
        let mut counts = [[0.0; LANES]; 2];
        if any_above(simd, &of_all, chosen.next_down()) || chosen == f32::NEG_INFINITY {
            for start in (0..given.len()).step_by(BLOCK) {
                count(simd, given.block(simd, start, BLOCK, room), chosen, &mut counts);
            }
        }
        ranks.add(counts, chosen, given.len());
        if top.is_new() && given.len() >= BLOCK {
            // As many lanes as are wanted each have one that is at least as large as the one that is expected.
            let groups = &mut of_next[..blocks];
            groups.copy_from_slice(of_part);
            top.expect(groups.as_flattened_mut());
        }
        if any_above(simd, &of_all, top.limit()) {
            keep(simd, given, first, of_part, top, room);
        }
        let (mut spread, summed) = (Spread::EMPTY, logits.map_or(given, Line::F32));
        let (mut at_max, largest_given) = (usize::MAX, largest(simd, &of_all));
        if largest_given > f32::NEG_INFINITY {
            // Of equal ones the first.
            let smaller = |maxima: &&[f32; LANES]| !any_above(simd, maxima, largest_given.next_down());
            at_max = BLOCK * of_part.iter().take_while(smaller).count();
            let block = |logits: &[f32]| largest(simd, &logits[at_max..logits.len().min(at_max + BLOCK)]);
            spread.begin(logits.map_or(largest_given, block), largest_given, first + at_max);
        }
        let spread = loop {
            // A class is drawn once.
            let care = *careful || race.is_some();
            let mut part = Part {
                simd,
                spread,
                sum: RowSum::EMPTY,
                distances: [0.0; LANES],
                seen: [NO_DEPTH; LANES],
                careful: care,
            };
            let mut start = 0;
            while start < given.len() {
                let before = if start < at_max { at_max - start } else { PART };
                let len = if race.is_some() || start == at_max { BLOCK } else { before };
                if start == at_max {
                    part.spread.others += part.close();
                }
                let searched = (next.part(start.min(next.len()), len), &mut of_next[start / BLOCK..]);
                part.add(summed.part(start, len), searched, distances, terms);
                if let Some(race) = &mut race {
                    part.run(race, summed.block(simd, start, len, room), first + start, terms);
                }
                if start == at_max {
                    part.spread.at_max = part.close();
                }
                start += len;
            }
            part.spread.others += part.close();
            part.spread.distance = sum_of(part.distances);
            let depths = all_depths(&part.seen);
            if care || !are_out_of_range(depths) {
                *careful &= !are_shallow(depths);
                break part.spread;
            }
            *careful = true;
        };
        if !next.len().is_multiple_of(STEP) {
            // What is after the last whole step.
            let last = next.len() / STEP * STEP;
            let of_last = maxima(simd, next.block(simd, last, STEP, room));
            let to = &mut of_next[last / BLOCK];
            *to = if last.is_multiple_of(BLOCK) {
                of_last
            } else {
                maxima(simd, [*to, of_last].as_flattened())
            };
        }
        spread
    }
}

/// Sums the block that a row's largest logit is in without it.
pub(crate) struct LeaveOut<'a> {
    pub(crate) given: Line<'a>,
    pub(crate) logits: Option<&'a [f32]>,
    pub(crate) spread: &'a Spread,
    /// As [`ReadPart::room`].
    pub(crate) room: &'a mut [f32],
}

impl Kernel for LeaveOut<'_> {
    type Output = (usize, f64);

    /// The class of the largest logit, and the sum.
    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> (usize, f64) {
        let Self { given, logits, spread, room } = self;
        let given = given.block(simd, spread.block, BLOCK, room);
        let label = first_index(simd, given, spread.given);
        let logits = logits.map_or(given, |logits| &logits[spread.block..][..given.len()]);
        let (logits, reference) = (Line::F32(logits), spread.reference);
        let (mut sum, mut seen) = (RowSum::EMPTY, [NO_DEPTH; LANES]);
        let pass = Pass::new(simd, reference, &mut seen);
        let mut row = Row { simd, logits, label, sum: &mut sum, pass };
        row.read_labelled::<false>(&mut []);
        sum.close(simd);
        (spread.block + label, sum.total)
    }
}

/// A part on its way.
struct Part<S> {
    simd: S,
    spread: Spread,
    sum: RowSum,
    distances: [f64; LANES],
    seen: [f32; LANES],
    careful: bool,
}

impl<S: Simd> Part<S> {
    /// The sum of what was added since the last time.
    #[inline(always)]
    fn close(&mut self) -> f64 {
        self.sum.total = 0.0;
        self.sum.close(self.simd);
        self.sum.total
    }

    /// Adds the terms of some logits, and how far these are below the largest where that is wanted.
    #[inline(always)]
    fn add(
        &mut self,
        logits: Line<'_>,
        (next, found): (Line<'_>, &mut [[f32; LANES]]),
        distances: bool,
        terms: &mut [f32],
    ) {
        let simd = self.simd;
        let mut pass = Pass::new(simd, self.spread.reference, &mut self.seen);
        (pass.ahead, pass.from, pass.label) = (PART + PAGE, self.spread.max, NO_LABEL);
        (pass.next, pass.found) = (next, found);
        pass.distances = self.distances;
        let (has_pivot, sum) = (self.spread.reference.pivot != 0.0, &mut self.sum);
        // What few rows need is compiled with all that a row may want.
        if has_pivot || S::SMALL || self.careful {
            pass.add::<_, true, true, true, false, true>(logits, &NOTHING, terms, sum);
        } else {
            // A logit that is not below the floor.
            pass.pad = self.spread.max;
            if distances {
                pass.add::<_, false, false, false, false, true>(logits, &NOTHING, &mut [], sum);
            } else {
                pass.add::<_, false, false, false, false, false>(logits, &NOTHING, &mut [], sum);
            }
        }
        self.distances = pass.distances;
    }

    /// Lets the classes of a block race: those whose terms are large enough for their random numbers.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a class")]
    fn run(&self, race: &mut Race, logits: &[f32], first: usize, terms: &[f32]) {
        let (simd, reference) = (self.simd, self.spread.reference);
        let (base, mut limit) = (simd.splat(BASE), race.limit(reference));
        for (start, terms) in (0..logits.len()).step_by(UNIT).zip(terms.chunks(UNIT)) {
            let highest = race.stream.highest(simd, ((first + start) / UNIT) as u32);
            let lines = terms.as_chunks().0;
            let mut bits = 0_u128;
            let limits = simd.splat(limit);
            for (line, (terms, highest)) in lines.iter().zip(&highest).enumerate() {
                for part in simd.parts() {
                    let least = (simd.load(highest, part) - base) * limits;
                    let at = line * LANES + part * (LANES / S::PARTS);
                    bits |= u128::from(simd.load(terms, part).above(least)) << at;
                }
            }
            while bits != 0 {
                let at = bits.trailing_zeros() as usize;
                bits &= bits - 1;
                // There may be a better one than when the limit was taken.
                let Some(&logit) = logits.get(start + at) else { break };
                let least = (highest.as_flattened()[at] - BASE) * limit;
                if terms[at] > least && race.enter(logit, (first + start + at) as u32) {
                    limit = race.limit(reference);
                }
            }
        }
    }
}

/// Hands out the steps of a block with their numbers, the last one filled up with -inf.
#[inline(always)]
fn each_step(block: &[f32], mut run: impl FnMut(usize, &[[f32; LANES]; 4])) {
    let (steps, tail) = block.as_chunks::<STEP>();
    let steps = steps.as_flattened().as_chunks::<LANES>().0.as_chunks::<4>().0;
    for (i, step) in steps.iter().enumerate() {
        run(i, step);
    }
    if !tail.is_empty() {
        let mut step = [[f32::NEG_INFINITY; LANES]; 4];
        step.as_flattened_mut()[..tail.len()].copy_from_slice(tail);
        run(steps.len(), &step);
    }
}

/// The largest logits of a block in each lane.
#[inline(always)]
fn maxima<S: Simd>(simd: S, block: &[f32]) -> [f32; LANES] {
    let mut maxima = [f32::NEG_INFINITY; LANES];
    for part in simd.parts() {
        largest_of_part(simd, block, part).store(&mut maxima, part);
    }
    maxima
}

/// Whether one of sixteen is above a limit.
#[inline(always)]
fn any_above<S: Simd>(simd: S, maxima: &[f32; LANES], limit: f32) -> bool {
    let mut any = 0;
    for part in simd.parts() {
        any |= simd.load(maxima, part).above(simd.splat(limit));
    }
    any != 0
}

/// Keeps the logits of a part that are above the limit; `first` is the class of its first.
#[inline(always)]
fn keep<S: Simd>(
    simd: S,
    part: Line<'_>,
    first: usize,
    maxima: &[[f32; LANES]],
    top: &mut Top,
    room: &mut [f32],
) {
    for (start, maxima) in (0..part.len()).step_by(BLOCK).zip(maxima) {
        if any_above(simd, maxima, top.limit()) {
            keep_block(simd, part.block(simd, start, BLOCK, room), first + start, top);
        }
    }
}

/// As [`keep`], of a block.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a class of a block")]
fn keep_block<S: Simd>(simd: S, block: &[f32], first: usize, top: &mut Top) {
    each_step(
        block,
        #[inline(always)]
        |i, step| {
            let limit = simd.splat(top.limit());
            let mut bits = 0_u64;
            for (line, x) in step.iter().enumerate() {
                for part in simd.parts() {
                    let at = line * LANES + part * (LANES / S::PARTS);
                    bits |= u64::from(simd.load(x, part).above(limit)) << at;
                }
            }
            while bits != 0 {
                let at = bits.trailing_zeros();
                top.add(step.as_flattened()[at as usize % STEP], (first + i * STEP) as u32 + at);
                bits &= bits - 1;
            }
        },
    );
}

/// Counts the logits of a block that are above the chosen one, and those that are not below it.
#[inline(always)]
fn count<S: Simd>(simd: S, block: &[f32], chosen: f32, counts: &mut [[f32; LANES]; 2]) {
    let limits = [simd.splat(chosen), simd.splat(chosen.next_down())];
    for part in simd.parts() {
        let mut sums = [simd.load(&counts[0], part), simd.load(&counts[1], part)];
        each_step(
            block,
            #[inline(always)]
            |_, step| {
                for x in step {
                    let x = simd.load(x, part);
                    for (sum, limit) in sums.iter_mut().zip(limits) {
                        *sum = sum.count_above(x, limit);
                    }
                }
            },
        );
        for (sum, to) in sums.into_iter().zip(&mut *counts) {
            sum.store(to, part);
        }
    }
}
