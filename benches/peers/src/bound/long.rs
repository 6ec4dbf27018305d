//! Rows of many classes, one after the other: the loop over a row is what counts.
//!
//! Terms are taken against a fixed power of two, without a look for the largest logit first. That is right for
//! rows whose largest logit is moderate; one OR for each vector and the sum find the others, which are read again.

use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

use super::lanes::{Factor, Lanes};
use super::numbers::{Exp, Reference, each, is_tame, ln_reference};
use super::{Call, PAGE};

/// How far ahead logits are asked for.
const AHEAD: usize = 512;

/// The sum of a row's terms, and what they are relative to.
#[derive(Clone, Copy)]
pub(super) struct Total {
    pub sum: f64,
    pivot: f32,
    exponent: f32,
}

impl Total {
    const fn tame(sum: f64) -> Self {
        Self { sum, pivot: 0.0, exponent: -64.0 }
    }

    fn log_sum_exp(self) -> f64 {
        self.sum.ln() + ln_reference(self.pivot, self.exponent)
    }
}

/// The sum of a row in two parts, as [`Sum`](super::numbers::Sum), and the shifted integers that went into it.
#[derive(Clone, Copy)]
pub(super) struct Reading<L: Lanes> {
    high: L::Register,
    low: L::Register,
    seen: L::Register,
}

impl<L: Lanes> Reading<L> {
    #[inline(always)]
    pub(super) unsafe fn new() -> Self {
        let zero = L::zero_register();
        Self { high: zero, low: zero, seen: zero }
    }

    /// Adds some vectors as one: what that rounds off is that of a few terms.
    #[inline(always)]
    unsafe fn add<const N: usize>(&mut self, terms: [L::F; N]) {
        let terms = L::folded(terms);
        let high = L::add_register(self.high, terms);
        let error = L::sub_register(terms, L::sub_register(high, self.high));
        self.low = L::add_register(self.low, error);
        self.high = high;
    }

    #[inline(always)]
    unsafe fn sum(self) -> f64 {
        L::sum(self.high) + L::sum(self.low)
    }

    /// The sum where it is right.
    #[inline(always)]
    unsafe fn tame(self) -> Option<Total> {
        let sum = self.sum();
        is_tame(L::or_lanes(self.seen), sum).then_some(Total::tame(sum))
    }
}

/// Takes the terms of `n` logits, and keeps them at `to` or not.
#[inline(always)]
pub(super) unsafe fn read<
    L: Lanes,
    const N: usize,
    const PIVOT: bool,
    const KEEP: bool,
    const PREFETCH: bool,
>(
    x: *const f32,
    to: *mut f32,
    n: usize,
    by: &Reference<L>,
    mut reading: Reading<L>,
) -> Reading<L> {
    let exp = Exp::<L>::new();
    let zero = exp.zero;
    // The terms of the step before: adding them at once would fill the scheduler with what must wait.
    let mut before = [zero; N];
    let mut at = 0;
    while at + 16 * N <= n {
        let logits = each!(zero, |u| L::load(x.add(at + 16 * u)));
        reading.add(before);
        if PREFETCH {
            prefetch(x.wrapping_add(at + AHEAD), 16 * N);
        }
        let seen = &mut reading.seen;
        let terms = exp.terms_and_range::<N, PIVOT>(logits, [by; N], |s| *seen = L::or_all(*seen, s));
        if KEEP {
            for u in 0..N {
                L::store(to.add(at + 16 * u), terms[u]);
            }
        }
        before = terms;
        at += 16 * N;
    }
    reading.add(before);
    if at < n {
        let from = each!(0, |u| (at + 16 * u).min(n));
        let count = each!(0, |u| (n - from[u]).min(16));
        let logits = each!(zero, |u| L::load_part(x.add(from[u]), count[u]));
        // What stands in for logits that are not there must be neither seen nor added.
        let mut shifted = [zero; N];
        let terms = exp.terms_and_range::<N, PIVOT>(logits, [by; N], |s| shifted = s);
        let shifted = each!(zero, |u| L::keep_part(count[u], shifted[u]));
        reading.seen = L::or_all(reading.seen, shifted);
        let terms = each!(zero, |u| L::keep_part(count[u], terms[u]));
        if KEEP {
            for u in 0..N {
                L::store_part(to.add(from[u]), count[u], terms[u]);
            }
        }
        reading.add(terms);
    }
    reading
}

/// Asks for the lines of some values.
#[inline(always)]
unsafe fn prefetch(x: *const f32, values: usize) {
    for at in (0..values).step_by(16) {
        _mm_prefetch::<_MM_HINT_T0>(x.wrapping_add(at).cast());
    }
}

/// The total of a reading; a row that is not tame is read again, relative to its largest logit.
#[inline(always)]
pub(super) unsafe fn settled<L: Lanes, const N: usize, const KEEP: bool>(
    reading: Reading<L>,
    x: *const f32,
    to: *mut f32,
    n: usize,
) -> Total {
    match reading.tame() {
        Some(total) => total,
        None => read_again::<L, N, KEEP>(x, to, n),
    }
}

#[inline(always)]
unsafe fn read_again<L: Lanes, const N: usize, const KEEP: bool>(
    x: *const f32,
    to: *mut f32,
    n: usize,
) -> Total {
    let row = core::slice::from_raw_parts(x, n);
    let max = row.iter().fold(f32::NEG_INFINITY, |max, x| max.max(*x));
    let (by, _) = Reference::<L>::of_largest(L::splat(max));
    let sum = read::<L, N, true, KEEP, false>(x, to, n, &by, Reading::new()).sum();
    let mut lanes = [[0.0; 16]; 2];
    L::store(lanes[0].as_mut_ptr(), by.pivot);
    L::store(lanes[1].as_mut_ptr(), by.exponent);
    Total { sum, pivot: lanes[0][0], exponent: lanes[1][0] }
}

/// What a result is made of its term, or of its logit.
pub(super) trait Formula<L: Lanes>: Copy {
    unsafe fn apply(&self, x: L::F) -> L::F;
}

impl<L: Lanes> Formula<L> for Factor<L> {
    #[inline(always)]
    unsafe fn apply(&self, term: L::F) -> L::F {
        Self::apply(self, term)
    }
}

/// `x` minus the log-sum-exp, which is in three parts.
#[derive(Clone, Copy)]
pub(super) struct Minus<L: Lanes>([L::F; 3]);

impl<L: Lanes> Minus<L> {
    #[inline(always)]
    pub(super) unsafe fn log_sum_exp(total: Total) -> Self {
        let log = total.log_sum_exp() - f64::from(total.pivot);
        let high = log as f32;
        let low = (log - f64::from(high)) as f32;
        Self([L::splat(total.pivot), L::splat(high), L::splat(low)])
    }
}

impl<L: Lanes> Formula<L> for Minus<L> {
    #[inline(always)]
    unsafe fn apply(&self, x: L::F) -> L::F {
        let [pivot, high, low] = self.0;
        L::sub(L::sub(L::sub(x, pivot), high), low)
    }
}

/// The results of `n` terms or logits.
#[inline(always)]
unsafe fn write<L: Lanes, const N: usize>(from: *const f32, to: *mut f32, n: usize, by: impl Formula<L>) {
    let mut at = 0;
    while at + 16 * N <= n {
        let y = each!(L::splat(0.0), |u| by.apply(L::load(from.add(at + 16 * u))));
        for u in 0..N {
            L::store(to.add(at + 16 * u), y[u]);
        }
        at += 16 * N;
    }
    write_part(from.add(at), to.add(at), n - at, by);
}

#[inline(always)]
unsafe fn write_part<L: Lanes>(from: *const f32, to: *mut f32, n: usize, by: impl Formula<L>) {
    for at in (0..n).step_by(16) {
        let count = (n - at).min(16);
        L::store_part(to.add(at), count, by.apply(L::load_part(from.add(at), count)));
    }
}

/// As [`write`], around the caches: whole lines but at both ends. The logits at `next` are asked for meanwhile.
#[inline(always)]
pub(super) unsafe fn write_around<L: Lanes, const N: usize>(
    from: *const f32,
    to: *mut f32,
    n: usize,
    by: impl Formula<L>,
    next: *const f32,
) {
    let mut at = before_line(to).min(n);
    write_part(from, to, at, by);
    while at + 16 * N <= n {
        let terms = each!(L::splat(0.0), |u| L::load(from.add(at + 16 * u)));
        prefetch(next.wrapping_add(at + AHEAD), 16 * N);
        // One line of each page, two pages ahead: the stores, and all behind them, would wait for page walks.
        if to.add(at) as usize % (4 * PAGE) < 64 * N {
            prefetch(to.wrapping_add(at + 2 * PAGE + PAGE / 4), 1);
        }
        let y = each!(L::splat(0.0), |u| by.apply(terms[u]));
        for u in 0..N {
            L::stream(to.add(at + 16 * u), y[u]);
        }
        at += 16 * N;
    }
    write_part(from.add(at), to.add(at), n - at, by);
}

/// The values up to the next line of the cache.
pub(super) fn before_line(p: *const f32) -> usize {
    (p as usize).wrapping_neg() / 4 % 16
}

/// The loss of a row; what the gradient is at its label.
#[inline(always)]
pub(super) unsafe fn end_row(call: &Call, row: usize, total: Total, at_label: f32) -> f32 {
    let loss = total.log_sum_exp() - f64::from(at_label);
    *call.losses.add(row) = loss as f32;
    (-loss).exp_m1() as f32
}

#[inline(always)]
pub(super) unsafe fn label_of(call: &Call, row: usize) -> usize {
    row * call.classes + *call.labels.add(row) as usize
}

/// Losses.
#[inline(always)]
pub unsafe fn loss<L: Lanes, const N: usize>(call: &Call, scratch: *mut f32) {
    let by = Reference::<L>::tame();
    for row in 0..call.rows {
        let x = call.logits.add(row * call.classes);
        let reading = read::<L, N, false, false, false>(x, scratch, call.classes, &by, Reading::new());
        let total = settled::<L, N, false>(reading, x, scratch, call.classes);
        end_row(call, row, total, *call.logits.add(label_of(call, row)));
    }
}

/// Softmax, or loss and gradient, for results within the caches and in place: terms go where the results go.
#[inline(always)]
pub unsafe fn into<L: Lanes, const N: usize, const LABELS: bool>(call: &Call) {
    let by = Reference::<L>::tame();
    let in_place = call.logits == call.results.cast_const();
    for row in 0..call.rows {
        let n = call.classes;
        let (x, to) = (call.logits.add(row * n), call.results.add(row * n));
        let at_label = if LABELS { *call.logits.add(label_of(call, row)) } else { 0.0 };
        let reading = read::<L, N, false, true, false>(x, to, n, &by, Reading::new());
        // In place the logits are gone, so that rows have to be tame.
        let total =
            if in_place { Total::tame(reading.sum()) } else { settled::<L, N, true>(reading, x, to, n) };
        write::<L, N>(to, to, n, Factor::<L>::of_sum(total.sum));
        if LABELS {
            *call.results.add(label_of(call, row)) = end_row(call, row, total, at_label);
        }
    }
}

/// Log-softmax within the caches: the logits are read twice.
#[inline(always)]
pub unsafe fn logs_into<L: Lanes, const N: usize>(call: &Call, scratch: *mut f32) {
    let by = Reference::<L>::tame();
    for row in 0..call.rows {
        let n = call.classes;
        let x = call.logits.add(row * n);
        let reading = read::<L, N, false, false, false>(x, scratch, n, &by, Reading::new());
        let total = settled::<L, N, false>(reading, x, scratch, n);
        write::<L, N>(x, call.results.add(row * n), n, Minus::<L>::log_sum_exp(total));
    }
}
