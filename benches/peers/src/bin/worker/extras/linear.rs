//! The loss of a linear classifier, and what of it is nothing but products or nothing but the loss.

use anyhow::Result;
use rayon::prelude::*;
use xent::{
    CrossEntropy, Linear, LinearCrossEntropy, LinearGradients, LinearResults, Reduction, Rows, RowsMut,
};
use xent_peers::common::linear::{Problem, Size};

use crate::peer::Loaded;

/// So many logits stay in the cache of a processor.
const CACHED: usize = 1 << 17;

pub struct Classifier {
    problem: Problem,
    threads: usize,
    mean: f32,
    losses: Vec<f32>,
    /// Made by the operations that use them, so that their memory is counted as that of other libraries is.
    gradients: Option<Gradients>,
    logits: Vec<f32>,
}

struct Gradients {
    x: Vec<f32>,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Gradients {
    fn of(problem: &Problem) -> Self {
        let zeros = |values: &[f32]| vec![0.0; values.len()];
        Self { x: zeros(&problem.x), weights: zeros(&problem.weights), bias: zeros(&problem.bias) }
    }
}

impl Classifier {
    pub fn new(problem: Problem, threads: usize) -> Self {
        let losses = vec![0.0; problem.size.rows];
        Self { problem, threads, mean: f32::NAN, losses, gradients: None, logits: Vec::new() }
    }

    /// The loss, and gradients where they are wanted.
    fn loss(&mut self, with_gradients: bool) -> Result<()> {
        let Problem { size: Size { rows, classes, features }, x, weights, bias, labels } = &self.problem;
        let (rows, classes, features) = (*rows, *classes, *features);
        let mut linear = Linear::new(Rows::new(x, rows, features)?, Rows::new(weights, classes, features)?)?;
        if !bias.is_empty() {
            linear = linear.bias(bias)?;
        }
        let mean = LinearCrossEntropy::new(CrossEntropy::new().reduction(Reduction::Mean));
        let results = LinearResults::new().losses(&mut self.losses);
        let summary = if with_gradients {
            let to = self.gradients.get_or_insert_with(|| Gradients::of(&self.problem));
            let mut gradients = LinearGradients::new()
                .x(RowsMut::new(&mut to.x, rows, features)?)
                .weights(RowsMut::new(&mut to.weights, classes, features)?);
            if !bias.is_empty() {
                gradients = gradients.bias(&mut to.bias);
            }
            mean.loss_and_gradients_into(labels, linear, results, gradients)?
        } else {
            mean.forward_into(labels, linear, results)?
        };
        self.mean = summary.value;
        Ok(())
    }

    /// The logits, and with three products both gradients, of which the logits are taken for the logits' own.
    fn products(&mut self, three: bool) {
        self.logits.resize(self.problem.size.shape().logits(), 0.0);
        self.problem.multiply(&mut self.logits, self.threads);
        if three {
            let to = self.gradients.get_or_insert_with(|| Gradients::of(&self.problem));
            self.problem.multiply_back(&self.logits, &mut to.x, &mut to.weights, self.threads);
        }
    }

    /// The loss of as many logits as there are, all of them out of the nearest caches.
    fn loss_in_cache(&mut self) -> Result<()> {
        let Size { rows, classes, .. } = self.problem.size;
        self.logits.resize(rows * classes, 0.0);
        let some = (CACHED / classes).clamp(1, rows.div_ceil(self.threads));
        let (logits, labels) = (&self.logits, &self.problem.labels);
        self.losses.par_chunks_mut(some).try_for_each(|losses| {
            let rows = losses.len();
            let logits = Rows::new(&logits[..rows * classes], rows, classes)?.on_this_thread();
            CrossEntropy::new().loss_into(&labels[..rows], logits, losses)?;
            Ok(())
        })
    }
}

impl Loaded for Classifier {
    fn run(&mut self, operation: &str) -> Result<bool> {
        match operation {
            "forward" => self.loss(false)?,
            "gradients" => self.loss(true)?,
            "product" => self.products(false),
            "three_products" => self.products(true),
            "loss_in_cache" => self.loss_in_cache()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The mean loss, and the gradients of `x`, of the weights and, where there is one, of the bias.
    fn results(&mut self, operation: &str) -> Result<Vec<Vec<f32>>> {
        self.run(operation)?;
        let mut results = vec![vec![self.mean]];
        if let (Some(gradients), "gradients") = (&self.gradients, operation) {
            let all = [&gradients.x, &gradients.weights, &gradients.bias];
            results.extend(all.into_iter().filter(|values| !values.is_empty()).cloned());
        }
        Ok(results)
    }
}
