//! What the crate has with its features: the loss of a linear classifier, and logits of 16 bits.

mod halves;
mod linear;

use anyhow::Result;
use xent::Backend;
use xent_peers::common::inputs;
use xent_peers::common::linear::Problem;
use xent_peers::common::operations::Buffers;
use xent_peers::common::shape::Shape;

use crate::peer::{Loaded, Peer};
use halves::Halves;
use linear::Classifier;

pub struct Extras;

impl Peer for Extras {
    fn version(&self) -> String {
        Backend::selected().map_or_else(|error| error.to_string(), |backend| backend.to_string())
    }

    fn load(&self, Buffers { shape, logits, labels, .. }: Buffers, _: usize) -> Result<Box<dyn Loaded>> {
        Ok(Box::new(Halves::new(shape, logits, labels)))
    }

    /// Logits and labels alone: a gigabyte of logits needs no distributions.
    fn generate(&self, shape: Shape, _: usize) -> Result<Box<dyn Loaded>> {
        Ok(Box::new(Halves::new(shape, inputs::logits(shape), inputs::labels(shape))))
    }

    fn load_linear(&self, problem: Problem, threads: usize) -> Option<Box<dyn Loaded>> {
        Some(Box::new(Classifier::new(problem, threads)))
    }
}
