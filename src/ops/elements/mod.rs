//! Losses of elements that do not see each other: binary cross-entropy, Kullback-Leibler divergence, squared error.

mod binary;
mod divergence;
mod squared;

pub use binary::BinaryCrossEntropy;
pub use divergence::KlDivergence;
pub use squared::SquaredError;

use super::{allocate, expect_rows};
use crate::engine::call::Source;
use crate::engine::parallel;
use crate::engine::row_call::{ElementFactors, RowCall, RowWork};
use crate::kernels::elements::Formula;
use crate::{Error, Rows, RowsMut};

/// How the losses of elements become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ElementReduction {
    /// They do not: one loss per element.
    #[default]
    None,
    /// Their sum.
    Sum,
    /// Their sum over the number of elements.
    Mean,
    /// Their sum over the number of rows: `PyTorch`'s `batchmean`, the divergence by its definition.
    BatchMean,
}

/// Losses of elements, with what they add up to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ElementLoss {
    /// The loss of each element, rows after each other.
    pub values: Vec<f32>,
    /// The reduced loss: the sum where there is no reduction, and NaN for a mean over nothing. It is made of the losses
    /// before they are rounded to f32.
    pub value: f32,
}

/// What all these losses have in common.
#[derive(Clone, Copy, Debug, Default)]
struct Options<'a> {
    reduction: ElementReduction,
    weights: Option<Rows<'a>>,
    upstream: Option<Rows<'a>>,
    factor: Option<f32>,
}

/// What is wanted of a call beside the reduced loss.
#[derive(Default)]
struct Outputs<'a> {
    losses: Option<RowsMut<'a>>,
    row_losses: Option<&'a mut [f32]>,
    gradient: Option<RowsMut<'a>>,
}

impl<'a> Options<'a> {
    /// Writes what is wanted, and gives the reduced loss.
    fn run(
        &self,
        (formula, positive): (Formula, Option<Rows<'a>>),
        targets: Rows<'_>,
        inputs: Rows<'_>,
        outputs: Outputs<'_>,
    ) -> Result<f32, Error> {
        let Outputs { losses, row_losses, gradient } = outputs;
        let (rows, classes) = (inputs.rows(), inputs.classes());
        let shape = (rows, classes);
        targets.expect_shape("targets", shape)?;
        for (what, option) in [("losses", &losses), ("gradient", &gradient)] {
            option.as_ref().map_or(Ok(()), |rows| rows.expect_shape(what, shape))?;
        }
        row_losses.as_ref().map_or(Ok(()), |losses| expect_rows("losses", losses.len(), rows))?;
        for (what, option) in [
            ("weights", self.weights),
            ("weights of positive targets", positive),
            ("upstream gradient", self.upstream),
        ] {
            option.map_or(Ok(()), |rows| rows.expect_shape(what, shape))?;
        }
        if let (Some(upstream), false) = (self.upstream, self.reduction == ElementReduction::None) {
            return Err(Error::UpstreamPerRow { given: upstream.rows() });
        }
        let denominator = self.denominator(rows, classes);
        // Of nothing there is nothing to have a gradient.
        let constant =
            if denominator == 0.0 { 0.0 } else { f64::from(self.factor.unwrap_or(1.0)) / denominator };
        let values = |rows: Option<Rows<'a>>| rows.map(|rows| rows.values());
        let call = RowCall {
            second: Some(targets.values()),
            factors: ElementFactors {
                weights: values(self.weights),
                positive: values(positive),
                upstream: values(self.upstream),
            },
            element_losses: losses.map(RowsMut::into_values),
            results: gradient.map(RowsMut::into_values),
            losses: row_losses.unwrap_or_default(),
            ..RowCall::new(RowWork::Elements(formula, constant), Source::Shared(inputs.values()))
        };
        let total = parallel::run(call, inputs.execution())?;
        #[expect(clippy::cast_possible_truncation, reason = "the result is f32")]
        let value = (total.value() / denominator) as f32;
        Ok(value)
    }

    #[expect(clippy::cast_precision_loss, reason = "2^53 losses do not fit in memory")]
    fn denominator(&self, rows: usize, classes: usize) -> f64 {
        match self.reduction {
            ElementReduction::None | ElementReduction::Sum => 1.0,
            ElementReduction::Mean => rows as f64 * classes as f64,
            ElementReduction::BatchMean => rows as f64,
        }
    }
}

/// The options and the calls that all these losses have.
macro_rules! calls {
    ($loss:ident, $inputs:literal) => {
        impl<'a> $loss<'a> {
            /// One loss per element, unweighted.
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }

            /// How the losses of the elements become one number.
            #[must_use]
            pub const fn reduction(mut self, reduction: ElementReduction) -> Self {
                self.options.reduction = reduction;
                self
            }

            /// What each loss, and its gradient, is multiplied by: in the shape of the input. One row for all is a
            /// view of stride 0. A weight of 0 takes its element out whatever that holds, infinities and NaN too: loss
            /// and gradient are exactly 0.
            #[must_use]
            pub const fn weights(mut self, weights: Rows<'a>) -> Self {
                self.options.weights = Some(weights);
                self
            }

            /// The gradient of what is computed from the reduced loss, with respect to it.
            #[must_use]
            pub const fn upstream(mut self, factor: f32) -> Self {
                self.options.factor = Some(factor);
                self
            }

            /// As [`upstream`](Self::upstream), for losses that are not reduced: one value per element.
            #[must_use]
            pub const fn upstream_elements(mut self, upstream: Rows<'a>) -> Self {
                self.options.upstream = Some(upstream);
                self
            }

            /// The loss of each element, and what they add up to.
            ///
            /// # Errors
            ///
            /// [`Error::ShapeMismatch`], [`Error::UpstreamPerRow`], [`Error::UnknownBackend`],
            /// [`Error::UnavailableBackend`] and [`Error::OutOfMemory`].
            pub fn loss(&self, targets: Rows<'_>, inputs: Rows<'_>) -> Result<ElementLoss, Error> {
                let mut values = allocate(0.0, inputs.rows() * inputs.classes())?;
                let losses = RowsMut::new(&mut values, inputs.rows(), inputs.classes())?;
                let value = self.loss_into(targets, inputs, losses)?;
                Ok(ElementLoss { values, value })
            }

            /// As [`loss`](Self::loss), into a buffer of the input's shape; gives the reduced loss.
            ///
            /// # Errors
            ///
            /// As [`loss`](Self::loss).
            pub fn loss_into(
                &self,
                targets: Rows<'_>,
                inputs: Rows<'_>,
                losses: RowsMut<'_>,
            ) -> Result<f32, Error> {
                self.run(targets, inputs, Outputs { losses: Some(losses), ..Outputs::default() })
            }

            /// The reduced loss alone: the losses of the elements are written nowhere, and nothing is allocated for them.
            ///
            /// # Errors
            ///
            /// As [`loss`](Self::loss), but for [`Error::OutOfMemory`].
            ///
            /// ```
            #[doc = concat!("use xent::{", stringify!($loss), ", Rows};")]
            ///
            /// let (targets, inputs) = (Rows::new(&[0.5, 0.5], 1, 2)?, Rows::new(&[-0.5, -1.0], 1, 2)?);
            #[doc = concat!("let loss = ", stringify!($loss), "::new();")]
            /// assert_eq!(loss.value(targets, inputs)?, loss.loss(targets, inputs)?.value);
            /// # Ok::<(), xent::Error>(())
            /// ```
            pub fn value(&self, targets: Rows<'_>, inputs: Rows<'_>) -> Result<f32, Error> {
                self.run(targets, inputs, Outputs::default())
            }

            /// As [`loss_into`](Self::loss_into), with one loss per row: the sum over its classes, rounded once. Gives the
            /// reduced loss, whatever the reduction: it says nothing about the losses of rows.
            ///
            /// # Errors
            ///
            /// As [`value`](Self::value), and [`Error::RowCount`].
            ///
            /// ```
            #[doc = concat!("use xent::{", stringify!($loss), ", Rows};")]
            ///
            /// let (targets, inputs) = (Rows::new(&[0.5; 4], 2, 2)?, Rows::new(&[-0.5, -1.0, -2.0, -3.0], 2, 2)?);
            #[doc = concat!("let loss = ", stringify!($loss), "::new();")]
            /// let mut rows = [0.0; 2];
            /// let sum = loss.row_losses_into(targets, inputs, &mut rows)?;
            /// assert!((rows[0] + rows[1] - sum).abs() < 1e-6);
            /// # Ok::<(), xent::Error>(())
            /// ```
            pub fn row_losses_into(
                &self,
                targets: Rows<'_>,
                inputs: Rows<'_>,
                losses: &mut [f32],
            ) -> Result<f32, Error> {
                self.run(targets, inputs, Outputs { row_losses: Some(losses), ..Outputs::default() })
            }

            #[doc = concat!("The reduced loss, and the gradient with respect to the ", $inputs, ", into a buffer of their")]
            /// shape: as [`loss_and_gradient_into`](Self::loss_and_gradient_into), without the losses of the elements.
            ///
            /// # Errors
            ///
            /// As [`value`](Self::value).
            ///
            /// ```
            #[doc = concat!("use xent::{ElementReduction, ", stringify!($loss), ", Rows, RowsMut};")]
            ///
            /// let (targets, inputs) = (Rows::new(&[0.5, 0.5], 1, 2)?, Rows::new(&[-0.5, -1.0], 1, 2)?);
            #[doc = concat!("let mean = ", stringify!($loss), "::new().reduction(ElementReduction::Mean);")]
            /// let mut gradient = [0.0; 2];
            /// let value = mean.gradient_into(targets, inputs, RowsMut::new(&mut gradient, 1, 2)?)?;
            /// let (loss, same) = mean.loss_and_gradient(targets, inputs)?;
            /// assert_eq!((value, &gradient[..]), (loss.value, &same[..]));
            /// # Ok::<(), xent::Error>(())
            /// ```
            pub fn gradient_into(
                &self,
                targets: Rows<'_>,
                inputs: Rows<'_>,
                gradient: RowsMut<'_>,
            ) -> Result<f32, Error> {
                self.run(targets, inputs, Outputs { gradient: Some(gradient), ..Outputs::default() })
            }

            #[doc = concat!("The losses, and the gradient with respect to the ", $inputs, ".")]
            ///
            /// # Errors
            ///
            /// As [`loss`](Self::loss).
            pub fn loss_and_gradient(
                &self,
                targets: Rows<'_>,
                inputs: Rows<'_>,
            ) -> Result<(ElementLoss, Vec<f32>), Error> {
                let (rows, classes) = (inputs.rows(), inputs.classes());
                let mut values = allocate(0.0, rows * classes)?;
                let mut gradient = allocate(0.0, rows * classes)?;
                let losses = RowsMut::new(&mut values, rows, classes)?;
                let into = RowsMut::new(&mut gradient, rows, classes)?;
                let value = self.loss_and_gradient_into(targets, inputs, losses, into)?;
                Ok((ElementLoss { values, value }, gradient))
            }

            /// As [`loss_and_gradient`](Self::loss_and_gradient), into buffers of the input's shape; gives the
            /// reduced loss.
            ///
            /// # Errors
            ///
            /// As [`loss`](Self::loss).
            pub fn loss_and_gradient_into(
                &self,
                targets: Rows<'_>,
                inputs: Rows<'_>,
                losses: RowsMut<'_>,
                gradient: RowsMut<'_>,
            ) -> Result<f32, Error> {
                let (losses, gradient) = (Some(losses), Some(gradient));
                self.run(targets, inputs, Outputs { losses, gradient, ..Outputs::default() })
            }
        }
    };
}
use calls;
