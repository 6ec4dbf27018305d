//! The options of the loss.

use super::{EmptyMean, Reduction, Upstream};

/// Softmax cross-entropy with logits: a value with options, and every way to compute it.
///
/// Labels are class indices of any integer type (sparse) or distributions (dense, [`Rows`](crate::Rows)
/// of the logits' shape); see [`Targets`](crate::Targets). Losses are in nats, one per row. Gradients
/// are those of the reduced loss, times the upstream gradient.
///
/// | call | result |
/// |---|---|
/// | [`loss`](Self::loss), [`loss_into`](Self::loss_into) | the loss |
/// | [`loss_and_gradient`](Self::loss_and_gradient), [`_into`](Self::loss_and_gradient_into), [`_in_place`](Self::loss_and_gradient_in_place) | and its gradient with respect to the logits |
/// | [`forward`](Self::forward), [`forward_into`](Self::forward_into) | the loss, and what a later backward pass needs: 16 bytes per row |
/// | [`backward`](Self::backward), [`_into`](Self::backward_into), [`_in_place`](Self::backward_in_place) | the gradient, from what was saved |
/// | [`label_gradient`](Self::label_gradient), [`_into`](Self::label_gradient_into) | the gradient with respect to dense labels |
///
/// ```
/// use xent::{CrossEntropy, Reduction, Rows};
///
/// let logits = Rows::new(&[1.0, 2.0, 3.0, 1.0, 2.0, 3.0], 2, 3)?;
/// let mean = CrossEntropy::new().reduction(Reduction::Mean).ignore_index(-100);
/// let (loss, gradient) = mean.loss_and_gradient(&[2_i64, -100], logits)?;
/// assert!((loss.summary.value - 0.407_605_96).abs() < 1e-7);
/// assert_eq!(loss.summary.used_rows, 1);
/// assert!((gradient[2] + 0.334_759_06).abs() < 1e-7);
/// assert_eq!(gradient[3..], [0.0; 3]);
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CrossEntropy<'a> {
    pub(super) reduction: Reduction,
    pub(super) empty_mean: EmptyMean,
    pub(super) ignored: Option<i64>,
    pub(super) upstream: Upstream<'a>,
}

impl<'a> CrossEntropy<'a> {
    /// One loss per row, no row ignored, an upstream gradient of 1.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How the losses of the rows become one number.
    #[must_use]
    pub const fn reduction(self, reduction: Reduction) -> Self {
        Self { reduction, ..self }
    }

    /// What [`Reduction::Mean`] gives where there are no rows, or all are ignored.
    #[must_use]
    pub const fn empty_mean(self, empty_mean: EmptyMean) -> Self {
        Self { empty_mean, ..self }
    }

    /// The integer label of rows to ignore: any number, also outside of the classes. The logits of such a
    /// row are never read; its loss is 0 and its gradient exactly 0.
    #[must_use]
    pub const fn ignore_index(self, label: i64) -> Self {
        Self { ignored: Some(label), ..self }
    }

    /// The gradient of what is computed from the loss, with respect to the loss: one number, or a slice
    /// of one per row where losses are not reduced.
    ///
    /// ```
    /// use xent::{CrossEntropy, Rows};
    ///
    /// let logits = Rows::new(&[0.0; 4], 2, 2)?;
    /// let (_, gradient) = CrossEntropy::new().upstream(&[1.0, -2.0]).loss_and_gradient(&[0_u32, 1], logits)?;
    /// assert_eq!(gradient, [-0.5, 0.5, -1.0, 1.0]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    #[must_use]
    pub fn upstream(self, upstream: impl Into<Upstream<'a>>) -> Self {
        Self { upstream: upstream.into(), ..self }
    }
}
