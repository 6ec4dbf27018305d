//! A row of many classes is summed, and the results of the row before are written past the caches, in turns of a block: the
//! processor computes while results drain to memory.
//!
//! Formulas, identities and the order of additions are those of [`rows`](super::rows) and [`write`](super::write).
//!
//! Trick: one call for the whole row. What a call puts on its stack waits behind results that have not left the processor yet; called
//! block by block, rows of 32,000 classes took twice the time (Zen 4).

use super::Kernel;
use super::classes::STEP;
use super::factors::{LogFactors, OfTerms, PlainFactors, RowFactors};
use super::group::Group;
use super::logits::Logits;
use super::pass::Pass;
use super::rows::{BLOCK, PART, RowSum};
use super::write::{lead, write_past};
use crate::numbers::exp::{DEEPEST, Reference};
use crate::simd::{LANES, Simd};

/// Sums the terms of a row against the common reference, and writes the results of the row before.
pub(crate) struct SumAndWrite<'a> {
    /// The row; empty where there is none left.
    pub(crate) logits: &'a [f32],
    /// The class that is left out.
    pub(crate) label: usize,
    /// Whether there may be logits below the floor of the reference.
    pub(crate) careful: bool,
    pub(crate) sum: &'a mut RowSum,
    /// The bits of the depths of all terms.
    pub(crate) seen: &'a mut [f32; LANES],
    /// Room for the terms of a row, in whole steps: first those of the row before.
    pub(crate) terms: &'a mut [f32],
    /// The logits of the row before, where its results are their logarithms: then no terms are kept.
    pub(crate) before: Option<&'a [f32]>,
    /// The row before, and where its results go: nowhere where there is none.
    pub(crate) group: &'a Group,
    pub(crate) to: &'a mut [f32],
}

impl Kernel for SumAndWrite<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        // `engine/stream.rs` asks no such backend.
        if S::SMALL {
            return;
        }
        let Self { group, before, careful, .. } = &self;
        let factors = RowFactors::splat(simd, &group.factors, 0);
        let logs = LogFactors::splat(simd, group, 0).of_logits();
        match (before, *careful, PlainFactors::of(simd, group, 0)) {
            (None, false, Some(plain)) => self.run::<S, true, false>(simd, plain.of_terms()),
            (None, false, None) => self.run::<S, true, false>(simd, factors.of_terms()),
            (None, true, _) => self.run::<S, true, true>(simd, factors.of_terms()),
            (Some(_), false, _) => self.run::<S, false, false>(simd, logs),
            (Some(_), true, _) => self.run::<S, false, true>(simd, logs),
        }
    }
}

impl SumAndWrite<'_> {
    /// With `KEEP` results are made of terms, with `CLAMP` logits may be below the floor.
    #[inline(always)]
    fn run<S: Simd, const KEEP: bool, const CLAMP: bool>(
        self,
        simd: S,
        f: impl Fn(S::Lanes) -> S::Lanes + Copy,
    ) {
        let Self { logits, label, sum, seen, terms, before, to, .. } = self;
        let mut pass = Pass::new(simd, Reference::TAME, seen);
        let mut copy = [[0.0; LANES]; 4];
        if label < logits.len() {
            // In place of the label's logit there is one whose term is nothing, or next to it: its step is read from a copy.
            copy = logits.step_at(simd, label / STEP * STEP);
            pass.see::<CLAMP>(&copy);
            copy.as_flattened_mut()[label % STEP] = if CLAMP { f32::NEG_INFINITY } else { DEEPEST };
        }
        pass.ahead = BLOCK;
        *sum = RowSum::EMPTY;
        let mut written = 0;
        for start in (0..logits.len()).step_by(BLOCK) {
            let end = logits.len().min(start + BLOCK);
            if !to.is_empty() {
                // Up to the next whole line of the results.
                let until = end + lead(&to[end..]);
                let from = &before.unwrap_or(&*terms)[written..until];
                write_past(simd, from, &mut to[written..until], &logits[start..], f);
                written = until;
            }
            if start > 0 && start.is_multiple_of(PART) {
                sum.close(simd);
            }
            pass.label = (label / STEP).wrapping_sub(start / STEP);
            let (part, terms) =
                (Logits::<S>::part(logits, start, end), if KEEP { &mut terms[start..] } else { &mut [] });
            if CLAMP {
                pass.add::<_, true, true, true, false, false>(part, &copy, terms, sum);
            } else {
                pass.add::<_, false, false, KEEP, false, false>(part, &copy, terms, sum);
            }
        }
        sum.close(simd);
        if written < to.len() {
            let from = &before.unwrap_or(&*terms)[written..to.len()];
            write_past(simd, from, &mut to[written..], &[], f);
        }
    }
}
