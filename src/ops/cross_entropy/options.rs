//! The options of the loss.

use super::{Denominator, EmptyMean, EmptyRows, Reduction, Upstream};
use crate::Error;
use crate::engine::options::Weights;
use crate::kernels::map::{Map, Mask};
use crate::numbers::smoothing::Spread;
use crate::views::labels::Ignored;

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
/// | [`forward`](Self::forward), [`forward_into`](Self::forward_into) | the loss, and what a later backward pass needs: 32 bytes per row |
/// | [`backward`](Self::backward), [`_into`](Self::backward_into), [`_in_place`](Self::backward_in_place) | the gradient, from what was saved |
/// | [`statistics_into`](Self::statistics_into) | what a row's prediction is: argmax, entropy, ... |
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
    pub(super) denominator: Denominator,
    pub(super) empty_mean: EmptyMean,
    pub(in crate::ops) ignored: Ignored<'a>,
    pub(in crate::ops) weights: Weights<'a>,
    pub(in crate::ops) smoothing: Spread,
    pub(super) z_loss: f64,
    pub(in crate::ops) map: Map<'a>,
    pub(super) dense_gradient: DenseGradient,
    pub(super) upstream: Upstream<'a>,
    pub(super) empty_rows: EmptyRows,
}

/// Which classes the mass goes to that label smoothing takes from a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Smoothing {
    /// All of them, the label's too: `(1 - ε) t_i + ε / C`. `PyTorch`, Keras, Optax; Szegedy et al.,
    /// "Rethinking the Inception architecture for computer vision" (2016).
    #[default]
    Uniform,
    /// The others: `1 - ε` at the label and `ε / (C - 1)` elsewhere. `NeMo`, Megatron-LM.
    Others,
}

/// The gradient with respect to logits for dense labels that do not add up to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DenseGradient {
    /// The derivative of the loss: `softmax_i sum(t) - t_i`.
    #[default]
    Derivative,
    /// `softmax_i - t_i`, whatever the labels add up to, as in `TensorFlow`. That of class indices is the derivative in any
    /// case.
    ProbabilitiesMinusLabels,
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

    /// What [`Reduction::Mean`] divides by.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] for a [`Denominator::Given`] that is not a positive number.
    ///
    /// ```
    /// use xent::{CrossEntropy, Denominator, Reduction, Rows};
    ///
    /// // Two rows here, six on other machines.
    /// let step = CrossEntropy::new().reduction(Reduction::Mean).denominator(Denominator::Given(8.0))?;
    /// let loss = step.loss(&[0_u8, 1], Rows::new(&[0.0; 4], 2, 2)?)?;
    /// assert_eq!(loss.summary.value, 0.173_286_8); // 2 ln 2 / 8
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn denominator(self, denominator: Denominator) -> Result<Self, Error> {
        if let Denominator::Given(number) = denominator {
            expect("denominator", number, POSITIVE, number > 0.0 && number.is_finite())?;
        }
        Ok(Self { denominator, ..self })
    }

    /// What [`Reduction::Mean`] gives where its [`Denominator`] is 0: there are no rows, or all are ignored.
    #[must_use]
    pub const fn empty_mean(self, empty_mean: EmptyMean) -> Self {
        Self { empty_mean, ..self }
    }

    /// What rows have that hold nothing but `-inf`, or whose classes are all masked: they have no softmax.
    ///
    /// ```
    /// use xent::{CrossEntropy, EmptyRows, Reduction, Rows};
    ///
    /// let padded = CrossEntropy::new().empty_rows(EmptyRows::Zero).reduction(Reduction::Sum);
    /// let logits = Rows::new(&[0.0, 0.0, f32::NEG_INFINITY, f32::NEG_INFINITY], 2, 2)?;
    /// let (loss, gradient) = padded.loss_and_gradient(&[0_u8, 0], logits)?;
    /// assert_eq!(loss.summary.value, core::f32::consts::LN_2);
    /// assert_eq!(gradient, [-0.5, 0.5, 0.0, 0.0]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    #[must_use]
    pub const fn empty_rows(self, empty_rows: EmptyRows) -> Self {
        Self { empty_rows, ..self }
    }

    /// The integer label of rows to ignore: any number, also outside of the classes. The logits of such a
    /// row are never read; its loss is 0 and its gradient exactly 0.
    #[must_use]
    pub const fn ignore_index(self, label: i64) -> Self {
        Self { ignored: Ignored::One(label), ..self }
    }

    /// As [`ignore_index`](Self::ignore_index), for several labels.
    ///
    /// ```
    /// use xent::{CrossEntropy, Rows};
    ///
    /// let loss = CrossEntropy::new().ignore_indices(&[-100, 0]).loss(&[-100, 0, 1], Rows::new(&[0.0; 6], 3, 2)?)?;
    /// assert_eq!(loss.rows, [0.0, 0.0, core::f32::consts::LN_2]);
    /// assert_eq!(loss.summary.used_rows, 1);
    /// # Ok::<(), xent::Error>(())
    /// ```
    #[must_use]
    pub const fn ignore_indices(self, labels: &'a [i64]) -> Self {
        Self { ignored: Ignored::Several(labels), ..self }
    }

    /// One weight per class: with class indices the loss of a row times `w_y`, with distributions
    /// `sum_i w_i t_i (ln sum_j e^(x_j) - x_i)`. With label smoothing each class has its own weight, as in
    /// `PyTorch`. A weight of 0 takes out also an infinite loss.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] for a weight that is not finite.
    ///
    /// ```
    /// use xent::{CrossEntropy, Denominator, Reduction, Rows};
    ///
    /// let mean = CrossEntropy::new().reduction(Reduction::Mean).denominator(Denominator::Weights)?;
    /// let weighted = mean.class_weights(&[1.0, 3.0])?;
    /// let loss = weighted.loss(&[0_u8, 1], Rows::new(&[0.0, 0.0, 1.0, 0.0], 2, 2)?)?;
    /// assert_eq!(loss.rows, [0.693_147_2, 3.939_785]); // ln 2, and 3 ln(1 + e)
    /// assert_eq!(loss.summary.value, 1.158_233);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn class_weights(self, weights: &'a [f32]) -> Result<Self, Error> {
        expect_weights("class weight", weights)?;
        Ok(Self { weights: Weights { classes: Some(weights), ..self.weights }, ..self })
    }

    /// One weight per row, by which its loss and its gradient are multiplied; it may be negative, as an advantage in policy
    /// gradients is. A row of weight 0 is taken for ignored: it is never read. It still counts in [`Summary::used_rows`](crate::Summary::used_rows).
    ///
    /// # Errors
    ///
    /// [`Error::Option`] for a weight that is not finite.
    pub fn row_weights(self, weights: &'a [f32]) -> Result<Self, Error> {
        expect_weights("row weight", weights)?;
        Ok(Self { weights: Weights { rows: Some(weights), ..self.weights }, ..self })
    }

    /// Takes classes out of every row: those that are `false`. Their probability and their gradient are 0, and a
    /// dense label of theirs does not count; a row whose index is such a class has an infinite loss.
    ///
    /// ```
    /// use xent::{CrossEntropy, Rows};
    ///
    /// let masked = CrossEntropy::new().class_mask(&[true, true, false]);
    /// let (loss, gradient) = masked.loss_and_gradient(&[0_u8], Rows::new(&[1.0, 1.0, 9.0], 1, 3)?)?;
    /// assert_eq!(loss.rows, [core::f32::consts::LN_2]);
    /// assert_eq!(gradient, [-0.5, 0.5, 0.0]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    #[must_use]
    pub const fn class_mask(self, mask: &'a [bool]) -> Self {
        Self { map: Map { mask: Mask::Shared(mask), ..self.map }, ..self }
    }

    /// As [`class_mask`](Self::class_mask), with a mask for each row: rows × classes.
    #[must_use]
    pub const fn row_class_masks(self, masks: &'a [bool]) -> Self {
        Self { map: Map { mask: Mask::PerRow(masks), ..self.map }, ..self }
    }

    /// Moves a part `epsilon` of each label's mass to other classes. Classes that are masked, or whose logit is
    /// `-inf`, get nothing: `C` is the number of the others.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless `epsilon` is from 0 to 1.
    ///
    /// ```
    /// use xent::{CrossEntropy, Rows, Smoothing};
    ///
    /// let smooth = CrossEntropy::new().label_smoothing(0.1, Smoothing::Uniform)?;
    /// let (loss, gradient) = smooth.loss_and_gradient(&[0_u8], Rows::new(&[0.0; 2], 1, 2)?)?;
    /// assert_eq!(loss.rows, [core::f32::consts::LN_2]);
    /// assert_eq!(gradient, [-0.45, 0.45]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn label_smoothing(self, epsilon: f64, smoothing: Smoothing) -> Result<Self, Error> {
        expect("label smoothing", epsilon, "0 to 1", (0.0..=1.0).contains(&epsilon))?;
        let others = smoothing == Smoothing::Others;
        Ok(Self { smoothing: Spread { mass: epsilon, others }, ..self })
    }

    /// Adds `scale lse^2` to the loss of each row, `lse` being the log-sum-exp of its logits: it keeps them from
    /// drifting. Not times class weights. [`LogSumExp::z_loss`](crate::LogSumExp::z_loss) gives it by itself.
    ///
    /// Formula: de Brébisson and Vincent, "The Z-loss" (2016); `PaLM` uses a scale of `1e-4`.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] for a scale that is negative or not finite.
    pub fn z_loss(self, scale: f64) -> Result<Self, Error> {
        expect("z-loss", scale, NOT_NEGATIVE, scale >= 0.0 && scale.is_finite())?;
        Ok(Self { z_loss: scale, ..self })
    }

    /// Multiplies the logits, after [`soft_cap`](Self::soft_cap): each product is rounded to f32, as if the caller
    /// had done it. Gradients are with respect to the logits that are given.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless `scale` is a positive number that an f32 can hold.
    pub fn logit_scale(self, scale: f64) -> Result<Self, Error> {
        expect("logit scale", scale, F32, is_positive_f32(scale))?;
        Ok(Self { map: Map { scale, ..self.map }, ..self })
    }

    /// Divides the logits: a [`logit_scale`](Self::logit_scale) of `1 / temperature`.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless `temperature` is a positive number, and its inverse one that an f32 can hold.
    pub fn temperature(self, temperature: f64) -> Result<Self, Error> {
        let scale = 1.0 / temperature;
        expect("temperature", temperature, F32, is_positive_f32(scale))?;
        self.logit_scale(scale)
    }

    /// Makes of each logit `cap tanh(x / cap)`, of which at most `cap` is left. A logit of `-inf` stays a masked
    /// class, and one of `+inf` makes its row NaN as ever.
    ///
    /// Formula: Gemma 2, section 2.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless `cap` is a positive number.
    ///
    /// ```
    /// use xent::{CrossEntropy, Rows};
    ///
    /// let capped = CrossEntropy::new().soft_cap(30.0)?;
    /// let loss = capped.loss(&[1_u8], Rows::new(&[1000.0, 0.0], 1, 2)?)?;
    /// assert_eq!(loss.rows, [30.0]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn soft_cap(self, cap: f64) -> Result<Self, Error> {
        expect("soft cap", cap, POSITIVE, cap > 0.0 && cap.is_finite())?;
        Ok(Self { map: Map { cap: Some(cap), ..self.map }, ..self })
    }

    /// Which gradient dense labels have that do not add up to 1.
    #[must_use]
    pub const fn dense_gradient(self, dense_gradient: DenseGradient) -> Self {
        Self { dense_gradient, ..self }
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

const POSITIVE: &str = "a positive number";
const NOT_NEGATIVE: &str = "a number of at least 0";
const FINITE: &str = "a finite number";
const F32: &str = "a positive number that an f32 can hold";

/// Whether a number is positive and neither too large nor too small for an f32: by others all logits become infinite, or 0.
fn is_positive_f32(number: f64) -> bool {
    (f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(&number)
}

/// An error unless a number is what an option can be.
fn expect(what: &'static str, given: f64, expected: &'static str, good: bool) -> Result<(), Error> {
    if good {
        return Ok(());
    }
    Err(Error::Option { what, index: None, given: given.to_string(), expected })
}

/// An error for the first weight that is none.
fn expect_weights(what: &'static str, weights: &[f32]) -> Result<(), Error> {
    let bad = weights.iter().position(|weight| !weight.is_finite());
    let Some(index) = bad else { return Ok(()) };
    Err(Error::Option { what, index: Some(index), given: weights[index].to_string(), expected: FINITE })
}
