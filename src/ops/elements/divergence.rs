//! Kullback-Leibler divergence.

use super::{ElementLoss, ElementReduction, Options, Outputs, allocate, calls};
use crate::kernels::elements::Formula;
use crate::{Error, Rows, RowsMut};

/// The Kullback-Leibler divergence of log-probabilities `x` from targets `t`: `t (ln t - x)`, and `-t` for its
/// gradient.
///
/// Both are rows × classes. A target of 0 contributes exactly 0, also at a log-probability of `-inf`. The divergence of
/// two distributions is the sum over a row: [`ElementReduction::BatchMean`] is its mean,
/// [`ElementReduction::Mean`] divides it by the number of classes too.
///
/// Formula: Kullback and Leibler, "On information and sufficiency" (1951); `PyTorch`'s `KLDivLoss`.
///
/// ```
/// use xent::{ElementReduction, KlDivergence, Rows, log_softmax};
///
/// let q = log_softmax(Rows::new(&[0.0, 0.0], 1, 2)?)?;
/// let divergence = KlDivergence::new().reduction(ElementReduction::BatchMean);
/// let loss = divergence.loss(Rows::new(&[1.0, 0.0], 1, 2)?, Rows::new(&q, 1, 2)?)?;
/// assert_eq!(loss.value, core::f32::consts::LN_2);
/// # Ok::<(), xent::Error>(())
/// ```
///
/// Rows that only fill up a batch have weights of 0, and may hold anything:
///
/// ```
/// use xent::{KlDivergence, Rows};
///
/// let (targets, inputs) = ([0.5; 4], [-0.5, -1.0, f32::NEG_INFINITY, f32::NAN]);
/// let divergence = KlDivergence::new().weights(Rows::new(&[1.0, 1.0, 0.0, 0.0], 2, 2)?);
/// let value = divergence.value(Rows::new(&targets, 2, 2)?, Rows::new(&inputs, 2, 2)?)?;
/// assert_eq!(value, 0.056_852_82); // (1 + 0.5) / 2 - ln 2
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct KlDivergence<'a> {
    options: Options<'a>,
    log_targets: bool,
}

calls!(KlDivergence, "log-probabilities");

impl KlDivergence<'_> {
    /// Whether the targets are log-probabilities too: `e^t (t - x)`.
    #[must_use]
    pub const fn log_targets(mut self, log_targets: bool) -> Self {
        self.log_targets = log_targets;
        self
    }

    fn run(&self, targets: Rows<'_>, inputs: Rows<'_>, outputs: Outputs<'_>) -> Result<f32, Error> {
        let formula = if self.log_targets { Formula::LogDivergence } else { Formula::Divergence };
        self.options.run((formula, None), targets, inputs, outputs)
    }
}
