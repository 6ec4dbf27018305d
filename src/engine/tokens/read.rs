//! One row: parts of 32 blocks, always the same ones, each block of which is looked at and then added to the part's sum;
//! and the sums of parts, which are put together in their order, whoever has read them.

use super::super::parallel::Join;
use crate::kernels::rows::{BLOCK, PART};
use crate::kernels::tokens::{Ranks, ReadPart, Search};
use crate::numbers::philox::Stream;
use crate::numbers::race::Race;
use crate::numbers::spread::Spread;
use crate::numbers::top::Top;
use crate::simd::Token;
use crate::simd::half::Line;

/// Parts that one thread reads of a row that several share: each thread's largest logits are selected by themselves.
const SHARE: usize = 4;

/// What one thread has found in the parts of a row that it has read.
#[derive(Default)]
pub(crate) struct Run {
    pub(super) top: Top,
    pub(super) ranks: Ranks,
    pub(super) room: Vec<f32>,
    /// Where all classes of a row can be drawn.
    pub(super) race: Option<Race>,
    terms: Vec<f32>,
    /// Whether rows are read with care, as those before had to be.
    careful: bool,
    search: Search,
}

/// A row, and what is wanted of it.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) token: Token,
    /// The logits that are given, which are what is compared, and those that the softmax is taken of, if they are others.
    pub(super) given: Line<'a>,
    pub(super) logits: Option<&'a [f32]>,
    /// The given logit of the chosen class; NaN where no ranks are wanted.
    pub(super) chosen: f32,
    pub(super) entropy: bool,
    /// What all classes are drawn by.
    pub(super) stream: Option<Stream>,
}

impl Row<'_> {
    /// A logit that the softmax is taken of.
    pub(super) fn logit(&self, class: usize) -> f32 {
        match self.logits {
            Some(logits) => logits[class],
            None => self.given.get(class).unwrap_or(f32::NAN),
        }
    }

    /// Reads the row, on several threads where there is a `join`. What is large is in the first of the runs afterwards.
    pub(super) fn read(
        &self,
        wanted: usize,
        runs: &mut Vec<Run>,
        spreads: &mut Vec<Spread>,
        join: Option<Join>,
    ) -> Spread {
        let parts = self.given.len().div_ceil(PART).max(1);
        let shares = if join.is_some() { parts.div_ceil(SHARE) } else { 1 };
        runs.resize_with(runs.len().max(shares), Run::default);
        for run in &mut runs[..shares] {
            run.top.restart(wanted.min(self.given.len()));
            run.ranks = Ranks::default();
            run.room.resize(BLOCK, 0.0);
            run.race = self.stream.map(Race::new);
            run.terms.resize(BLOCK, 0.0);
        }
        spreads.clear();
        spreads.resize(parts, Spread::EMPTY);
        self.share(0, spreads, &mut runs[..shares], join);
        let (first, rest) = runs.split_at_mut(1);
        for run in &rest[..shares - 1] {
            first[0].top.merge(&run.top);
            first[0].ranks.above += run.ranks.above;
            first[0].ranks.equal += run.ranks.equal;
            if let (Some(race), Some(other)) = (&mut first[0].race, &run.race) {
                race.merge(other);
            }
        }
        spreads[1..].iter().fold(spreads[0], |all, part| all.merge(*part))
    }

    /// Reads parts from one of the row's on; where there are several runs, its halves on two threads.
    fn share(&self, first: usize, spreads: &mut [Spread], runs: &mut [Run], join: Option<Join>) {
        let half = runs.len() / 2;
        let Some(join) = join.filter(|_| half > 0) else {
            let parts = spreads.len();
            runs[0].search.found = false;
            for (i, spread) in spreads.iter_mut().enumerate() {
                let next = if i + 1 < parts { (first + i + 1) * PART } else { self.given.len() };
                *spread = self.part((first + i) * PART, next, &mut runs[0]);
            }
            return;
        };
        let (runs, other_runs) = runs.split_at_mut(half);
        let (spreads, other_spreads) = spreads.split_at_mut(half * SHARE);
        let mut both = [(first, spreads, runs), (first + half * SHARE, other_spreads, other_runs)];
        let [a, b] = &mut both;
        join(&mut || self.share(a.0, a.1, a.2, Some(join)), &mut || {
            self.share(b.0, b.1, b.2, Some(join));
        });
    }

    /// Reads one part, which begins at a class, and searches the next, which begins at another one.
    fn part(&self, start: usize, next: usize, run: &mut Run) -> Spread {
        let end = (start + PART).min(self.given.len());
        self.token.run(ReadPart {
            given: self.given.part(start, end - start),
            next: self.given.part(next, PART),
            logits: self.logits.map(|logits| &logits[start..end]),
            first: start,
            chosen: self.chosen,
            ranks: &mut run.ranks,
            top: &mut run.top,
            room: &mut run.room,
            race: run.race.as_mut(),
            distances: self.entropy,
            terms: if self.stream.is_some() { &mut run.terms } else { &mut [] },
            careful: &mut run.careful,
            search: &mut run.search,
        })
    }
}
