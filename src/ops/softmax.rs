//! Softmax.

use super::{allocated, run_in_place, run_into};
use crate::engine::call::Work;
use crate::{Error, Rows, RowsMut};

/// The softmax of each row: `e^(x_i) / sum_j e^(x_j)`.
///
/// Takes logits of rows × classes, gives probabilities in the same shape, rows after each other. A row
/// that holds NaN or `+inf`, or nothing but `-inf`, gives NaN; `-inf` elsewhere is a masked class of
/// probability 0. At most 3 ULP off; results below the smallest normal number are 0.
///
/// Formula: Bridle, "Probabilistic interpretation of feedforward classification network outputs" (1990).
///
/// # Errors
///
/// [`Error::UnknownBackend`], [`Error::UnavailableBackend`] and [`Error::OutOfMemory`].
///
/// ```
/// use xent::{Rows, softmax};
///
/// let p = softmax(Rows::new(&[1.0, 2.0, 3.0], 1, 3)?)?;
/// assert_eq!(p, [0.090_030_57, 0.244_728_48, 0.665_240_94]);
/// # Ok::<(), xent::Error>(())
/// ```
pub fn softmax(logits: Rows<'_>) -> Result<Vec<f32>, Error> {
    allocated(logits, |results| softmax_into(logits, results))
}

/// As [`softmax`], into a buffer of the logits' shape.
///
/// # Errors
///
/// [`Error::ShapeMismatch`], [`Error::UnknownBackend`] and [`Error::UnavailableBackend`].
///
/// ```
/// use xent::{Rows, RowsMut, softmax_into};
///
/// let mut padded = [9.0; 6]; // two rows of two classes, three values apart
/// softmax_into(Rows::new(&[0.0; 4], 2, 2)?, RowsMut::with_stride(&mut padded, 2, 2, 3)?)?;
/// assert_eq!(padded, [0.5, 0.5, 9.0, 0.5, 0.5, 9.0]);
/// # Ok::<(), xent::Error>(())
/// ```
pub fn softmax_into(logits: Rows<'_>, results: RowsMut<'_>) -> Result<(), Error> {
    run_into(Work::Softmax, logits, results)
}

/// As [`softmax`], over the logits.
///
/// # Errors
///
/// [`Error::UnknownBackend`] and [`Error::UnavailableBackend`].
///
/// ```
/// use xent::{RowsMut, softmax_in_place};
///
/// let mut row = [7.0, f32::NEG_INFINITY];
/// softmax_in_place(RowsMut::new(&mut row, 1, 2)?)?;
/// assert_eq!(row, [1.0, 0.0]);
/// # Ok::<(), xent::Error>(())
/// ```
pub fn softmax_in_place(logits: RowsMut<'_>) -> Result<(), Error> {
    run_in_place(Work::Softmax, logits)
}
