//! Softmax and the gradient through it.

use super::allocated;
use super::places::in_place_of;
use crate::kernel::lines::Lines;
use crate::kernel::place::Place;
use crate::kernel::rowwise::Rowwise;
use crate::kernel::softmax::Softmax;
use crate::kernel::softmax_gradient::{Softmax as Formula, Through};
use crate::{Error, Rows, RowsMut, parallel};

/// The softmax of each row: `e^(x_i) / sum_j e^(x_j)`.
///
/// Takes logits of rows × classes, gives probabilities in the same shape, rows after each other. A row
/// that holds NaN or `+inf`, or nothing but `-inf`, gives NaN; `-inf` elsewhere is a masked class of
/// probability 0. At most 2.5 ULP off; results below the smallest normal number are 0.
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
    in_place_of!(place = out_of_place("output", logits, results) => parallel::run(Rowwise(Softmax(place)), logits.backend()))
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
    let backend = logits.backend();
    in_place_of!(place = in_place(logits) => parallel::run(Rowwise(Softmax(place)), backend))
}

/// The gradient with respect to the logits, from the output of [`softmax`] and the gradient with respect
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
    upstream.expect_shape("upstream gradient", (output.rows(), output.classes()))?;
    in_place_of!(place = out_of_place("gradient", upstream, results) => run_gradient(output, place))
}

/// As [`softmax_gradient`], over the upstream gradient.
///
/// # Errors
///
/// [`Error::ShapeMismatch`], [`Error::UnknownBackend`] and [`Error::UnavailableBackend`].
pub fn softmax_gradient_in_place(output: Rows<'_>, upstream: RowsMut<'_>) -> Result<(), Error> {
    upstream.expect_shape("upstream gradient", (output.rows(), output.classes()))?;
    in_place_of!(place = in_place(upstream) => run_gradient(output, place))
}

fn run_gradient(output: Rows<'_>, place: impl Place<Element = f32>) -> Result<(), Error> {
    parallel::run(Through::<Formula, _>::new(Lines::new(output.values()), place), output.backend())
}
