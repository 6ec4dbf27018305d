//! `candle`: its own functions, and for dense labels what a user would write.

use anyhow::{Context, Result};
use candle_core::{Device, Tensor, Var};
use candle_nn::{loss, ops};
use xent_peers::common::operations::Buffers;

use crate::peer::{Loaded, Peer};

pub struct Candle;

impl Peer for Candle {
    fn version(&self) -> String {
        "0.11".into()
    }

    fn load(&self, inputs: Buffers, _: usize) -> Result<Box<dyn Loaded>> {
        let shape = (inputs.shape.rows, inputs.shape.classes);
        let logits = Tensor::from_vec(inputs.logits, shape, &Device::Cpu)?;
        Ok(Box::new(Ready {
            variable: Var::from_tensor(&logits)?,
            logits,
            labels: Tensor::from_vec(inputs.labels, shape.0, &Device::Cpu)?,
            distributions: Tensor::from_vec(inputs.distributions, shape, &Device::Cpu)?,
        }))
    }
}

struct Ready {
    logits: Tensor,
    variable: Var,
    labels: Tensor,
    distributions: Tensor,
}

impl Ready {
    /// The mean loss and its gradient.
    fn with_gradient(&self, loss: Tensor) -> Result<Vec<Tensor>> {
        let gradients = loss.backward()?;
        let gradient = gradients.get(self.variable.as_tensor()).context("no gradient")?;
        Ok(vec![loss, gradient.clone()])
    }

    fn dense_loss(&self) -> Result<Tensor> {
        let products = (ops::log_softmax(self.variable.as_tensor(), 1)? * &self.distributions)?;
        Ok((products.sum_all()?.neg()? / self.labels.dim(0)? as f64)?)
    }

    fn compute(&self, operation: &str) -> Result<Option<Vec<Tensor>>> {
        Ok(Some(match operation {
            "softmax" => vec![ops::softmax_last_dim(&self.logits)?],
            "log_softmax" => vec![ops::log_softmax(&self.logits, 1)?],
            "sparse_loss" => vec![loss::cross_entropy(&self.logits, &self.labels)?],
            "sparse_loss_and_gradient" => {
                self.with_gradient(loss::cross_entropy(self.variable.as_tensor(), &self.labels)?)?
            }
            "dense_loss_and_gradient" => self.with_gradient(self.dense_loss()?)?,
            _ => return Ok(None),
        }))
    }
}

impl Loaded for Ready {
    fn run(&mut self, operation: &str) -> Result<bool> {
        Ok(self.compute(operation)?.is_some())
    }

    fn results(&mut self, operation: &str) -> Result<Vec<Vec<f32>>> {
        let tensors = self.compute(operation)?.unwrap_or_default();
        tensors.iter().map(|tensor| Ok(tensor.flatten_all()?.to_vec1()?)).collect()
    }
}
