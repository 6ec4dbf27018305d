//! The public operations, one family a file: validate completely, then hand a call to the engine.
//!
//! What runs a call is never generic over the caller's types: kernels are compiled once, here, and not again in
//! every crate that calls them.

mod compare;
mod cross_entropy;
mod elements;
mod hinge;
mod likelihood;
#[cfg(feature = "linear")]
mod linear;
mod log_softmax;
mod log_softmax_gradient;
mod log_sum_exp;
mod row_calls;
mod row_max;
mod shard;
mod softmax;
mod softmax_gradient;
mod tokens;

pub use crate::engine::tokens::Truncation;
pub use compare::{Comparison, LogitComparison};
pub use cross_entropy::{
    CrossEntropy, Denominator, DenseGradient, EmptyMean, EmptyRows, Loss, Reduction, Smoothing, Statistics,
    Summary, Upstream, softmax_cross_entropy_with_logits, softmax_cross_entropy_with_logits_into,
    sparse_softmax_cross_entropy_with_logits, sparse_softmax_cross_entropy_with_logits_into,
};
pub use elements::{BinaryCrossEntropy, ElementLoss, ElementReduction, KlDivergence, SquaredError};
pub use hinge::{Hinge, HingePower};
pub use likelihood::{NegativeLogLikelihood, Normalise};
#[cfg(feature = "linear")]
pub use linear::{Linear, LinearCrossEntropy, LinearGradients, LinearResults};
pub use log_softmax::{log_softmax, log_softmax_in_place, log_softmax_into};
pub use log_softmax_gradient::{
    log_softmax_gradient, log_softmax_gradient_in_place, log_softmax_gradient_into,
};
pub use log_sum_exp::{log_sum_exp, log_sum_exp_into};
pub use row_max::{argmax, argmax_into, row_max, row_max_into};
pub use shard::Shard;
pub use softmax::{softmax, softmax_in_place, softmax_into};
pub use softmax_gradient::{softmax_gradient, softmax_gradient_in_place, softmax_gradient_into};
pub use tokens::{Sampler, SequenceLogProb, TokenLogProbs, TokenOutputs};

use crate::engine::call::{Call, Inputs, Source, Work};
use crate::engine::options::Outputs;
use crate::engine::parallel;
use crate::{Error, Rows, RowsMut};

/// `len` values to be written over, or an error where they do not fit in memory.
fn allocate<T: Clone>(value: T, len: usize) -> Result<Vec<T>, Error> {
    // The zeroed allocation that `vec!` makes cannot fail softly, so its size is tried first.
    Vec::<T>::new().try_reserve_exact(len).map_err(|_| Error::OutOfMemory { values: len })?;
    Ok(vec![value; len])
}

/// A new buffer of the logits' shape, written by `write`.
fn allocated(
    logits: Rows<'_>,
    write: impl FnOnce(RowsMut<'_>) -> Result<(), Error>,
) -> Result<Vec<f32>, Error> {
    let (rows, classes) = (logits.rows(), logits.classes());
    let mut results = allocate(0.0, rows * classes)?;
    write(RowsMut::new(&mut results, rows, classes)?)?;
    Ok(results)
}

/// An error unless there is one value per row.
const fn expect_rows(what: &'static str, given: usize, expected: usize) -> Result<(), Error> {
    if given == expected { Ok(()) } else { Err(Error::RowCount { what, given, expected }) }
}

/// A slice of so many values, or an empty one where it is not wanted.
fn checked<'a, T>(
    what: &'static str,
    slice: Option<&'a mut [T]>,
    expected: usize,
) -> Result<&'a mut [T], Error> {
    let Some(slice) = slice else { return Ok(&mut []) };
    expect_rows(what, slice.len(), expected)?;
    Ok(slice)
}

/// Runs an operation without options whose results have the logits' shape.
fn run_into(work: Work, logits: Rows<'_>, results: RowsMut<'_>) -> Result<(), Error> {
    results.expect_shape("output", (logits.rows(), logits.classes()))?;
    let inputs = Inputs::new(work, Source::Shared(logits.values()));
    let call = Call::new(inputs, Some(results.into_values()), Outputs::default());
    parallel::run(call, logits.execution()).map(drop)
}

/// As [`run_into`], over the logits.
fn run_in_place(work: Work, logits: RowsMut<'_>) -> Result<(), Error> {
    let execution = logits.execution();
    let inputs = Inputs::new(work, Source::Over(logits.into_values()));
    parallel::run(Call::new(inputs, None, Outputs::default()), execution).map(drop)
}
