//! Log-softmax.

use super::{allocated, run_in_place, run_into};
use crate::engine::call::Work;
use crate::{Error, Rows, RowsMut};

/// The log-softmax of each row: `x_i - ln sum_j e^(x_j)`.
///
/// Takes logits of rows × classes, gives log-probabilities (natural logarithm) in the same shape, rows
/// after each other. A row that holds NaN or `+inf`, or nothing but `-inf`, gives NaN; `-inf` elsewhere
/// stays `-inf`. At most 3 ULP off, also next to 0, where a difference would cancel.
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
    run_into(Work::LogSoftmax, logits, results)
}

/// As [`log_softmax`], over the logits.
///
/// # Errors
///
/// [`Error::UnknownBackend`] and [`Error::UnavailableBackend`].
pub fn log_softmax_in_place(logits: RowsMut<'_>) -> Result<(), Error> {
    run_in_place(Work::LogSoftmax, logits)
}
