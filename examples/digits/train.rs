//! Learning: the loss and its gradient from `xent`, the steps from [`Model`].

use clap::ValueEnum;
use xent::{Error, LinearGradients, Rows, RowsMut, Summary, argmax};

use crate::data::{CLASSES, Digits, PIXELS};
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

/// How logits are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Head {
    /// By the example, in a buffer of their own.
    Logits,
    /// By the loss, which does not store them.
    Fused,
}

/// A model that is being trained, and the buffers that each step reuses.
pub(crate) struct Trainer<'a> {
    digits: &'a Digits,
    objective: Objective,
    head: Head,
    model: Model,
    random: fastrand::Rng,
    order: Vec<usize>,
    batch: Digits,
    logits: Vec<f32>,
    losses: Vec<f32>,
    of_weights: Vec<f32>,
}

impl<'a> Trainer<'a> {
    pub(crate) fn new(digits: &'a Digits, objective: Objective, head: Head, seed: u64) -> Self {
        Self {
            digits,
            objective,
            head,
            model: Model::new(),
            random: fastrand::Rng::with_seed(seed),
            order: (0..digits.len()).collect(),
            batch: Digits::default(),
            logits: Vec::new(),
            losses: Vec::new(),
            of_weights: vec![0.0; PIXELS * CLASSES],
        }
    }

    /// Learns from every digit once, in a new order. Gives the mean of the losses met on the way.
    pub(crate) fn epoch(&mut self, batch_size: usize, learning_rate: f32) -> Result<f64, Error> {
        self.random.shuffle(&mut self.order);
        let mut sum = 0.0;
        for first in (0..self.order.len()).step_by(batch_size) {
            let rows = batch_size.min(self.order.len() - first);
            self.batch.gather(self.digits, &self.order[first..first + rows]);
            let summary = match self.head {
                Head::Logits => self.step(learning_rate)?,
                Head::Fused => self.fused_step(learning_rate)?,
            };
            sum += f64::from(summary.value) * count(rows);
        }
        Ok(sum / count(self.digits.len()))
    }

    /// Learns from the batch.
    fn step(&mut self, learning_rate: f32) -> Result<Summary, Error> {
        let rows = self.batch.len();
        self.logits.resize(rows * CLASSES, 0.0);
        self.losses.resize(rows, 0.0);
        self.model.logits(&self.batch.pixels, &mut self.logits);
        let summary =
            self.objective.loss_and_gradient(&self.batch.labels, &mut self.logits, &mut self.losses)?;
        // Where the logits were is now the gradient with respect to them.
        self.model.descend(&self.batch.pixels, &self.logits, learning_rate);
        Ok(summary)
    }

    /// Learns from the batch without storing logits or their gradient.
    fn fused_step(&mut self, learning_rate: f32) -> Result<Summary, Error> {
        let mut of_bias = [0.0; CLASSES];
        // Stored as the weights are.
        let of_weights = RowsMut::along_axis(&mut self.of_weights, &[PIXELS, CLASSES], 0)?;
        let gradients = LinearGradients::new().weights(of_weights).bias(&mut of_bias);
        let linear = self.model.linear(&self.batch.pixels)?;
        let summary = self.objective.fused_loss_and_gradients(&self.batch.labels, linear, gradients)?;
        self.model.step(&self.of_weights, &of_bias, learning_rate);
        Ok(summary)
    }

    /// The model as it is now, on digits that it need not have seen.
    pub(crate) fn score(&self, digits: &Digits) -> Result<Score, Error> {
        if self.head == Head::Fused {
            let mut correct = vec![false; digits.len()];
            let linear = self.model.linear(&digits.pixels)?;
            let loss = self.objective.fused_loss(&digits.labels, linear, &mut correct)?.value;
            let right = correct.into_iter().filter(|correct| *correct).count();
            return Ok(Score { loss: f64::from(loss), accuracy: count(right) / count(digits.len()) });
        }
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
