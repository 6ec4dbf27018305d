//! Sigmoid cross-entropy.

use super::{ElementLoss, ElementReduction, Options, Outputs, allocate, calls};
use crate::kernels::elements::Formula;
use crate::{Error, Rows, RowsMut};

/// Binary cross-entropy with logits: `w (c t softplus(-x) + (1 - t) softplus(x))`, with
/// `softplus(x) = ln(1 + e^x)`; its gradient is `w ((1 - t) σ(x) - c t σ(-x))`.
///
/// Logits and targets, from 0 to 1, are rows × classes, each class a question of its own. Exact at infinities: a logit of
/// `+inf` gives 0 for a target of 1 and `inf` for 0, one of `-inf` the reverse.
///
/// Formula: `tf.nn.sigmoid_cross_entropy_with_logits`, `tf.nn.weighted_cross_entropy_with_logits`,
/// `PyTorch`'s `BCEWithLogitsLoss`.
///
/// ```
/// use xent::{BinaryCrossEntropy, ElementReduction, Rows};
///
/// let (logits, targets) = ([20.0, 0.0], [1.0, 1.0]);
/// let mean = BinaryCrossEntropy::new().reduction(ElementReduction::Mean);
/// let loss = mean.loss(Rows::new(&targets, 1, 2)?, Rows::new(&logits, 1, 2)?)?;
/// assert_eq!(loss.values, [2.061_153_7e-9, core::f32::consts::LN_2]);
/// assert_eq!(loss.value, 0.346_573_6);
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct BinaryCrossEntropy<'a> {
    options: Options<'a>,
    positive: Option<Rows<'a>>,
}

calls!(BinaryCrossEntropy, "logits");

impl<'a> BinaryCrossEntropy<'a> {
    /// What the part of positive targets is multiplied by, `c` above: in the shape of the logits. One row for all is a
    /// view of stride 0.
    ///
    /// ```
    /// use xent::{BinaryCrossEntropy, Rows};
    ///
    /// let per_class = [1.0, 2.0];
    /// let weighted = BinaryCrossEntropy::new().pos_weight(Rows::with_stride(&per_class, 3, 2, 0)?);
    /// let loss = weighted.loss(Rows::new(&[1.0; 6], 3, 2)?, Rows::new(&[0.0; 6], 3, 2)?)?;
    /// assert_eq!(loss.values[..2], [0.693_147_2, 1.386_294_4]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    #[must_use]
    pub const fn pos_weight(mut self, weights: Rows<'a>) -> Self {
        self.positive = Some(weights);
        self
    }

    fn run(&self, targets: Rows<'_>, inputs: Rows<'_>, outputs: Outputs<'_>) -> Result<f32, Error> {
        self.options.run((Formula::Binary, self.positive), targets, inputs, outputs)
    }
}
