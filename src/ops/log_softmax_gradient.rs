//! The gradient through log-softmax.

use super::allocated;
use super::softmax_gradient::{run_in_place, run_into};
use crate::kernels::gradient::Through;
use crate::{Error, Rows, RowsMut};

/// The gradient with respect to the logits, from the output of [`log_softmax`](crate::log_softmax()) and the gradient with
/// respect to it: `g_i - e^(z_i) sum_j g_j`.
///
/// Both are rows × classes, as is the result. The backend is that of `output`.
///
/// # Errors
///
/// [`Error::ShapeMismatch`], [`Error::UnknownBackend`], [`Error::UnavailableBackend`] and
/// [`Error::OutOfMemory`].
///
/// ```
/// use xent::{Rows, log_softmax_gradient};
///
/// let (z, g) = ([-core::f32::consts::LN_2; 2], [-1.0, 0.0]);
/// let dx = log_softmax_gradient(Rows::new(&z, 1, 2)?, Rows::new(&g, 1, 2)?)?;
/// assert_eq!(dx, [-0.5, 0.5]);
/// # Ok::<(), xent::Error>(())
/// ```
pub fn log_softmax_gradient(output: Rows<'_>, upstream: Rows<'_>) -> Result<Vec<f32>, Error> {
    allocated(upstream, |results| log_softmax_gradient_into(output, upstream, results))
}

/// As [`log_softmax_gradient`], into a buffer of the same shape.
///
/// # Errors
///
/// [`Error::ShapeMismatch`], [`Error::UnknownBackend`] and [`Error::UnavailableBackend`].
pub fn log_softmax_gradient_into(
    output: Rows<'_>,
    upstream: Rows<'_>,
    results: RowsMut<'_>,
) -> Result<(), Error> {
    run_into(Through::LogSoftmax, output, upstream, results)
}

/// As [`log_softmax_gradient`], over the upstream gradient.
///
/// # Errors
///
/// [`Error::ShapeMismatch`], [`Error::UnknownBackend`] and [`Error::UnavailableBackend`].
pub fn log_softmax_gradient_in_place(output: Rows<'_>, upstream: RowsMut<'_>) -> Result<(), Error> {
    run_in_place(Through::LogSoftmax, output, upstream)
}
