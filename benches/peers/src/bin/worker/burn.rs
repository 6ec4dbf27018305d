//! `burn` on its CPU backend flex: its own functions, and for dense labels what a user would write.

use anyhow::{Context, Result, anyhow};
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData};
use xent_peers::common::operations::Buffers;

use crate::peer::{Loaded, Peer};

pub struct Burn;

impl Peer for Burn {
    fn version(&self) -> String {
        "0.22 flex".into()
    }

    fn load(&self, inputs: Buffers, _: usize) -> Result<Box<dyn Loaded>> {
        let (device, tracked) = (Device::flex(), Device::flex().autodiff());
        let rows = inputs.shape.rows;
        let shape = [rows, inputs.shape.classes];
        let labels: Vec<i64> = inputs.labels.iter().map(|&label| label.into()).collect();
        let logits = TensorData::new(inputs.logits, shape);
        let labels = TensorData::new(labels, [rows]);
        let distributions = TensorData::new(inputs.distributions, shape);
        Ok(Box::new(Ready {
            loss: CrossEntropyLossConfig::new().init(&device),
            tracked_loss: CrossEntropyLossConfig::new().init(&tracked),
            logits: Tensor::from_data(logits.clone(), &device),
            variable: Tensor::from_data(logits, &tracked),
            labels: Tensor::from_data(labels.clone(), &device),
            tracked_labels: Tensor::from_data(labels, &tracked),
            distributions: Tensor::from_data(distributions, &tracked),
        }))
    }
}

struct Ready {
    loss: CrossEntropyLoss,
    tracked_loss: CrossEntropyLoss,
    logits: Tensor<2>,
    variable: Tensor<2>,
    labels: Tensor<1, Int>,
    tracked_labels: Tensor<1, Int>,
    distributions: Tensor<2>,
}

/// The mean loss or nothing, and a matrix or nothing.
type Results = (Option<Tensor<1>>, Option<Tensor<2>>);

impl Ready {
    fn with_gradient(&self, loss: impl FnOnce(Tensor<2>) -> Tensor<1>) -> Result<Results> {
        let variable = self.variable.clone().require_grad();
        let loss = loss(variable.clone());
        let gradient = variable.grad(&loss.backward()).context("no gradient")?;
        Ok((Some(loss), Some(gradient)))
    }

    fn compute(&self, operation: &str) -> Result<Option<Results>> {
        let logits = self.logits.clone();
        Ok(Some(match operation {
            "softmax" => (None, Some(softmax(logits, 1))),
            "log_softmax" => (None, Some(log_softmax(logits, 1))),
            "sparse_loss" => (Some(self.loss.forward(logits, self.labels.clone())), None),
            "sparse_loss_and_gradient" => {
                self.with_gradient(|logits| self.tracked_loss.forward(logits, self.tracked_labels.clone()))?
            }
            "dense_loss_and_gradient" => self.with_gradient(|logits| {
                let rows = u32::try_from(logits.dims()[0]).expect("few rows");
                (log_softmax(logits, 1) * self.distributions.clone()).sum().neg() / f64::from(rows)
            })?,
            _ => return Ok(None),
        }))
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    tensor.into_data().try_to_vec().map_err(|error| anyhow!("{error:?}"))
}

impl Loaded for Ready {
    fn run(&mut self, operation: &str) -> Result<bool> {
        Ok(self.compute(operation)?.is_some())
    }

    fn results(&mut self, operation: &str) -> Result<Vec<Vec<f32>>> {
        let (losses, matrix) = self.compute(operation)?.unwrap_or_default();
        losses.map(values).into_iter().chain(matrix.map(values)).collect()
    }
}
