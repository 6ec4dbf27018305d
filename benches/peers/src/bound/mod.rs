//! The bound: how fast the operations can be on this machine, by loops that do what the numbers need and
//! nothing else.
//!
//! The formulas, and errors of about the same size, but none of what a library must have: logits are contiguous f32
//! that are finite or -inf, with at least one that is finite in each row; there are no strides, options, or reductions;
//! in place, logits are between -43 and 43; of many classes, losses far below 1 are not as exact as others. Kernels are written in the instructions of the processor, for AVX2 and for
//! AVX-512.
//!
//! | classes | form | file |
//! |---|---|---|
//! | 2 to 63 | sixteen rows in the lanes | `tile.rs` |
//! | 64 to 128 | classes in the lanes, row ends for sixteen rows | `wide.rs` |
//! | more | row by row | `long.rs`, and `turns.rs` for what is beyond the caches |

#![allow(unsafe_op_in_unsafe_fn, reason = "all of it is intrinsics and places in checked buffers")]
#![allow(clippy::undocumented_unsafe_blocks, reason = "the contract is that of `Lanes`, and of `Call`")]
#![allow(clippy::wildcard_imports, reason = "the intrinsics, a hundred names")]
#![allow(clippy::needless_range_loop, reason = "loops over registers are unrolled by their indices")]
#![allow(clippy::many_single_char_names, reason = "the names of the formulas")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "indices of tables, and roundings to f32 that are meant"
)]

mod avx2;
mod avx512;
mod ends;
mod lanes;
mod long;
mod numbers;
mod tile;
mod turn256;
mod turn512;
mod turns;
mod wide;

#[cfg(test)]
mod tests;

use std::cell::RefCell;

use rayon::prelude::*;
use xent::Backend;

use crate::common::operations::{Buffers, Operation};
use avx2::Avx2;
use avx512::Avx512;
use ends::{GRADIENT, LOSS, SOFTMAX};
use lanes::Lanes;
use turns::{Logs, Probabilities};

/// The fewest classes whose rows are summed with classes in the lanes.
const WIDE: usize = 64;

/// f32 of a page.
const PAGE: usize = 1024;

/// What a kernel works on: `rows * classes` logits and results, and a label and a loss for each row, as far as the
/// operation has them. Labels are classes.
#[derive(Clone, Copy)]
struct Call {
    logits: *const f32,
    results: *mut f32,
    labels: *const u32,
    losses: *mut f32,
    rows: usize,
    classes: usize,
}

// SAFETY: each thread gets rows of its own.
unsafe impl Send for Call {}
unsafe impl Sync for Call {}

impl Call {
    /// Some of the rows.
    unsafe fn part(&self, first: usize, rows: usize) -> Self {
        let at = first * self.classes;
        Self {
            logits: self.logits.add(at),
            results: self.results.add(at),
            labels: self.labels.add(first),
            losses: self.losses.add(first),
            rows,
            classes: self.classes,
        }
    }
}

/// The form for rows of many classes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Terms where the results go.
    Into,
    /// Two rows in turns.
    Turns,
}

/// The forms of an operation at so many classes; none where there is no kernel.
pub fn forms(operation: Operation, classes: usize) -> &'static [Form] {
    use Operation::{LogSoftmax, Softmax, SoftmaxInPlace, SparseLoss, SparseLossAndGradient};
    match (operation, classes) {
        (SparseLoss | SparseLossAndGradient | Softmax, 2..=tile::MOST) => &[Form::Into],
        (_, 0..=tile::MOST) => &[],
        (SparseLoss | SoftmaxInPlace, _) => &[Form::Into],
        (SparseLossAndGradient | Softmax | LogSoftmax, _) => &[Form::Into, Form::Turns],
        _ => &[],
    }
}

/// Runs an operation on the threads of the pool it is called in, each with as many rows.
///
/// # Panics
///
/// Where [`forms`] does not have it, or the processor not the backend.
pub fn run(buffers: &mut Buffers, operation: Operation, form: Form, backend: Backend) {
    let shape = buffers.shape;
    assert!(backend.is_available() && [Backend::Avx2, Backend::Avx512].contains(&backend), "{backend}");
    assert!(shape.inner == 1 && forms(operation, shape.classes).contains(&form), "{operation} {shape}");
    let Buffers { logits, labels, results, row_results, .. } = buffers;
    assert!(logits.len() == shape.logits() && results.len() == shape.logits());
    assert!(labels.len() == shape.rows && row_results.len() == shape.rows);
    let in_place = operation == Operation::SoftmaxInPlace;
    let call = Call {
        logits: if in_place { results.as_ptr() } else { logits.as_ptr() },
        results: results.as_mut_ptr(),
        labels: labels.as_ptr(),
        losses: row_results.as_mut_ptr(),
        rows: shape.rows,
        classes: shape.classes,
    };
    let labels = &labels[..];
    let part = |first: usize, rows: usize| {
        SCRATCH.with_borrow_mut(|scratch| {
            let labelled = matches!(operation, Operation::SparseLoss | Operation::SparseLossAndGradient);
            let labels = if labelled { &labels[first..first + rows] } else { &[] };
            let room = shape.classes + 2 * PAGE;
            scratch.row.resize(scratch.row.len().max(room), 0.0);
            // SAFETY: the lengths were checked, and parts do not overlap; the backend is available.
            unsafe {
                let call = call.part(first, rows);
                match backend {
                    Backend::Avx512 => avx512(&call, labels, operation, form, scratch),
                    _ => avx2(&call, labels, operation, form, scratch),
                }
            }
        });
    };
    let threads = rayon::current_num_threads().min(shape.rows.max(1));
    if threads == 1 {
        part(0, shape.rows);
        return;
    }
    // Whole groups of sixteen rows where there are many.
    let most = shape.rows.div_ceil(threads);
    let most = if most >= 64 { most.next_multiple_of(16) } else { most };
    (0..shape.rows.div_ceil(most)).into_par_iter().for_each(|index| {
        let first = index * most;
        part(first, most.min(shape.rows - first));
    });
}

/// What a thread keeps from call to call.
struct Scratch {
    tile: Box<tile::Scratch>,
    wide: Box<wide::Scratch>,
    row: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        tile: tile::Scratch::new(),
        wide: wide::Scratch::new(),
        row: Vec::new(),
    });
}

#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,fma")]
unsafe fn avx512(call: &Call, labels: &[u32], operation: Operation, form: Form, scratch: &mut Scratch) {
    kernel::<Avx512, 4>(call, labels, operation, form, scratch);
}

#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(call: &Call, labels: &[u32], operation: Operation, form: Form, scratch: &mut Scratch) {
    kernel::<Avx2, 2>(call, labels, operation, form, scratch);
}

/// Checks the labels and chooses the kernel; loops over long rows take `N` vectors side by side.
#[inline(always)]
unsafe fn kernel<L: Lanes, const N: usize>(
    call: &Call,
    labels: &[u32],
    operation: Operation,
    form: Form,
    scratch: &mut Scratch,
) {
    use Operation::{Softmax, SoftmaxInPlace, SparseLoss, SparseLossAndGradient};
    let largest = labels.iter().fold(0, |max, &label| max.max(label));
    assert!((largest as usize) < call.classes, "a label is no class");
    let Scratch { tile, wide, row } = scratch;
    // A quarter of a page behind a page: large buffers start with one, and a load that lies as far in its page as a
    // store before it waits for that.
    let row = row.as_mut_ptr();
    let row = row.add(row.align_offset(4 * PAGE) + PAGE / 4);
    match (call.classes, operation, form) {
        (..WIDE, SparseLoss, _) => tile::run::<L, LOSS>(call, tile),
        (..WIDE, SparseLossAndGradient, _) => tile::run::<L, GRADIENT>(call, tile),
        (..WIDE, ..) => tile::run::<L, SOFTMAX>(call, tile),
        (WIDE..=tile::MOST, SparseLoss, _) => wide::run::<L, LOSS>(call, wide),
        (WIDE..=tile::MOST, SparseLossAndGradient, _) => wide::run::<L, GRADIENT>(call, wide),
        (WIDE..=tile::MOST, ..) => wide::run::<L, SOFTMAX>(call, wide),
        (_, SparseLoss, _) => long::loss::<L, N>(call, row),
        (_, SparseLossAndGradient, Form::Into) => long::into::<L, N, true>(call),
        (_, SparseLossAndGradient, Form::Turns) => {
            turns::run::<L, Probabilities, N, true, true>(call, row);
        }
        (_, SoftmaxInPlace, _) | (_, Softmax, Form::Into) => long::into::<L, N, false>(call),
        (_, Softmax, Form::Turns) => turns::run::<L, Probabilities, N, true, false>(call, row),
        (_, _, Form::Into) => long::logs_into::<L, N>(call, row),
        (_, _, Form::Turns) => turns::run::<L, Logs, N, false, false>(call, row),
    }
}
