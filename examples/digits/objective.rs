//! What is minimised: the mean over the digits of a batch.

use clap::ValueEnum;
use xent::{
    CrossEntropy, Denominator, Error, Hinge, Linear, LinearCrossEntropy, LinearGradients, LinearResults,
    Reduction, Rows, RowsMut, Smoothing, Summary,
};

use crate::data::{CLASSES, Digits};

/// Which loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Softmax cross-entropy.
    Softmax,
    /// The multiclass hinge of support vector machines.
    Hinge,
}

/// How much each class counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClassWeights {
    /// All the same.
    Uniform,
    /// The rarer the more: the number of digits over that of a class, and of the classes.
    Balanced,
}

/// A loss with its options.
pub(crate) struct Objective {
    kind: Kind,
    smoothing: f64,
    /// One per class, or none.
    weights: Option<Vec<f32>>,
}

impl Objective {
    pub(crate) fn new(kind: Kind, smoothing: f64, weights: ClassWeights, digits: &Digits) -> Self {
        let weights = match weights {
            ClassWeights::Uniform => None,
            ClassWeights::Balanced => Some(balanced(&digits.labels)),
        };
        Self { kind, smoothing, weights }
    }

    fn softmax(&self) -> Result<CrossEntropy<'_>, Error> {
        let mean = CrossEntropy::new().reduction(Reduction::Mean);
        let smooth = mean.label_smoothing(self.smoothing, Smoothing::Uniform)?;
        match &self.weights {
            Some(weights) => smooth.denominator(Denominator::Weights)?.class_weights(weights),
            None => Ok(smooth),
        }
    }

    fn hinge(&self) -> Result<Hinge<'_>, Error> {
        let mean = Hinge::new().reduction(Reduction::Mean).per_class(true);
        match &self.weights {
            Some(weights) => mean.class_weights(weights),
            None => Ok(mean),
        }
    }

    /// The mean loss of some digits, whose logits are made on the way, and which of them are recognised.
    pub(crate) fn fused_loss(
        &self,
        labels: &[u8],
        linear: Linear<'_>,
        correct: &mut [bool],
    ) -> Result<Summary, Error> {
        let results = LinearResults::new().correct(correct);
        LinearCrossEntropy::new(self.softmax()?).forward_into(labels, linear, results)
    }

    /// As [`fused_loss`](Self::fused_loss), with gradients of what the logits are made of.
    pub(crate) fn fused_loss_and_gradients(
        &self,
        labels: &[u8],
        linear: Linear<'_>,
        gradients: LinearGradients<'_>,
    ) -> Result<Summary, Error> {
        let loss = LinearCrossEntropy::new(self.softmax()?);
        loss.loss_and_gradients_into(labels, linear, LinearResults::new(), gradients)
    }

    /// The mean loss of some digits.
    pub(crate) fn loss(&self, labels: &[u8], logits: Rows<'_>) -> Result<Summary, Error> {
        match self.kind {
            Kind::Softmax => Ok(self.softmax()?.loss(labels, logits)?.summary),
            Kind::Hinge => Ok(self.hinge()?.loss(labels, logits)?.summary),
        }
    }

    /// The mean loss of some digits; its gradient is written over the logits.
    pub(crate) fn loss_and_gradient(
        &self,
        labels: &[u8],
        logits: &mut [f32],
        losses: &mut [f32],
    ) -> Result<Summary, Error> {
        let rows = labels.len();
        match self.kind {
            Kind::Softmax => {
                let view = RowsMut::new(logits, rows, CLASSES)?;
                self.softmax()?.loss_and_gradient_in_place(labels, view, losses)
            }
            Kind::Hinge => {
                let (loss, gradient) =
                    self.hinge()?.loss_and_gradient(labels, Rows::new(logits, rows, CLASSES)?)?;
                logits.copy_from_slice(&gradient);
                Ok(loss.summary)
            }
        }
    }
}

/// The weights of classes that all count the same in sum.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^24 digits")]
fn balanced(labels: &[u8]) -> Vec<f32> {
    let mut counts = [0_usize; CLASSES];
    for &label in labels {
        counts[usize::from(label)] += 1;
    }
    // A class without digits is never met.
    counts.map(|count| labels.len() as f32 / (CLASSES * count.max(1)) as f32).to_vec()
}
