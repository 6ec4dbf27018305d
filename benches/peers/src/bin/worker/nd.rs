//! `ndarray`: the formulas as whole-array expressions, on one thread.

use anyhow::Result;
use ndarray::{Array1, Array2, Axis};
use xent_peers::common::operations::Buffers;

use crate::peer::{Loaded, Peer};

pub struct NdArray;

impl Peer for NdArray {
    fn version(&self) -> String {
        "0.17".into()
    }

    fn load(&self, inputs: Buffers, threads: usize) -> Result<Box<dyn Loaded>> {
        let shape = (inputs.shape.rows, inputs.shape.classes);
        Ok(Box::new(Ready {
            logits: Array2::from_shape_vec(shape, inputs.logits)?,
            labels: inputs.labels,
            distributions: Array2::from_shape_vec(shape, inputs.distributions)?,
            threads,
        }))
    }
}

struct Ready {
    logits: Array2<f32>,
    labels: Vec<u32>,
    distributions: Array2<f32>,
    threads: usize,
}

/// Losses of the rows, and a matrix.
type Results = (Option<Array1<f32>>, Option<Array2<f32>>);

impl Ready {
    /// The distances to the row maxima, and the logarithms of the sums of their exponentials.
    fn distances(&self) -> (Array2<f32>, Array1<f32>) {
        let max = self.logits.map_axis(Axis(1), |row| row.fold(f32::NEG_INFINITY, |max, &x| max.max(x)));
        let distances = &self.logits - &max.insert_axis(Axis(1));
        let log_sums = distances.mapv(f32::exp).sum_axis(Axis(1)).mapv(f32::ln);
        (distances, log_sums)
    }

    fn log_softmax(&self) -> Array2<f32> {
        let (distances, log_sums) = self.distances();
        distances - &log_sums.insert_axis(Axis(1))
    }

    fn softmax(&self) -> Array2<f32> {
        let (distances, log_sums) = self.distances();
        distances.mapv(f32::exp) / &log_sums.mapv(f32::exp).insert_axis(Axis(1))
    }

    fn sparse_loss(&self) -> Array1<f32> {
        let (distances, log_sums) = self.distances();
        let rows = log_sums.iter().zip(distances.outer_iter()).zip(&self.labels);
        rows.map(|((log_sum, row), &label)| log_sum - row[label as usize]).collect()
    }

    fn sparse_loss_and_gradient(&self) -> (Array1<f32>, Array2<f32>) {
        let mut gradient = self.softmax();
        let mut losses = Array1::zeros(self.labels.len());
        for ((mut row, loss), &label) in gradient.outer_iter_mut().zip(&mut losses).zip(&self.labels) {
            *loss = -row[label as usize].ln();
            row[label as usize] -= 1.0;
        }
        (losses, gradient)
    }

    fn dense_loss_and_gradient(&self) -> (Array1<f32>, Array2<f32>) {
        let log_softmax = self.log_softmax();
        let losses = -(&self.distributions * &log_softmax).sum_axis(Axis(1));
        (losses, log_softmax.mapv(f32::exp) - &self.distributions)
    }

    fn compute(&self, operation: &str) -> Option<Results> {
        // It has no parallel form of these expressions.
        if self.threads > 1 {
            return None;
        }
        let both = |(losses, matrix)| (Some(losses), Some(matrix));
        Some(match operation {
            "softmax" => (None, Some(self.softmax())),
            "log_softmax" => (None, Some(self.log_softmax())),
            "sparse_loss" => (Some(self.sparse_loss()), None),
            "sparse_loss_and_gradient" => both(self.sparse_loss_and_gradient()),
            "dense_loss_and_gradient" => both(self.dense_loss_and_gradient()),
            _ => return None,
        })
    }
}

impl Loaded for Ready {
    fn run(&mut self, operation: &str) -> Result<bool> {
        Ok(self.compute(operation).is_some())
    }

    fn results(&mut self, operation: &str) -> Result<Vec<Vec<f32>>> {
        let (losses, matrix) = self.compute(operation).unwrap_or_default();
        let losses = losses.map(|losses| losses.into_raw_vec_and_offset().0);
        Ok(losses.into_iter().chain(matrix.map(|matrix| matrix.into_raw_vec_and_offset().0)).collect())
    }
}
