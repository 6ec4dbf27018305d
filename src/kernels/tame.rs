//! Ordinary rows of many classes: against the reference that all such rows share, with no logit below its floor.
//!
//! Formula, identity and order of additions are those of [`rows`](super::rows), which reads all others.
//!
//! Trick: nearly all data runs through here, and of a hundred classes half of the time would go to what is around the loop. So
//! nothing is asked for each row that is the same for all: where the last whole step ends, what is beyond it, whether there are
//! labels.

use super::classes::STEP;
use super::logits::Logits;
use super::pass::Pass;
use super::rows::{BLOCK, PART, SumRows, close_all, pass_len};
use crate::numbers::exp::{DEEPEST, Reference};
use crate::simd::half::{Half, LineRows};
use crate::simd::{LANES, Simd};

impl SumRows<'_> {
    /// Adds the terms of such rows; of halves no terms are kept.
    #[inline(always)]
    pub(super) fn add_tame<S: Simd>(self, simd: S) {
        let classes = self.rows.line(0).len();
        let masks = classes <= BLOCK && self.labels.iter().any(|label| *label < classes);
        match (self.rows, self.terms.is_empty(), masks) {
            (LineRows::F32(rows), true, false) => self.add_rows::<S, _, false, false>(simd, classes, rows),
            (LineRows::F32(rows), true, true) => self.add_rows::<S, _, false, true>(simd, classes, rows),
            (LineRows::F32(rows), false, false) => self.add_rows::<S, _, true, false>(simd, classes, rows),
            (LineRows::F32(rows), false, true) => self.add_rows::<S, _, true, true>(simd, classes, rows),
            (LineRows::Half(half, rows), _, false) => {
                self.add_rows::<S, _, false, false>(simd, classes, (half, rows));
            }
            (LineRows::Half(half, rows), _, true) => {
                self.add_rows::<S, _, false, true>(simd, classes, (half, rows));
            }
        }
    }

    /// With `MASK` labels are taken out of the powers of a step; without it their step is read from a copy, in which a logit
    /// stands in their place whose term is next to nothing. (A row of one block would wait for its copy.)
    #[inline(always)]
    fn add_rows<S: Simd, R: Rows<S>, const KEEP: bool, const MASK: bool>(
        self,
        simd: S,
        classes: usize,
        rows: R,
    ) {
        let Self { labels, terms, stride, sums, seen, ahead, .. } = self;
        let mut copy = [[0.0; LANES]; 4];
        let mut pass = Pass::new(simd, Reference::TAME, seen);
        for (i, (label, sum)) in labels.iter().zip(&mut *sums).enumerate() {
            let logits = rows.row(i).part(0, classes);
            pass.label = if MASK { *label } else { *label / STEP };
            if !MASK && *label < classes {
                copy = logits.step_at(simd, *label / STEP * STEP);
                pass.see::<false>(&copy);
                copy.as_flattened_mut()[*label % STEP] = DEEPEST;
            }
            (pass.ahead, pass.open) = (ahead.get(i).copied().unwrap_or_default(), true);
            let terms = if KEEP { &mut terms[i * stride..] } else { &mut [] };
            sum.total = 0.0;
            if classes <= BLOCK {
                pass.add::<_, false, false, KEEP, MASK, false>(logits, &copy, terms, sum);
                continue;
            }
            for start in (0..classes).step_by(pass_len::<S>()) {
                let end = classes.min(start + pass_len::<S>());
                if start > 0 && start.is_multiple_of(PART) {
                    sum.close(simd);
                }
                let terms = if KEEP { &mut terms[start..] } else { &mut [] };
                (pass.label, pass.open) = ((*label / STEP).wrapping_sub(start / STEP), start == 0);
                pass.add::<_, false, false, KEEP, false, false>(logits.part(start, end), &copy, terms, sum);
            }
        }
        close_all(simd, sums);
    }
}

/// Rows of logits.
trait Rows<S: Simd>: Copy {
    type Row: Logits<S>;

    fn row(self, row: usize) -> Self::Row;
}

impl<'a, S: Simd> Rows<S> for &'a [&'a [f32]] {
    type Row = &'a [f32];

    #[inline(always)]
    fn row(self, row: usize) -> &'a [f32] {
        self[row]
    }
}

impl<'a, S: Simd> Rows<S> for (Half, &'a [&'a [u16]]) {
    type Row = (Half, &'a [u16]);

    #[inline(always)]
    fn row(self, row: usize) -> Self::Row {
        (self.0, self.1[row])
    }
}
