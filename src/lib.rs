//! Softmax cross-entropy with logits on CPUs: at most 3 units in the last place off, also at the edges (5 where the
//! backend does not fuse multiply-add), and the same bits whatever the number of threads, the batch or the layout.
//!
//! - One loss per row: [`sparse_softmax_cross_entropy_with_logits`] for class indices,
//!   [`softmax_cross_entropy_with_logits`] for distributions.
//! - Everything else about the loss is an option of [`CrossEntropy`]: reduction, weights, ignored rows, smoothing, masks,
//!   gradients, a separate backward pass, statistics, predictions of rows without labels
//!   ([`predictions_into`](CrossEntropy::predictions_into)), [`probabilities`](CrossEntropy::probabilities) after a
//!   temperature, a soft cap or masks. What other libraries call them is in [`peers`].
//! - The same of a linear classifier, from features and weights: `LinearCrossEntropy`, with the feature `linear`.
//! - The same where the classes of a row lie on several machines: [`Shard`].
//! - Its family: [`NegativeLogLikelihood`], [`BinaryCrossEntropy`], [`KlDivergence`], [`SquaredError`], [`Hinge`].
//! - Of tokens: [`TokenLogProbs`], ranks and the largest logits among them; draws by a [`Sampler`]. Of two sets of logits:
//!   [`LogitComparison`].
//! - Beside it: [`softmax`], [`log_softmax`], [`log_sum_exp`], [`row_max`], [`argmax`], and the gradients
//!   [`softmax_gradient`] and [`log_softmax_gradient`].
//!
//! Every operation comes in up to three forms: it allocates its result, writes it into a buffer (`_into`), or
//! over its input (`_in_place`). The last two allocate nothing per row or per class.
//!
//! Logits are [`Rows`]: a checked view of rows × classes f32, or, with the feature `half`, bf16 or f16, with a stride, or with the
//! classes along any axis of an array. The instruction set is a
//! [`Backend`], detected at run time. Work on more than about 32 000 logits, or 4 000 rows, runs on the
//! [Rayon](https://docs.rs/rayon) pool the caller is in, or all of it on the calling thread ([`Rows::on_this_thread`]); no thread count changes a bit.
//!
//! ```
//! use xent::{CrossEntropy, Reduction, Rows, RowsMut};
//!
//! let logits = [2.0, -5.0, 0.5, -0.1, 0.0, 0.0, 1.9, 1.4];
//! let (rows, classes) = (2, 4);
//! let (mut losses, mut gradient) = ([0.0; 2], [0.0; 8]);
//!
//! let summary = CrossEntropy::new().reduction(Reduction::Mean).loss_and_gradient_into(
//!     &[0_u32, 3],
//!     Rows::new(&logits, rows, classes)?,
//!     &mut losses,
//!     RowsMut::new(&mut gradient, rows, classes)?,
//! )?;
//! assert_eq!(summary.used_rows, 2);
//! assert!((summary.value - 0.721_17).abs() < 1e-4);
//! # Ok::<(), xent::Error>(())
//! ```

mod engine;
mod error;
#[doc(hidden)]
#[cfg(feature = "_internals")]
pub mod internals;
mod kernels;
mod numbers;
mod ops;
mod simd;
mod views;

pub use error::Error;
pub use numbers::log_sum_exp::LogSumExp;
pub use ops::*;
pub use simd::{Backend, PartialRow};
pub use views::element::Element;
pub use views::labels::{IntoLabels, IntoTargets, Labels, Targets};
pub use views::rows::Rows;
pub use views::rows_mut::RowsMut;

/// The examples of the README, run as doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[doc = include_str!("../docs/peers.md")]
pub mod peers {}
