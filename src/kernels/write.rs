//! From terms, or logits, to results.

use super::Kernel;
use super::classes::STEP;
use super::factors::{LogFactors, OfTerms, PlainFactors, RowFactors};
use super::group::Group;
use crate::simd::half::Half;
use crate::simd::strided::StridedMut;
use crate::simd::{LANES, Lanes, Simd};

/// What results are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Formula {
    /// `f t`, of terms.
    Scaled,
    /// `f t - c`, with one number for all classes.
    Less,
    /// `f t - c q`, with labels `q`.
    LessLabels,
    /// `f t (c - (x - pivot))`, with logits in place of labels; 0 for what has no share.
    TimesLogits,
    /// `(x - pivot) - log`, of logits.
    Logs,
    /// `((x - pivot) - log) c`, of logits.
    ScaledLogs,
}

/// What the results of a group's rows are made of.
pub(crate) enum WriteFrom<'a> {
    /// Terms, in lines of so many values.
    Terms(&'a [f32], usize),
    /// Terms that are where results go, but for those of the last row, if they are given; and what is made of them.
    Place(&'a [f32], Formula),
    /// Logits, of which logarithms are taken off.
    Logits(&'a [&'a [f32]; LANES]),
}

/// Writes the results of a group's rows: of terms to rows of f32 or of 16 bits, of logits to rows of f32.
pub(crate) struct WriteRows<'a> {
    pub(crate) group: &'a Group,
    pub(crate) from: WriteFrom<'a>,
    pub(crate) results: StridedMut<'a>,
    /// How many values after each result there is a logit that is read next, and asked for meanwhile; 0 where nothing is.
    pub(crate) next: &'a [usize; LANES],
}

impl Kernel for WriteRows<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Self { group, from, mut results, next } = self;
        for i in 0..group.len {
            let row = group.rows[i];
            match from {
                WriteFrom::Terms(terms, stride) => {
                    let (from, factors) = (&terms[i * stride..], RowFactors::splat(simd, &group.factors, i));
                    if let Some((half, to)) = results.half_row_mut(row) {
                        write_halves(simd, from, (half, to), factors.of_terms());
                        if let Some(to) = to.get_mut(group.labels[i]) {
                            *to = half.narrow(group.at_label[i]);
                        }
                        continue;
                    }
                    let to = results.row_mut(row);
                    match PlainFactors::of(simd, group, i) {
                        Some(factors) => write_and_ask(simd, from, to, next[i], factors.of_terms()),
                        None => write(simd, from, to, factors.of_terms()),
                    }
                }
                WriteFrom::Place(last, formula) => {
                    let from = (i + 1 == group.len && !last.is_empty()).then_some(last);
                    let to = results.row_mut(row);
                    WriteRow { group, row: i, formula, from, labels: &[], to }.eval(simd);
                }
                WriteFrom::Logits(rows) => {
                    let logs = LogFactors::splat(simd, group, i);
                    write_and_ask(simd, rows[i], results.row_mut(row), next[i], logs.of_logits());
                }
            }
            if let Some(to) = results.row_mut(row).get_mut(group.labels[i]) {
                *to = group.at_label[i];
            }
        }
    }
}

/// Writes the results of one row, or of some of its classes.
pub(crate) struct WriteRow<'a> {
    pub(crate) group: &'a Group,
    /// Which of the group's rows it is.
    pub(crate) row: usize,
    pub(crate) formula: Formula,
    /// Terms, or logits; `None` for those that are where results go.
    pub(crate) from: Option<&'a [f32]>,
    pub(crate) labels: &'a [f32],
    pub(crate) to: &'a mut [f32],
}

impl Kernel for WriteRow<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        if matches!(self.formula, Formula::Logs | Formula::ScaledLogs) {
            return self.of_logits(simd);
        }
        if let Some(factors) = PlainFactors::of(simd, self.group, self.row) {
            self.of_terms(simd, factors);
        } else {
            let factors = RowFactors::splat(simd, &self.group.factors, self.row);
            self.of_terms(simd, factors);
        }
    }
}

impl WriteRow<'_> {
    #[inline(always)]
    fn of_terms<S: Simd>(self, simd: S, factors: impl OfTerms<S>) {
        let Self { group, row, formula, from, labels, to } = self;
        let subtract = simd.splat(group.subtract[row]);
        let minus = simd.splat(0.0) - subtract;
        let pivot = simd.splat(group.ends.pivot[row]);
        match (formula, from) {
            (Formula::Scaled, Some(from)) => write(simd, from, to, factors.of_terms()),
            (Formula::Less, Some(from)) => write(
                simd,
                from,
                to,
                #[inline(always)]
                |term| factors.apply(term) - subtract,
            ),
            (Formula::LessLabels, Some(from)) => write_two(
                simd,
                from,
                labels,
                to,
                #[inline(always)]
                |term, label| label.mul_add(minus, factors.apply(term)),
            ),
            (Formula::TimesLogits, Some(from)) => write_two(
                simd,
                from,
                labels,
                to,
                #[inline(always)]
                |term, x| {
                    let share = factors.apply(term);
                    (share * (subtract - (x - pivot))).zero_where_zero(share)
                },
            ),
            (Formula::Scaled, None) => write_over(simd, to, factors.of_terms()),
            (Formula::Less, None) => write_over(
                simd,
                to,
                #[inline(always)]
                |term| factors.apply(term) - subtract,
            ),
            // Nothing else is written over what it is made of.
            (_, None) | (Formula::Logs | Formula::ScaledLogs, _) => {}
        }
    }

    #[inline(always)]
    fn of_logits<S: Simd>(self, simd: S) {
        let Self { group, row, formula, from, to, .. } = self;
        let subtract = simd.splat(group.subtract[row]);
        let logs = LogFactors::splat(simd, group, row);
        match (formula, from) {
            (Formula::Logs, Some(from)) => write(simd, from, to, logs.of_logits()),
            (Formula::ScaledLogs, Some(from)) => write(
                simd,
                from,
                to,
                #[inline(always)]
                |x| logs.apply(x) * subtract,
            ),
            (Formula::Logs, None) => write_over(simd, to, logs.of_logits()),
            _ => {}
        }
    }
}

/// Writes what `f` makes of values.
#[inline(always)]
pub(super) fn write<S: Simd>(simd: S, from: &[f32], to: &mut [f32], f: impl Fn(S::Lanes) -> S::Lanes) {
    write_and_ask(simd, from, to, 0, f);
}

/// As [`write`], and asks for what lies so many values after each result.
#[inline(always)]
fn write_and_ask<S: Simd>(
    simd: S,
    from: &[f32],
    to: &mut [f32],
    next: usize,
    f: impl Fn(S::Lanes) -> S::Lanes,
) {
    let from = &from[..to.len()];
    // Short rows have too few lines for the detour.
    let first = if to.len() < LINED || S::SMALL { 0 } else { lead(to) };
    write_ends(simd, from, to, first, &f);
    let (steps, tail) = to[first..].as_chunks_mut::<STEP>();
    let (from_steps, from_tail) = from[first..].as_chunks::<STEP>();
    for (from, to) in from_steps.iter().zip(steps) {
        for (from, to) in from.as_chunks::<LANES>().0.iter().zip(to.as_chunks_mut::<LANES>().0) {
            if next != 0 {
                simd.prefetch_near(to.as_ptr().wrapping_add(next));
            }
            for part in simd.parts() {
                f(simd.load(from, part)).store(to, part);
            }
        }
    }
    for (from, to) in from_tail.as_chunks::<LANES>().0.iter().zip(tail.as_chunks_mut::<LANES>().0) {
        for part in simd.parts() {
            f(simd.load(from, part)).store(to, part);
        }
    }
}

/// Writes what is before and behind whole lines of which the first begins at a value: sixteen results at each end, some of them
/// once more, as a store that leaves out lanes takes some processors as long as a dozen others.
#[inline(always)]
fn write_ends<S: Simd>(
    simd: S,
    from: &[f32],
    to: &mut [f32],
    first: usize,
    f: &impl Fn(S::Lanes) -> S::Lanes,
) {
    let Some((from_first, to_first)) = from.first_chunk().zip(to.first_chunk_mut()) else {
        for part in simd.parts() {
            f(simd.load_tail(from, part, 0.0)).store_tail(to, part);
        }
        return;
    };
    if first > 0 {
        for part in simd.parts() {
            f(simd.load(from_first, part)).store(to_first, part);
        }
    }
    let is_whole = (to.len() - first).is_multiple_of(LANES);
    if let (Some(from), Some(to), false) = (from.last_chunk(), to.last_chunk_mut(), is_whole) {
        for part in simd.parts() {
            f(simd.load(from, part)).store(to, part);
        }
    }
}

/// f32 of a page.
pub(crate) const PAGE: usize = 1024;

/// From so many values on results are stored in whole cache lines.
pub(crate) const LINED: usize = 4 * STEP;

/// How many values there are before the first whole cache line: a store across two of them costs as much as two.
#[inline(always)]
pub(super) fn lead(to: &[f32]) -> usize {
    to.as_ptr().align_offset(64).min(to.len()) % LANES
}

/// As [`write`], narrowed.
#[inline(always)]
fn write_halves<S: Simd>(
    simd: S,
    from: &[f32],
    (half, to): (Half, &mut [u16]),
    f: impl Fn(S::Lanes) -> S::Lanes,
) {
    let from = &from[..to.len()];
    let (lines, tail) = to.as_chunks_mut::<LANES>();
    let (from_lines, from_tail) = from.as_chunks::<LANES>();
    for (from, to) in from_lines.iter().zip(lines) {
        for part in simd.parts() {
            f(simd.load(from, part)).store_half(half, to, part);
        }
    }
    let mut last = [0; LANES];
    for part in simd.parts() {
        f(simd.load_tail(from_tail, part, 0.0)).store_half(half, &mut last, part);
    }
    tail.copy_from_slice(&last[..tail.len()]);
}

/// As [`write`], past the caches: whole lines but for the ends. Logits at `next` are asked for meanwhile, and for each
/// page of results one line two pages ahead: such stores wait for the translation of addresses otherwise.
#[inline(always)]
pub(super) fn write_past<S: Simd>(
    simd: S,
    from: &[f32],
    to: &mut [f32],
    next: &[f32],
    f: impl Fn(S::Lanes) -> S::Lanes,
) {
    let from = &from[..to.len()];
    let (first, to) = to.split_at_mut(lead(to));
    let (from_first, from) = from.split_at(first.len());
    for part in simd.parts() {
        f(simd.load_tail(from_first, part, 0.0)).store_tail(first, part);
    }
    let (lines, tail) = to.as_chunks_mut::<LANES>();
    let (from_lines, from_tail) = from.as_chunks::<LANES>();
    for (i, (from, to)) in from_lines.iter().zip(lines).enumerate() {
        // A block ahead of what is read next.
        simd.prefetch(next.as_ptr().wrapping_add(i * LANES));
        if to.as_ptr().addr() / 4 % PAGE < LANES {
            simd.prefetch(to.as_ptr().wrapping_add(2 * PAGE + PAGE / 4));
        }
        for part in simd.parts() {
            f(simd.load(from, part)).stream(to, part);
        }
    }
    for part in simd.parts() {
        f(simd.load_tail(from_tail, part, 0.0)).store_tail(tail, part);
    }
}

/// Makes results that went past the caches visible to other threads.
pub(crate) struct Fence;

impl Kernel for Fence {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        simd.fence();
    }
}

/// As [`write`], of values and labels.
#[inline(always)]
fn write_two<S: Simd>(
    simd: S,
    from: &[f32],
    labels: &[f32],
    to: &mut [f32],
    f: impl Fn(S::Lanes, S::Lanes) -> S::Lanes,
) {
    let (from, labels) = (&from[..to.len()], &labels[..to.len()]);
    let Some((last, last_labels)) = from.last_chunk().zip(labels.last_chunk()) else {
        for part in simd.parts() {
            f(simd.load_tail(from, part, 0.0), simd.load_tail(labels, part, 0.0)).store_tail(to, part);
        }
        return;
    };
    let lines = to.as_chunks_mut::<LANES>().0;
    for ((from, label), to) in from.as_chunks().0.iter().zip(labels.as_chunks().0).zip(lines) {
        for part in simd.parts() {
            f(simd.load(from, part), simd.load(label, part)).store(to, part);
        }
    }
    // As in `write_ends`.
    if let (Some(to), false) = (to.last_chunk_mut(), from.len().is_multiple_of(LANES)) {
        for part in simd.parts() {
            f(simd.load(last, part), simd.load(last_labels, part)).store(to, part);
        }
    }
}

/// As [`write`], over the values.
#[inline(always)]
fn write_over<S: Simd>(simd: S, to: &mut [f32], f: impl Fn(S::Lanes) -> S::Lanes) {
    // Short rows have too few lines for the detour.
    let first = if to.len() < LINED || S::SMALL { 0 } else { lead(to) };
    let is_whole = (to.len() - first).is_multiple_of(LANES);
    let Some((head, tail)) = to.first_chunk().zip(to.last_chunk()) else {
        for part in simd.parts() {
            f(simd.load_tail(to, part, 0.0)).store_tail(to, part);
        }
        return;
    };
    // As in `write_ends`, but made before anything is written over them.
    let mut ends = [[0.0; LANES]; 2];
    if first > 0 {
        for part in simd.parts() {
            f(simd.load(head, part)).store(&mut ends[0], part);
        }
    }
    if !is_whole {
        for part in simd.parts() {
            f(simd.load(tail, part)).store(&mut ends[1], part);
        }
    }
    for line in to[first..].as_chunks_mut::<LANES>().0 {
        for part in simd.parts() {
            f(simd.load(line, part)).store(line, part);
        }
    }
    if let (Some(head), true) = (to.first_chunk_mut(), first > 0) {
        *head = ends[0];
    }
    if let (Some(tail), false) = (to.last_chunk_mut(), is_whole) {
        *tail = ends[1];
    }
}
