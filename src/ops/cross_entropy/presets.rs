//! The conventions of other libraries, by their names.

use super::{CrossEntropy, Denominator, DenseGradient, EmptyMean, Reduction};

impl CrossEntropy<'_> {
    /// As `torch.nn.CrossEntropyLoss()`: labels of -100 are ignored, and the mean divides by the weights of the rows'
    /// classes (for distributions by the number of rows). Set `reduction`, `weight` and `label_smoothing` by
    /// [`reduction`](Self::reduction), [`class_weights`](Self::class_weights) and
    /// [`label_smoothing`](Self::label_smoothing).
    ///
    /// Not reproduced: a smoothed loss of a row with a logit of `-inf` is `inf` there; here such a class takes no part.
    #[must_use]
    pub fn pytorch() -> Self {
        Self::onnx().ignore_index(-100)
    }

    /// As `tf.nn.softmax_cross_entropy_with_logits` and its sparse sibling: one loss per row, and
    /// `softmax_i - t_i` for its gradient, whatever the labels add up to.
    #[must_use]
    pub fn tensorflow() -> Self {
        Self::new().dense_gradient(DenseGradient::ProbabilitiesMinusLabels)
    }

    /// As `keras.losses.CategoricalCrossentropy` and `SparseCategoricalCrossentropy` with `from_logits=True`: the mean
    /// over the rows that are not ignored, 0 where there are none. `ignore_class` is
    /// [`ignore_index`](Self::ignore_index), `sample_weight` is [`row_weights`](Self::row_weights). From
    /// probabilities there is [`NegativeLogLikelihood::keras`](crate::NegativeLogLikelihood::keras).
    #[must_use]
    pub fn keras() -> Self {
        Self::new().reduction(Reduction::Mean).empty_mean(EmptyMean::Zero)
    }

    /// As `optax.softmax_cross_entropy` and `optax.softmax_cross_entropy_with_integer_labels`: one loss per row.
    /// `where` is [`class_mask`](Self::class_mask).
    #[must_use]
    pub fn optax() -> Self {
        Self::new()
    }

    /// As the operator `SoftmaxCrossEntropyLoss` of ONNX with its default attributes: the mean over the weights of the
    /// rows' classes.
    #[must_use]
    pub fn onnx() -> Self {
        Self { denominator: Denominator::Weights, ..Self::new().reduction(Reduction::Mean) }
    }

    /// As Caffe's layer `SoftmaxWithLoss` with `normalization: VALID`: the mean over the rows that are not ignored, 0
    /// where there are none. `FULL` is [`Denominator::AllRows`].
    #[must_use]
    pub fn caffe() -> Self {
        Self::keras()
    }
}
