//! The numeric contract, line by line. The table of the README, and where its lines are tested:
//!
//! | subject | file |
//! |---|---|
//! | one logit at the limits of the kernels | `odd_logits.rs` |
//! | term, sums, log-sum-exp and losses, softmax and gradients, tiny losses | `numbers.rs` |
//! | what is exact: one class, a certain row, no losses of -0, what flushes to 0 | `exact.rs` |
//! | NaN, +inf, -inf, masked classes | `special.rs` |
//! | labels of 0, ignored rows, bad labels | `labels.rs` |
//! | weights, smoothing, masks, caps, denominators | `options.rs` |
//! | no rows, no classes, more than 2^32 logits | `sizes.rs` |
//! | the examples that the documents of this operation use | `literals.rs` |
//! | what users of other libraries reported | `reported.rs` |
//! | bits | the test crate `bits` |
//!
//! Random rows against the oracle are in the test crates `accuracy*` and `gradients`.

#[path = "../common/mod.rs"]
mod common;

mod exact;
mod labels;
mod literals;
mod numbers;
mod odd_logits;
mod options;
mod reported;
mod sizes;
mod special;

use xent::{Backend, CrossEntropy, Rows};

/// One row, or rows of `classes`, on a backend.
fn rows(values: &[f32], classes: usize, backend: Backend) -> Rows<'_> {
    Rows::new(values, values.len() / classes, classes).expect("whole rows").with_backend(backend)
}

/// The loss and the gradient of one row with this label.
fn sparse(row: &[f32], label: usize, backend: Backend) -> (f32, Vec<f32>) {
    let (loss, gradient) =
        CrossEntropy::new().loss_and_gradient(&[label], rows(row, row.len(), backend)).expect("a class");
    (loss.rows[0], gradient)
}

/// The loss and the gradient of one row with these labels.
fn dense(row: &[f32], labels: &[f32], backend: Backend) -> (f32, Vec<f32>) {
    let labels = rows(labels, row.len(), backend);
    let (loss, gradient) =
        CrossEntropy::new().loss_and_gradient(labels, rows(row, row.len(), backend)).expect("one shape");
    (loss.rows[0], gradient)
}

/// 1 at the label, 0 elsewhere.
fn one_hot(label: usize, classes: usize) -> Vec<f32> {
    (0..classes).map(|i| if i == label { 1.0 } else { 0.0 }).collect()
}

/// `start`, `start + 1` and so on, `period` of them and again.
fn steps(period: u8, len: usize, start: f32) -> Vec<f32> {
    (0..period).map(|i| start + f32::from(i)).cycle().take(len).collect()
}

/// Whether a result is +0, and not -0.
fn is_plus_zero(x: f32) -> bool {
    x.to_bits() == 0
}
