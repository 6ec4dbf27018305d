//! Learning: the loss and its gradient from `xent`, the steps from [`Model`].

use xent::{Error, Rows, argmax};

use crate::data::{CLASSES, Digits};
use crate::model::Model;
use crate::objective::Objective;

/// How good a model is on some digits.
#[derive(Clone, Copy)]
pub(crate) struct Score {
    /// The mean loss.
    pub(crate) loss: f64,
    /// The part of the digits that are recognised, from 0 to 1.
    pub(crate) accuracy: f64,
}

/// A model that is being trained, and the buffers that each step reuses.
pub(crate) struct Trainer<'a> {
    digits: &'a Digits,
    objective: Objective,
    model: Model,
    random: fastrand::Rng,
    order: Vec<usize>,
    batch: Digits,
    logits: Vec<f32>,
    losses: Vec<f32>,
}

impl<'a> Trainer<'a> {
    pub(crate) fn new(digits: &'a Digits, objective: Objective, seed: u64) -> Self {
        Self {
            digits,
            objective,
            model: Model::new(),
            random: fastrand::Rng::with_seed(seed),
            order: (0..digits.len()).collect(),
            batch: Digits::default(),
            logits: Vec::new(),
            losses: Vec::new(),
        }
    }

    /// Learns from every digit once, in a new order. Gives the mean of the losses met on the way.
    pub(crate) fn epoch(&mut self, batch_size: usize, learning_rate: f32) -> Result<f64, Error> {
        self.random.shuffle(&mut self.order);
        let mut sum = 0.0;
        for indices in self.order.chunks(batch_size) {
            let rows = indices.len();
            self.batch.gather(self.digits, indices);
            self.logits.resize(rows * CLASSES, 0.0);
            self.losses.resize(rows, 0.0);

            self.model.logits(&self.batch.pixels, &mut self.logits);
            let summary =
                self.objective.loss_and_gradient(&self.batch.labels, &mut self.logits, &mut self.losses)?;
            // Where the logits were is now the gradient with respect to them.
            self.model.descend(&self.batch.pixels, &self.logits, learning_rate);
            sum += f64::from(summary.value) * count(rows);
        }
        Ok(sum / count(self.digits.len()))
    }

    /// The model as it is now, on digits that it need not have seen.
    pub(crate) fn score(&self, digits: &Digits) -> Result<Score, Error> {
        let mut logits = vec![0.0; digits.len() * CLASSES];
        self.model.logits(&digits.pixels, &mut logits);
        let logits = Rows::new(&logits, digits.len(), CLASSES)?;

        let loss = self.objective.loss(&digits.labels, logits)?.value;
        let guesses = argmax(logits)?;
        let right =
            guesses.iter().zip(&digits.labels).filter(|&(&guess, &label)| guess == usize::from(label));
        Ok(Score { loss: f64::from(loss), accuracy: count(right.count()) / count(digits.len()) })
    }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 digits")]
const fn count(digits: usize) -> f64 {
    digits as f64
}
