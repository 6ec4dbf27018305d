//! Softmax cross-entropy with logits: the loss, its gradients, and how rows become one number.

mod functions;
mod loss;
mod options;
mod predictions;
mod presets;
mod reduction;
mod run;
mod statistics;

pub use functions::{
    softmax_cross_entropy_with_logits, softmax_cross_entropy_with_logits_into,
    sparse_softmax_cross_entropy_with_logits, sparse_softmax_cross_entropy_with_logits_into,
};
pub use options::{CrossEntropy, DenseGradient, Smoothing};
pub use reduction::{Denominator, EmptyMean, EmptyRows, Loss, Reduction, Summary, Upstream};
pub(in crate::ops) use reduction::{Totals, summarise};
pub(in crate::ops) use run::Valid;
pub use statistics::Statistics;
