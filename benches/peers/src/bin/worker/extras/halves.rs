//! The loss of logits of 16 bits and of the same ones as f32: an operation is named by `TYPE@BACKEND`.

use anyhow::{Context, Result};
use half::{bf16, f16};
use xent::{Backend, CrossEntropy, Element, Rows};
use xent_peers::common::shape::Shape;

use crate::peer::Loaded;

pub struct Halves {
    shape: Shape,
    labels: Vec<u32>,
    logits: Vec<f32>,
    bf16: Vec<bf16>,
    f16: Vec<f16>,
    losses: Vec<f32>,
}

impl Halves {
    pub fn new(shape: Shape, logits: Vec<f32>, labels: Vec<u32>) -> Self {
        let (bf16, f16) = (
            logits.iter().copied().map(bf16::from_f32).collect(),
            logits.iter().copied().map(f16::from_f32).collect(),
        );
        Self { shape, labels, logits, bf16, f16, losses: vec![0.0; shape.rows] }
    }
}

fn loss<T: Element>(
    logits: &[T],
    shape: Shape,
    backend: Backend,
    labels: &[u32],
    losses: &mut [f32],
) -> Result<()> {
    let logits = Rows::new(logits, shape.rows, shape.classes)?.with_backend(backend);
    CrossEntropy::new().loss_into(labels, logits, losses)?;
    Ok(())
}

impl Loaded for Halves {
    fn run(&mut self, operation: &str) -> Result<bool> {
        let (name, backend) = operation.split_once('@').context("a type and a backend")?;
        let (backend, shape) = (backend.parse()?, self.shape);
        let Self { labels, logits, bf16, f16, losses, .. } = self;
        match name {
            "f32" => loss(logits, shape, backend, labels, losses)?,
            "bf16" => loss(bf16, shape, backend, labels, losses)?,
            "f16" => loss(f16, shape, backend, labels, losses)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn results(&mut self, operation: &str) -> Result<Vec<Vec<f32>>> {
        self.run(operation)?;
        Ok(vec![self.losses.clone()])
    }
}
