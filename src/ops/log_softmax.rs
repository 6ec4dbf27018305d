//! Log-softmax and the gradient through it.

use super::allocated;
use super::places::in_place_of;
use crate::kernel::epilogue::Differences;
use crate::kernel::lines::Lines;
use crate::kernel::log_softmax::LogSoftmax;
use crate::kernel::place::Place;
use crate::kernel::rowwise::Rowwise;
use crate::kernel::scale::Scale;
use crate::kernel::softmax_gradient::{LogSoftmax as Formula, Through};
use crate::{Backend, Error, Rows, RowsMut, parallel};

/// The log-softmax of each row: `x_i - ln sum_j e^(x_j)`.
///
/// Takes logits of rows × classes, gives log-probabilities (natural logarithm) in the same shape, rows
/// after each other. A row that holds NaN or `+inf`, or nothing but `-inf`, gives NaN; `-inf` elsewhere
/// stays `-inf`. At most 2 ULP off, also next to 0, where a difference would cancel.
///
/// # Errors
///
/// [`Error::UnknownBackend`], [`Error::UnavailableBackend`] and [`Error::OutOfMemory`].
///
/// ```
/// use xent::{Rows, log_softmax};
///
/// let z = log_softmax(Rows::new(&[20.0, 0.0], 1, 2)?)?;
/// assert_eq!(z, [-2.061_153_7e-9, -20.0]); // others round the first to 0
/// # Ok::<(), xent::Error>(())
/// ```
pub fn log_softmax(logits: Rows<'_>) -> Result<Vec<f32>, Error> {
    allocated(logits, |results| log_softmax_into(logits, results))
}

/// As [`log_softmax`], into a buffer of the logits' shape.
///
/// # Errors
///
/// [`Error::ShapeMismatch`], [`Error::UnknownBackend`] and [`Error::UnavailableBackend`].
///
/// ```
/// use xent::{Rows, RowsMut, log_softmax_into};
///
/// let mut z = [0.0; 2];
/// log_softmax_into(Rows::new(&[3.0, 3.0], 1, 2)?, RowsMut::new(&mut z, 1, 2)?)?;
/// assert_eq!(z, [-core::f32::consts::LN_2; 2]);
/// # Ok::<(), xent::Error>(())
/// ```
pub fn log_softmax_into(logits: Rows<'_>, results: RowsMut<'_>) -> Result<(), Error> {
    in_place_of!(place = out_of_place("output", logits, results) => run(place, logits.backend()))
}

/// As [`log_softmax`], over the logits.
///
/// # Errors
///
/// [`Error::UnknownBackend`] and [`Error::UnavailableBackend`].
pub fn log_softmax_in_place(logits: RowsMut<'_>) -> Result<(), Error> {
    let backend = logits.backend();
    in_place_of!(place = in_place(logits) => run(place, backend))
}

/// The gradient with respect to the logits, from the output of [`log_softmax`] and the gradient with
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
    upstream.expect_shape("upstream gradient", (output.rows(), output.classes()))?;
    in_place_of!(place = out_of_place("gradient", upstream, results) => run_gradient(output, place))
}

/// As [`log_softmax_gradient`], over the upstream gradient.
///
/// # Errors
///
/// [`Error::ShapeMismatch`], [`Error::UnknownBackend`] and [`Error::UnavailableBackend`].
pub fn log_softmax_gradient_in_place(output: Rows<'_>, upstream: RowsMut<'_>) -> Result<(), Error> {
    upstream.expect_shape("upstream gradient", (output.rows(), output.classes()))?;
    in_place_of!(place = in_place(upstream) => run_gradient(output, place))
}

fn run_gradient(output: Rows<'_>, place: impl Place<Element = f32>) -> Result<(), Error> {
    parallel::run(Through::<Formula, _>::new(Lines::new(output.values()), place), output.backend())
}

fn run(place: impl Place, backend: Option<Backend>) -> Result<(), Error> {
    parallel::run(Rowwise(LogSoftmax::<_, Differences>::new(place, Scale::ONE)), backend)
}
