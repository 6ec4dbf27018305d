//! The gradient through softmax; and how such gradients run.

use super::allocated;
use crate::engine::call::Source;
use crate::engine::parallel;
use crate::engine::row_call::{RowCall, RowWork};
use crate::kernels::gradient::Through;
use crate::{Error, Rows, RowsMut};

/// The gradient with respect to the logits, from the output of [`softmax`](crate::softmax()) and the gradient with respect
/// to it: `y_i (g_i - sum_j y_j g_j)`.
///
/// Both are rows × classes, as is the result. A class of probability 0 has gradient 0, whatever its
/// upstream gradient. The backend is that of `output`.
///
/// # Errors
///
/// [`Error::ShapeMismatch`], [`Error::UnknownBackend`], [`Error::UnavailableBackend`] and
/// [`Error::OutOfMemory`].
///
/// ```
/// use xent::{Rows, softmax_gradient};
///
/// let (y, g) = ([0.25, 0.75], [1.0, 0.0]);
/// let dx = softmax_gradient(Rows::new(&y, 1, 2)?, Rows::new(&g, 1, 2)?)?;
/// assert_eq!(dx, [0.1875, -0.1875]);
/// # Ok::<(), xent::Error>(())
/// ```
pub fn softmax_gradient(output: Rows<'_>, upstream: Rows<'_>) -> Result<Vec<f32>, Error> {
    allocated(upstream, |results| softmax_gradient_into(output, upstream, results))
}

/// As [`softmax_gradient`], into a buffer of the same shape.
///
/// # Errors
///
/// [`Error::ShapeMismatch`], [`Error::UnknownBackend`] and [`Error::UnavailableBackend`].
pub fn softmax_gradient_into(
    output: Rows<'_>,
    upstream: Rows<'_>,
    results: RowsMut<'_>,
) -> Result<(), Error> {
    run_into(Through::Softmax, output, upstream, results)
}

/// As [`softmax_gradient`], over the upstream gradient.
///
/// # Errors
///
/// [`Error::ShapeMismatch`], [`Error::UnknownBackend`] and [`Error::UnavailableBackend`].
pub fn softmax_gradient_in_place(output: Rows<'_>, upstream: RowsMut<'_>) -> Result<(), Error> {
    run_in_place(Through::Softmax, output, upstream)
}

/// Writes the gradient through an operation that gave `output`.
pub(super) fn run_into(
    through: Through,
    output: Rows<'_>,
    upstream: Rows<'_>,
    results: RowsMut<'_>,
) -> Result<(), Error> {
    let shape = (output.rows(), output.classes());
    upstream.expect_shape("upstream gradient", shape)?;
    results.expect_shape("gradient", shape)?;
    let call = RowCall::new(RowWork::Gradient(through), Source::Shared(upstream.values()));
    let (second, results) = (Some(output.values()), Some(results.into_values()));
    parallel::run(RowCall { second, results, ..call }, output.execution()).map(drop)
}

/// As [`run_into`], over the upstream gradient.
pub(super) fn run_in_place(through: Through, output: Rows<'_>, upstream: RowsMut<'_>) -> Result<(), Error> {
    upstream.expect_shape("upstream gradient", (output.rows(), output.classes()))?;
    let call = RowCall::new(RowWork::Gradient(through), Source::Over(upstream.into_values()));
    parallel::run(RowCall { second: Some(output.values()), ..call }, output.execution()).map(drop)
}
