//! Losses of elements that do not see each other: binary cross-entropy, Kullback-Leibler divergence, squared error.

mod binary;
mod divergence;
mod squared;

pub use binary::BinaryCrossEntropy;
pub use divergence::KlDivergence;
pub use squared::SquaredError;

use core::marker::PhantomData;

use super::allocate;
use crate::kernel::pointwise::{Formula, Pointwise};
use crate::{Error, Rows, RowsMut, parallel};

/// How the losses of elements become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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
pub struct ElementLoss {
    /// The loss of each element, rows after each other.
    pub values: Vec<f32>,
    /// The reduced loss: the sum where there is no reduction, and NaN for a mean over nothing.
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

impl<'a> Options<'a> {
    /// Writes losses and, if one is wanted, a gradient; gives the reduced loss.
    fn run<F: Formula>(
        &self,
        positive: Option<Rows<'a>>,
        targets: Rows<'_>,
        inputs: Rows<'_>,
        mut losses: RowsMut<'_>,
        gradient: Option<RowsMut<'_>>,
    ) -> Result<f32, Error> {
        let (rows, classes) = (inputs.rows(), inputs.classes());
        let shape = (rows, classes);
        targets.expect_shape("targets", shape)?;
        losses.expect_shape("losses", shape)?;
        if let Some(gradient) = &gradient {
            gradient.expect_shape("gradient", shape)?;
        }
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
        let constant = match self.denominator(rows, classes) {
            // There is nothing to have a gradient.
            0.0 => 0.0,
            denominator => f64::from(self.factor.unwrap_or(1.0)) / denominator,
        };
        let job = Pointwise {
            formula: PhantomData::<F>,
            inputs,
            targets,
            weights: self.weights,
            positive,
            upstream: self.upstream,
            constant,
            losses: Some(losses.reborrow()),
            gradient,
        };
        parallel::run(job, inputs.backend())?;
        // In f64 and in their order, so that no thread count changes a bit.
        let losses = losses.as_rows();
        let mut sum = 0.0;
        for row in 0..rows {
            sum = match losses.row(row) {
                Some(losses) => losses.iter().fold(sum, |sum, &loss| sum + f64::from(loss)),
                None => (0..classes).fold(sum, |sum, class| sum + f64::from(losses.values().get(row, class))),
            };
        }
        #[expect(clippy::cast_possible_truncation, reason = "the result is f32")]
        let value = (sum / self.denominator(rows, classes)) as f32;
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
            /// view of stride 0. A weight of 0 takes out also an infinite loss.
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
                self.run(targets, inputs, losses, None)
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
                self.run(targets, inputs, losses, Some(gradient))
            }
        }
    };
}
use calls;
