//! Losses, guesses and speed of all rows, from pieces of them.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use xent::{Backend, CrossEntropy, Error, Labels, LogSumExp, Rows, argmax};

use super::sum::Sum;

/// The calls of the loss that are timed, after a first one that is not.
const REPETITIONS: usize = 9;

/// What is known about the logits that have been scored.
#[derive(Default)]
pub(crate) struct Summary {
    pub(crate) rows: usize,
    /// The losses of the last piece.
    pub(crate) losses: Vec<f32>,
    sums: Vec<LogSumExp>,
    total: Sum,
    /// Rows whose largest logit is that of the label.
    right: usize,
    /// How many rows the first piece has, and how long the loss of it takes: ten calls for each piece would be felt.
    timed: (usize, Duration),
}

impl Summary {
    /// Adds a piece.
    pub(crate) fn add(&mut self, labels: Labels<'_>, logits: Rows<'_>) -> Result<(), Error> {
        let loss = CrossEntropy::new();
        self.losses.resize(logits.rows(), 0.0);
        self.sums.resize(logits.rows(), LogSumExp::EMPTY);
        loss.forward_into(labels, logits, &mut self.losses, &mut self.sums)?;
        for (&loss, sum) in self.losses.iter().zip(&self.sums) {
            // Before it was rounded, where it is a number at all.
            self.total.add(sum.loss().filter(|_| loss.is_finite()).unwrap_or(loss.into()));
        }
        if self.rows == 0 {
            let mut times = [Duration::ZERO; REPETITIONS];
            for time in &mut times {
                let start = Instant::now();
                loss.loss_into(labels, logits, &mut self.losses)?;
                *time = start.elapsed();
            }
            times.sort_unstable();
            self.timed = (logits.rows(), times[REPETITIONS / 2]);
        }

        let guesses = argmax(logits)?;
        // A NaN is no guess, though it is the first thing that argmax points at.
        let right =
            |&row: &usize| labels.get(row) == Some(guesses[row] as i128) && !self.losses[row].is_nan();
        self.right += (0..logits.rows()).filter(right).count();
        self.rows += logits.rows();
        Ok(())
    }

    /// The mean loss as the crate gives it: in f32, of the losses before they are rounded, and with 0 for what would be subnormal.
    #[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
    fn mean(&self) -> f32 {
        let mean = (self.total.value() / as_f64(self.rows)) as f32;
        if mean.abs() < f32::MIN_POSITIVE { 0.0 } else { mean }
    }

    /// Prints it, for rows of so many classes and bytes.
    pub(crate) fn print(
        &self,
        (classes, row_bytes): (usize, usize),
        backend: Backend,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let Self { rows, right, timed: (timed_rows, time), .. } = *self;
        // As `Debug`, which keeps the digits of a tiny loss.
        let (mean, perplexity) = (self.mean(), self.mean().exp());
        let bytes = as_f64(row_bytes) * as_f64(timed_rows);
        let speed = bytes / time.as_secs_f64() / 1e9;
        writeln!(out, "rows            {rows}")?;
        writeln!(out, "classes         {classes}")?;
        writeln!(out, "mean loss       {mean:?} nats")?;
        writeln!(out, "perplexity      {perplexity:?}")?;
        writeln!(out, "top-1 accuracy  {}", share(right, rows))?;
        writeln!(out, "backend         {backend}")?;
        writeln!(
            out,
            "speed           {speed:.2} GB/s: {:.3} MB of logits in {time:?}, the median of {REPETITIONS} calls",
            bytes / 1e6,
        )
    }
}

/// How many of how many.
pub(crate) fn share(right: usize, rows: usize) -> String {
    format!("{:.2} % ({right} of {rows})", 100.0 * as_f64(right) / as_f64(rows))
}

#[expect(clippy::cast_precision_loss, reason = "numbers for people")]
const fn as_f64(number: usize) -> f64 {
    number as f64
}
