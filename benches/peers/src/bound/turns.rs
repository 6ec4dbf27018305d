//! Rows of many classes beyond the caches: two rows in turns.
//!
//! A block of the results of the row before is written around the caches, then the same block of the next row is
//! read: the core computes while the stores drain. Terms wait in one row of scratch memory.

use core::arch::x86_64::_mm_sfence;

use super::Call;
use super::lanes::{Factor, Lanes};
use super::long::{
    Formula, Minus, Reading, Total, before_line, end_row, label_of, read, settled, write_around,
};
use super::numbers::Reference;

/// Logits of a block.
const BLOCK: usize = 512;

/// What results are made of.
pub(super) trait Results<L: Lanes> {
    type By: Formula<L>;

    unsafe fn by(total: Total) -> Self::By;
}

/// Of terms.
pub(super) struct Probabilities;

impl<L: Lanes> Results<L> for Probabilities {
    type By = Factor<L>;

    #[inline(always)]
    unsafe fn by(total: Total) -> Factor<L> {
        Factor::of_sum(total.sum)
    }
}

/// Of the logits, once more.
pub(super) struct Logs;

impl<L: Lanes> Results<L> for Logs {
    type By = Minus<L>;

    #[inline(always)]
    unsafe fn by(total: Total) -> Minus<L> {
        Minus::log_sum_exp(total)
    }
}

/// All rows of a call. `TERMS` says that results are made of terms, `LABELS` that losses and the gradient at the
/// label are wanted.
#[inline(always)]
pub(super) unsafe fn run<L: Lanes, R: Results<L>, const N: usize, const TERMS: bool, const LABELS: bool>(
    call: &Call,
    scratch: *mut f32,
) {
    let n = call.classes;
    let tame = Reference::<L>::tame();
    let source = |row: usize| if TERMS { scratch.cast_const() } else { call.logits.add(row * n) };
    // How the results of the row before are made, and what they are at its label.
    let mut before = None;
    for row in 0..call.rows {
        let x = call.logits.add(row * n);
        let mut reading = Reading::<L>::new();
        let mut written = 0;
        for start in (0..n).step_by(BLOCK) {
            let end = (start + BLOCK).min(n);
            if let Some((by, _)) = before {
                let (from, to) = (source(row - 1), call.results.add((row - 1) * n));
                // Up to a whole line.
                let until = if end == n { n } else { (end + before_line(to.add(end))).min(n) };
                let (from, to) = (from.add(written), to.add(written));
                write_around::<L, N>(from, to, until - written, by, x.add(start));
                written = until;
            }
            let kept = scratch.add(start);
            reading = if TERMS {
                read::<L, N, false, true, true>(x.add(start), kept, end - start, &tame, reading)
            } else {
                read::<L, N, false, false, true>(x.add(start), kept, end - start, &tame, reading)
            };
        }
        if let Some((_, gradient)) = before
            && LABELS
        {
            *call.results.add(label_of(call, row - 1)) = gradient;
        }
        let total = if TERMS {
            settled::<L, N, true>(reading, x, scratch, n)
        } else {
            settled::<L, N, false>(reading, x, scratch, n)
        };
        let gradient =
            if LABELS { end_row(call, row, total, *call.logits.add(label_of(call, row))) } else { 0.0 };
        before = Some((R::by(total), gradient));
    }
    if let Some((by, gradient)) = before {
        let row = call.rows - 1;
        write_around::<L, N>(source(row), call.results.add(row * n), n, by, scratch);
        if LABELS {
            *call.results.add(label_of(call, row)) = gradient;
        }
    }
    _mm_sfence();
}
