//! Kullback-Leibler divergence.

use super::{ElementLoss, ElementReduction, Options, allocate, calls};
use crate::kernel::pointwise::{Divergence, LogDivergence};
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

    fn run(
        &self,
        targets: Rows<'_>,
        inputs: Rows<'_>,
        losses: RowsMut<'_>,
        gradient: Option<RowsMut<'_>>,
    ) -> Result<f32, Error> {
        if self.log_targets {
            self.options.run::<LogDivergence>(None, targets, inputs, losses, gradient)
        } else {
            self.options.run::<Divergence>(None, targets, inputs, losses, gradient)
        }
    }
}
