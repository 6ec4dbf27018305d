//! Softmax regression: one layer, whose logits are linear in the pixels.

use xent::{Error, Linear, Rows};

use crate::data::{CLASSES, PIXELS};

/// `logits = pixels * weights + bias`.
pub(crate) struct Model {
    weights: [[f32; CLASSES]; PIXELS],
    bias: [f32; CLASSES],
}

impl Model {
    /// Starts from zeros: the loss is convex, so any start finds the same minimum.
    pub(crate) const fn new() -> Self {
        Self { weights: [[0.0; CLASSES]; PIXELS], bias: [0.0; CLASSES] }
    }

    /// Writes one row of logits per image.
    pub(crate) fn logits(&self, pixels: &[f32], logits: &mut [f32]) {
        for (image, row) in pixels.chunks_exact(PIXELS).zip(logits.chunks_exact_mut(CLASSES)) {
            row.copy_from_slice(&self.bias);
            for (pixel, weights) in image.iter().zip(&self.weights) {
                for (logit, weight) in row.iter_mut().zip(weights) {
                    *logit += pixel * weight;
                }
            }
        }
    }

    /// What the logits are made of, for a loss that makes them itself.
    pub(crate) fn linear<'a>(&'a self, pixels: &'a [f32]) -> Result<Linear<'a>, Error> {
        let images = Rows::new(pixels, pixels.len() / PIXELS, PIXELS)?;
        let weights = Rows::along_axis(self.weights.as_flattened(), &[PIXELS, CLASSES], 0)?;
        Linear::new(images, weights)?.bias(&self.bias)
    }

    /// One step of gradient descent, given the gradients of the loss with respect to the weights and the bias.
    pub(crate) fn step(&mut self, weights: &[f32], bias: &[f32], learning_rate: f32) {
        let own = self.weights.as_flattened_mut().iter_mut().chain(&mut self.bias);
        for (own, slope) in own.zip(weights.iter().chain(bias)) {
            *own -= learning_rate * slope;
        }
    }

    /// One step of gradient descent, given the gradient of the loss with respect to the logits.
    ///
    /// By the chain rule `pixels^T * gradient` is that with respect to the weights, and the sum of its
    /// rows that with respect to the bias.
    pub(crate) fn descend(&mut self, pixels: &[f32], gradient: &[f32], learning_rate: f32) {
        for (image, row) in pixels.chunks_exact(PIXELS).zip(gradient.chunks_exact(CLASSES)) {
            for (bias, slope) in self.bias.iter_mut().zip(row) {
                *bias -= learning_rate * slope;
            }
            for (pixel, weights) in image.iter().zip(&mut self.weights) {
                for (weight, slope) in weights.iter_mut().zip(row) {
                    *weight -= learning_rate * pixel * slope;
                }
            }
        }
    }
}
