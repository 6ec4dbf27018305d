//! What a server asks of a row of logits beside their sum, in one read: the largest logits, how many are above a chosen
//! one, and how far all are from the largest.
//!
//! Formulas: `R = sum e^(x_i)` over all classes but that of the largest logit `m`, and `D = sum e^(x_i) (m - x_i)`.
//!
//! Identity: what is large is found before what it changes. A block is searched while it comes into the nearest cache, and
//! only then summed; the sum of the one with the largest logit so far is kept apart.
//!
//! Trick: a block none of whose logits is above the limit of the largest ones so far, or as large as the chosen one, is
//! searched no further, and few are: a comparison for each of its sixteen lanes tells.

use super::Kernel;
use super::classes::STEP;
use super::gradient::sum_of;
use super::group::NO_LABEL;
use super::maximum::{first_index, largest, largest_of_part};
use super::pass::Pass;
use super::rows::{BLOCK, Row, RowSum};
use crate::numbers::exp::NO_DEPTH;
use crate::numbers::philox::{BASE, UNIT};
use crate::numbers::race::Race;
use crate::numbers::spread::Spread;
use crate::numbers::top::Top;
use crate::simd::half::Line;
use crate::simd::{LANES, Lanes, Simd, Wide};

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
}

impl Kernel for ReadPart<'_> {
    type Output = Spread;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> Spread {
        let Self { given, logits, first, chosen, ranks, top, room, mut race, distances, terms } = self;
        let mut part = Part {
            simd,
            spread: Spread::EMPTY,
            sum: RowSum::EMPTY,
            distances: [0.0; LANES],
            counts: [[0.0; LANES]; 2],
            seen: [NO_DEPTH; LANES],
        };
        for start in (0..given.len()).step_by(BLOCK) {
            let given = given.block(simd, start, BLOCK, room);
            let logits = logits.map_or(given, |logits| &logits[start..][..given.len()]);
            let class = first + start;
            let maxima = maxima(simd, given);
            // The smallest of what asks for more; NaN counts as none.
            let limit = part.spread.given.min(top.limit()).min(chosen.next_down());
            let mut begins = false;
            if any_above(simd, &maxima, limit) || chosen == f32::NEG_INFINITY {
                if any_above(simd, &maxima, top.limit()) {
                    keep(simd, given, class, top);
                }
                if any_above(simd, &maxima, chosen.next_down()) || chosen == f32::NEG_INFINITY {
                    count(simd, given, chosen, &mut part.counts);
                }
                begins = any_above(simd, &maxima, part.spread.given);
                if begins {
                    part.spread.others += part.close();
                    part.begin(largest(simd, logits), largest(simd, &maxima), class);
                }
            }
            part.add(logits, distances, terms);
            if let Some(race) = &mut race {
                part.run(race, logits, class, terms);
            }
            if begins {
                part.spread.at_max = part.close();
            }
        }
        part.spread.others += part.close();
        part.fold_distances();
        ranks.add(part.counts, chosen, given.len());
        part.spread
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
        row.read_labelled::<true, false>(&mut []);
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
    /// As integers: how many logits are above the chosen one, and at least as large.
    counts: [[f32; LANES]; 2],
    seen: [f32; LANES],
}

impl<S: Simd> Part<S> {
    /// The sum of what was added since the last time.
    #[inline(always)]
    fn close(&mut self) -> f64 {
        self.sum.total = 0.0;
        self.sum.close(self.simd);
        self.sum.total
    }

    /// Measures distances from a larger logit.
    #[inline(always)]
    fn begin(&mut self, max: f32, given: f32, class: usize) {
        self.fold_distances();
        self.spread.begin(max, given, class);
    }

    #[inline(always)]
    fn fold_distances(&mut self) {
        self.spread.distance += sum_of(self.distances);
        self.distances = [0.0; LANES];
    }

    /// Adds the terms of a block, and how far its logits are below the largest where that is wanted.
    #[inline(always)]
    fn add(&mut self, logits: &[f32], distances: bool, terms: &mut [f32]) {
        let simd = self.simd;
        let mut pass = Pass::new(simd, self.spread.reference, &mut self.seen);
        (pass.ahead, pass.from) = (BLOCK, self.spread.max);
        let has_pivot = self.spread.reference.pivot != 0.0;
        let logits = Line::F32(logits);
        let mut row = Row { simd, logits, label: NO_LABEL, sum: &mut self.sum, pass };
        // What few rows need is compiled with all that a row may want.
        match (has_pivot || S::SMALL, terms.is_empty(), distances) {
            (true, _, _) => row.read_unlabelled::<true, true, true>(terms),
            (false, false, _) => row.read_unlabelled::<false, true, true>(terms),
            (false, true, true) => row.read_unlabelled::<false, false, true>(&mut []),
            (false, true, false) => row.read_unlabelled::<false, false, false>(&mut []),
        }
        if distances {
            for part in 0..S::WIDE_PARTS {
                (simd.load_wide(&self.distances, part) + simd.widen(&row.pass.distances, part))
                    .store(&mut self.distances, part);
            }
        }
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
                for part in 0..S::PARTS {
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
    for part in 0..S::PARTS {
        largest_of_part(simd, block, part).store(&mut maxima, part);
    }
    maxima
}

/// Whether one of sixteen is above a limit.
#[inline(always)]
fn any_above<S: Simd>(simd: S, maxima: &[f32; LANES], limit: f32) -> bool {
    let mut any = 0;
    for part in 0..S::PARTS {
        any |= simd.load(maxima, part).above(simd.splat(limit));
    }
    any != 0
}

/// Keeps the logits of a block that are above the limit; `first` is the class of its first.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a class of a block")]
fn keep<S: Simd>(simd: S, block: &[f32], first: usize, top: &mut Top) {
    if top.is_new() && block.len() == BLOCK {
        // All of the first block is above no limit, and hardly any of it is among the largest.
        let mut of_groups = [f32::NEG_INFINITY; BLOCK / 4];
        for (step, to) in block.chunks(STEP).zip(of_groups.as_chunks_mut().0) {
            *to = maxima(simd, step);
        }
        top.expect(&mut of_groups);
    }
    each_step(
        block,
        #[inline(always)]
        |i, step| {
            let limit = simd.splat(top.limit());
            let mut bits = 0_u64;
            for (line, x) in step.iter().enumerate() {
                for part in 0..S::PARTS {
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
    for part in 0..S::PARTS {
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
