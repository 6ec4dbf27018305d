//! The operations of the crate as a caller runs them who has all the buffers.

use core::fmt;

use xent::{Backend, CrossEntropy, Error, Rows, RowsMut};

use super::inputs;
use super::shape::Shape;

/// An operation that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    RowMax,
    Argmax,
    LogSumExp,
    SparseLoss,
    DenseLoss,
    Softmax,
    SoftmaxInPlace,
    LogSoftmax,
    LogSoftmaxInPlace,
    SparseLossAndGradient,
    SparseLossAndGradientInPlace,
    DenseLossAndGradient,
    SoftmaxGradient,
    LogSoftmaxGradient,
}

impl Operation {
    pub const ALL: [Self; 14] = [
        Self::RowMax,
        Self::Argmax,
        Self::LogSumExp,
        Self::SparseLoss,
        Self::DenseLoss,
        Self::Softmax,
        Self::SoftmaxInPlace,
        Self::LogSoftmax,
        Self::LogSoftmaxInPlace,
        Self::SparseLossAndGradient,
        Self::SparseLossAndGradientInPlace,
        Self::DenseLossAndGradient,
        Self::SoftmaxGradient,
        Self::LogSoftmaxGradient,
    ];

    /// The name in ids and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RowMax => "row_max",
            Self::Argmax => "argmax",
            Self::LogSumExp => "log_sum_exp",
            Self::SparseLoss => "sparse_loss",
            Self::DenseLoss => "dense_loss",
            Self::Softmax => "softmax",
            Self::SoftmaxInPlace => "softmax_in_place",
            Self::LogSoftmax => "log_softmax",
            Self::LogSoftmaxInPlace => "log_softmax_in_place",
            Self::SparseLossAndGradient => "sparse_loss_and_gradient",
            Self::SparseLossAndGradientInPlace => "sparse_loss_and_gradient_in_place",
            Self::DenseLossAndGradient => "dense_loss_and_gradient",
            Self::SoftmaxGradient => "softmax_gradient",
            Self::LogSoftmaxGradient => "log_softmax_gradient",
        }
    }

    /// The operation of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// How many values per logit must move: each input read once, each result written once.
    pub const fn values_moved(self) -> usize {
        match self {
            Self::RowMax | Self::Argmax | Self::LogSumExp | Self::SparseLoss => 1,
            Self::DenseLoss
            | Self::Softmax
            | Self::LogSoftmax
            | Self::SparseLossAndGradient
            | Self::SoftmaxInPlace
            | Self::LogSoftmaxInPlace
            | Self::SparseLossAndGradientInPlace => 2,
            Self::DenseLossAndGradient | Self::SoftmaxGradient | Self::LogSoftmaxGradient => 3,
        }
    }

    /// Whether it is the gradient through another operation.
    pub const fn is_chain(self) -> bool {
        matches!(self, Self::SoftmaxGradient | Self::LogSoftmaxGradient)
    }

    const fn is_in_place(self) -> bool {
        matches!(self, Self::SoftmaxInPlace | Self::LogSoftmaxInPlace | Self::SparseLossAndGradientInPlace)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Inputs of one shape, and room for every result.
pub struct Buffers {
    pub shape: Shape,
    pub logits: Vec<f32>,
    pub labels: Vec<u32>,
    pub distributions: Vec<f32>,
    pub results: Vec<f32>,
    pub row_results: Vec<f32>,
    pub row_indices: Vec<usize>,
}

impl Buffers {
    pub fn new(shape: Shape) -> Self {
        let (logits, labels) = (inputs::logits(shape), inputs::labels(shape));
        Self::with_inputs(shape, logits, labels, inputs::distributions(shape))
    }

    pub fn with_inputs(shape: Shape, logits: Vec<f32>, labels: Vec<u32>, distributions: Vec<f32>) -> Self {
        Self {
            shape,
            results: logits.clone(),
            logits,
            labels,
            distributions,
            row_results: vec![0.0; shape.rows],
            row_indices: vec![0; shape.rows],
        }
    }

    /// Must come before the first call of an operation.
    ///
    /// The operations in place start from fresh logits and then run again on their own results: a copy
    /// in between would be measured too, or would leave the cache in another state. The values stay
    /// ordinary: probabilities tend to uniform ones, log-probabilities stay as they are, and gradients
    /// are between -1 and 1.
    pub fn prepare(&mut self, operation: Operation) {
        if operation.is_in_place() {
            self.results.copy_from_slice(&self.logits);
        }
    }

    /// One call.
    ///
    /// The gradients through softmax and log-softmax take the distributions for probabilities and the
    /// logits for log-probabilities.
    pub fn run(&mut self, operation: Operation, backend: Backend) -> Result<(), Error> {
        let axes = self.shape.axes();
        let logits = Rows::along_axis(&self.logits, &axes, 1)?.with_backend(backend);
        let distributions = Rows::along_axis(&self.distributions, &axes, 1)?.with_backend(backend);
        let results = RowsMut::along_axis(&mut self.results, &axes, 1)?.with_backend(backend);
        let (labels, losses) = (&self.labels, &mut self.row_results);
        let entropy = CrossEntropy::new();
        match operation {
            Operation::RowMax => xent::row_max_into(logits, losses),
            Operation::Argmax => xent::argmax_into(logits, &mut self.row_indices),
            Operation::LogSumExp => xent::log_sum_exp_into(logits, losses),
            Operation::SparseLoss => entropy.loss_into(labels, logits, losses).map(drop),
            Operation::DenseLoss => entropy.loss_into(distributions, logits, losses).map(drop),
            Operation::Softmax => xent::softmax_into(logits, results),
            Operation::SoftmaxInPlace => xent::softmax_in_place(results),
            Operation::LogSoftmax => xent::log_softmax_into(logits, results),
            Operation::LogSoftmaxInPlace => xent::log_softmax_in_place(results),
            Operation::SparseLossAndGradient => {
                entropy.loss_and_gradient_into(labels, logits, losses, results).map(drop)
            }
            Operation::SparseLossAndGradientInPlace => {
                entropy.loss_and_gradient_in_place(labels, results, losses).map(drop)
            }
            Operation::DenseLossAndGradient => {
                entropy.loss_and_gradient_into(distributions, logits, losses, results).map(drop)
            }
            Operation::SoftmaxGradient => xent::softmax_gradient_into(distributions, logits, results),
            Operation::LogSoftmaxGradient => xent::log_softmax_gradient_into(logits, distributions, results),
        }
    }
}
