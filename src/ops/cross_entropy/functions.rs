//! The two functions by which the operation is known, with `TensorFlow`'s order of arguments.

use super::CrossEntropy;
use crate::{Error, IntoLabels, Rows};

/// The loss of each row against a distribution over the classes (dense labels):
/// `sum_i t_i (ln sum_j e^(x_j) - x_i)`.
///
/// Labels and logits are rows × classes; the result is one loss per row, in nats. Labels need not sum
/// to 1. A label of 0 contributes 0, also at a logit of `-inf`. For reductions, gradients and everything
/// else see [`CrossEntropy`].
///
/// Formula: `tf.nn.softmax_cross_entropy_with_logits`.
///
/// # Errors
///
/// [`Error::ShapeMismatch`], [`Error::UnknownBackend`], [`Error::UnavailableBackend`] and
/// [`Error::OutOfMemory`].
///
/// ```
/// use xent::{Rows, softmax_cross_entropy_with_logits};
///
/// let logits = Rows::new(&[4.0, 2.0, 1.0, 0.0, 5.0, 1.0], 2, 3)?;
/// let labels = Rows::new(&[1.0, 0.0, 0.0, 0.0, 0.8, 0.2], 2, 3)?;
/// let losses = softmax_cross_entropy_with_logits(labels, logits)?;
/// assert!((losses[0] - 0.169_846_04).abs() < 1e-7);
/// assert!((losses[1] - 0.824_744_9).abs() < 1e-7);
/// # Ok::<(), xent::Error>(())
/// ```
pub fn softmax_cross_entropy_with_logits(labels: Rows<'_>, logits: Rows<'_>) -> Result<Vec<f32>, Error> {
    Ok(CrossEntropy::new().loss(labels, logits)?.rows)
}

/// As [`softmax_cross_entropy_with_logits`], into a slice of one loss per row.
///
/// # Errors
///
/// [`Error::ShapeMismatch`], [`Error::RowCount`], [`Error::UnknownBackend`] and
/// [`Error::UnavailableBackend`].
pub fn softmax_cross_entropy_with_logits_into(
    labels: Rows<'_>,
    logits: Rows<'_>,
    losses: &mut [f32],
) -> Result<(), Error> {
    CrossEntropy::new().loss_into(labels, logits, losses).map(drop)
}

/// The loss of each row against a class index (sparse labels): `ln sum_j e^(x_j) - x_y`.
///
/// Logits are rows × classes, labels one integer of any type per row; the result is one loss per row,
/// in nats. For reductions, gradients and everything else see [`CrossEntropy`].
///
/// Formula: `tf.nn.sparse_softmax_cross_entropy_with_logits`.
///
/// # Errors
///
/// [`Error::RowCount`], [`Error::LabelOutOfRange`], [`Error::UnknownBackend`],
/// [`Error::UnavailableBackend`] and [`Error::OutOfMemory`].
///
/// ```
/// use xent::{Rows, sparse_softmax_cross_entropy_with_logits};
///
/// let logits = Rows::new(&[1.0, 2.0, 3.0, 20.0, 0.0, 0.0], 2, 3)?;
/// let losses = sparse_softmax_cross_entropy_with_logits(&[2_u8, 0], logits)?;
/// assert!((losses[0] - 0.407_605_96).abs() < 1e-7);
/// assert!((losses[1] - 4.122_307_4e-9).abs() < 1e-15); // 0 elsewhere
/// # Ok::<(), xent::Error>(())
/// ```
pub fn sparse_softmax_cross_entropy_with_logits<'a>(
    labels: impl IntoLabels<'a>,
    logits: Rows<'_>,
) -> Result<Vec<f32>, Error> {
    Ok(CrossEntropy::new().loss(labels.into_labels(), logits)?.rows)
}

/// As [`sparse_softmax_cross_entropy_with_logits`], into a slice of one loss per row.
///
/// # Errors
///
/// [`Error::RowCount`], [`Error::LabelOutOfRange`], [`Error::UnknownBackend`] and
/// [`Error::UnavailableBackend`].
pub fn sparse_softmax_cross_entropy_with_logits_into<'a>(
    labels: impl IntoLabels<'a>,
    logits: Rows<'_>,
    losses: &mut [f32],
) -> Result<(), Error> {
    CrossEntropy::new().loss_into(labels.into_labels(), logits, losses).map(drop)
}
