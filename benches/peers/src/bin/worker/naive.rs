//! A loop as it is written by hand: the textbook formula, a row at a time, rayon over the rows.

use anyhow::Result;
use rayon::prelude::*;
use xent_peers::common::operations::Buffers;

use crate::peer::{Loaded, Peer, results_in};

pub struct Naive;

impl Peer for Naive {
    fn version(&self) -> String {
        "f32::exp".into()
    }

    fn load(&self, inputs: Buffers, _: usize) -> Result<Box<dyn Loaded>> {
        Ok(Box::new(inputs))
    }
}

/// The maximum, and the sum of the exponentials of the distances to it.
fn max_and_sum(row: &[f32]) -> (f32, f32) {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    (max, row.iter().map(|x| (x - max).exp()).sum())
}

fn softmax(row: &[f32], result: &mut [f32]) {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for (y, x) in result.iter_mut().zip(row) {
        *y = (x - max).exp();
        sum += *y;
    }
    for y in result {
        *y /= sum;
    }
}

fn log_softmax(row: &[f32], result: &mut [f32]) {
    let (max, sum) = max_and_sum(row);
    let log_sum_exp = max + sum.ln();
    for (y, x) in result.iter_mut().zip(row) {
        *y = x - log_sum_exp;
    }
}

fn sparse_loss(row: &[f32], label: u32) -> f32 {
    let (max, sum) = max_and_sum(row);
    max + sum.ln() - row[label as usize]
}

fn sparse_loss_and_gradient(row: &[f32], label: u32, gradient: &mut [f32]) -> f32 {
    softmax(row, gradient);
    let label = label as usize;
    let loss = -gradient[label].ln();
    gradient[label] -= 1.0;
    loss
}

fn dense_loss_and_gradient(row: &[f32], labels: &[f32], gradient: &mut [f32]) -> f32 {
    let (max, sum) = max_and_sum(row);
    let log_sum_exp = max + sum.ln();
    let mut loss = 0.0;
    for ((g, x), t) in gradient.iter_mut().zip(row).zip(labels) {
        loss += t * (log_sum_exp - x);
        *g = (x - log_sum_exp).exp() - t;
    }
    loss
}

/// The buffers of one operation, cut by row.
fn run(buffers: &mut Buffers, operation: &str) -> bool {
    let classes = buffers.shape.classes;
    let rows = buffers.logits.par_chunks(classes);
    let results = buffers.results.par_chunks_mut(classes);
    let (labels, losses) = (buffers.labels.par_iter(), buffers.row_results.par_iter_mut());
    match operation {
        "softmax" => rows.zip(results).for_each(|(row, result)| softmax(row, result)),
        "log_softmax" => rows.zip(results).for_each(|(row, result)| log_softmax(row, result)),
        "sparse_loss" => {
            rows.zip(labels).zip(losses).for_each(|((row, &label), loss)| *loss = sparse_loss(row, label));
        }
        "sparse_loss_and_gradient" => rows
            .zip(labels)
            .zip(results)
            .zip(losses)
            .for_each(|(((row, &label), g), loss)| *loss = sparse_loss_and_gradient(row, label, g)),
        "dense_loss_and_gradient" => rows
            .zip(buffers.distributions.par_chunks(classes))
            .zip(results)
            .zip(losses)
            .for_each(|(((row, labels), g), loss)| *loss = dense_loss_and_gradient(row, labels, g)),
        _ => return false,
    }
    true
}

impl Loaded for Buffers {
    fn run(&mut self, operation: &str) -> Result<bool> {
        Ok(run(self, operation))
    }

    fn results(&mut self, operation: &str) -> Result<Vec<Vec<f32>>> {
        run(self, operation);
        Ok(results_in(self, operation))
    }
}
