//! Rows of some more classes: classes in the lanes, but sixteen rows to each row end.
//!
//! Three groups of sixteen rows are on their way at once, row by row: the largest logits of one, the terms of the
//! group before it, and the results of the one before that. The label is masked by comparison.

use super::Call;
use super::ends::{GRADIENT, Group, LOSS, SOFTMAX};
use super::lanes::Lanes;
use super::numbers::{Exp, Reference, Sum};
use super::tile::MOST;

const GROUPS: usize = 3;
/// The terms of a group of rows, and what keeps groups from being a multiple of 4 KiB apart: a load would take the
/// store to such an address for its own.
const ROOM: usize = 16 * MOST + 560;

#[repr(align(64))]
pub struct Scratch {
    terms: [f32; GROUPS * ROOM],
    groups: [Group; GROUPS],
    largest: [[f32; 16]; 16],
    sums: [[[f32; 16]; 16]; 2],
}

impl Scratch {
    pub fn new() -> Box<Self> {
        // SAFETY: arrays of zeros are values of all the fields, which are numbers and a `bool`.
        unsafe { Box::<Self>::new_zeroed().assume_init() }
    }
}

/// 0, 1, 2, ...
#[repr(align(64))]
struct Classes([u32; MOST + 16]);

static CLASSES: Classes = {
    let mut all = [0; MOST + 16];
    let mut class = 0;
    while class < all.len() {
        all[class] = class as u32;
        class += 1;
    }
    Classes(all)
};

/// Lanes of the vector of classes at `at` that are not the label.
#[inline(always)]
unsafe fn others<L: Lanes>(at: usize, label: L::F) -> L::Mask {
    L::differ(L::load(CLASSES.0.as_ptr().add(at).cast()), label)
}

/// Loss, gradient or softmax of all rows of a call, of 16 classes and more.
#[inline(always)]
pub unsafe fn run<L: Lanes, const OP: u8>(call: &Call, scratch: &mut Scratch) {
    let groups = call.rows.div_ceil(16);
    let rows_of = |group: usize| if group < groups { (call.rows - 16 * group).min(16) } else { 0 };
    let vectors = call.classes.div_ceil(16);
    for t in 0..groups + 2 {
        // Those before the first one wrap, and have no rows.
        let [read, sum, write] = [t, t.wrapping_sub(1), t.wrapping_sub(2)];
        let [reads, sums, writes] = [rows_of(read), rows_of(sum), rows_of(write)];
        let writes = if OP == LOSS { 0 } else { writes };
        // Group t has place t modulo 3.
        let [at_read, at_sum, at_write] = [t % 3, (t + 2) % 3, (t + 1) % 3];
        let moderate = scratch.groups[at_sum].moderate;
        for i in 0..reads.max(sums).max(writes) {
            if i < reads {
                let group = &mut scratch.groups[at_read];
                let max = largest::<L, OP>(call, 16 * read + i, &mut group.at_label[i]);
                L::store(scratch.largest[i].as_mut_ptr(), max);
            }
            if i < sums {
                let by = scratch.groups[at_sum].reference_of::<L>(i);
                let bias = L::splat(scratch.groups[at_sum].bias[i]);
                let terms = scratch.terms.as_mut_ptr().add(at_sum * ROOM + i * 16 * vectors);
                let row = 16 * sum + i;
                let total = if moderate {
                    sum_row::<L, OP, false>(call, row, terms, &by, bias)
                } else {
                    sum_row::<L, OP, true>(call, row, terms, &by, bias)
                };
                L::store(scratch.sums[0][i].as_mut_ptr(), L::sub(total.high, bias));
                L::store(scratch.sums[1][i].as_mut_ptr(), total.low);
            }
            if i < writes {
                let terms = scratch.terms.as_ptr().add(at_write * ROOM + i * 16 * vectors);
                write_row::<L, OP>(call, 16 * write + i, terms, &scratch.groups[at_write], i);
            }
        }
        if sums > 0 {
            let group = &mut scratch.groups[at_sum];
            let high = L::sum_each(scratch.sums[0].as_ptr().cast());
            L::store(group.sum[0].as_mut_ptr(), L::add(high, L::load(group.bias.as_ptr())));
            L::store(group.sum[1].as_mut_ptr(), L::sum_each(scratch.sums[1].as_ptr().cast()));
        }
        if reads > 0 {
            let largest = L::max_each(scratch.largest.as_ptr().cast());
            scratch.groups[at_read].refer::<L, OP>(largest, call.classes);
        }
        if sums > 0 {
            let losses = call.losses.wrapping_add(16 * sum);
            scratch.groups[at_sum].finish::<L, OP>(losses, sums);
        }
    }
}

/// The largest logits of a row in each lane, but the label's.
#[inline(always)]
unsafe fn largest<L: Lanes, const OP: u8>(call: &Call, row: usize, at_label: &mut f32) -> L::F {
    let x = call.logits.add(row * call.classes);
    let label = label_lanes::<L, OP>(call, row);
    if OP != SOFTMAX {
        *at_label = *x.add(*call.labels.add(row) as usize);
    }
    let mut max = [L::splat(f32::NEG_INFINITY); 2];
    // The last vector ends where the row does.
    let last = call.classes - 16;
    let mut at = 0;
    while at + 16 < last {
        for (m, at) in max.iter_mut().zip([at, at + 16]) {
            *m = max_at::<L, OP>(x, at, label, *m);
        }
        at += 32;
    }
    if at < last {
        max[0] = max_at::<L, OP>(x, at, label, max[0]);
    }
    max[1] = max_at::<L, OP>(x, last, label, max[1]);
    L::max(max[0], max[1])
}

#[inline(always)]
unsafe fn max_at<L: Lanes, const OP: u8>(x: *const f32, at: usize, label: L::F, max: L::F) -> L::F {
    let x = L::load(x.add(at));
    if OP == SOFTMAX { L::max(x, max) } else { L::max_where(others::<L>(at, label), x, max) }
}

/// The label in all lanes, to compare with.
#[inline(always)]
unsafe fn label_lanes<L: Lanes, const OP: u8>(call: &Call, row: usize) -> L::F {
    L::splat(if OP == SOFTMAX { 0.0 } else { f32::from_bits(*call.labels.add(row)) })
}

#[inline(always)]
unsafe fn without_label<L: Lanes, const OP: u8>(label: L::F, at: usize, term: L::F) -> L::F {
    if OP == SOFTMAX { term } else { L::keep(others::<L>(at, label), term) }
}

/// The terms of a row, kept but for the loss, and the sum of all but the label's.
#[inline(always)]
unsafe fn sum_row<L: Lanes, const OP: u8, const PIVOT: bool>(
    call: &Call,
    row: usize,
    terms: *mut f32,
    by: &Reference<L>,
    bias: L::F,
) -> Sum<L> {
    let x = call.logits.add(row * call.classes);
    let label = label_lanes::<L, OP>(call, row);
    let exp = Exp::<L>::new();
    let mut sum = Sum::starting_with(bias);
    let vectors = call.classes.div_ceil(16);
    let last = call.classes - 16;
    // All but the last two vectors, or the last one.
    let pairs = (vectors - 1) / 2;
    for pair in 0..pairs {
        let at = 32 * pair;
        let logits = [L::load(x.add(at)), L::load(x.add(at + 16))];
        let [t, u] = exp.terms::<2, PIVOT>(logits, [by, by]);
        if OP != LOSS {
            L::store(terms.add(at), t);
            L::store(terms.add(at + 16), u);
        }
        sum.add(without_label::<L, OP>(label, at, t));
        sum.add(without_label::<L, OP>(label, at + 16, u));
    }
    let two = (vectors - 1) % 2 == 1;
    let at = if two { 32 * pairs } else { last };
    let [t, u] = exp.terms::<2, PIVOT>([L::load(x.add(at)), L::load(x.add(last))], [by, by]);
    if OP != LOSS {
        if two {
            L::store(terms.add(at), t);
        }
        L::store(terms.add(16 * (vectors - 1)), u);
    }
    if two {
        sum.add(without_label::<L, OP>(label, at, t));
    }
    // Without the lanes that the vector before it has already.
    let again = 16 * vectors - call.classes;
    let mut u = without_label::<L, OP>(label, last, u);
    if again > 0 {
        let class = L::load(LANES.0.as_ptr());
        u = L::keep(L::not_less(class, L::splat(again as f32)), u);
    }
    sum.add(u);
    sum
}

#[repr(align(64))]
struct Numbers([f32; 16]);

static LANES: Numbers =
    Numbers([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0]);

/// Terms times a factor, where the results go.
#[inline(always)]
unsafe fn write_row<L: Lanes, const OP: u8>(
    call: &Call,
    row: usize,
    terms: *const f32,
    group: &Group,
    lane: usize,
) {
    let factor = group.factor_of::<L>(lane);
    let out = call.results.add(row * call.classes);
    let whole = 16 * (call.classes.div_ceil(16) - 1);
    // First: the vector before it is right where they overlap, too.
    L::store(out.add(call.classes - 16), factor.apply(L::load(terms.add(whole))));
    for at in (0..whole).step_by(16) {
        L::store(out.add(at), factor.apply(L::load(terms.add(at))));
    }
    if OP == GRADIENT {
        *out.add(*call.labels.add(row) as usize) = group.gradient[lane];
    }
}
