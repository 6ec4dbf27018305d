//! Calls with next to nothing to do: what is measured is the call.

use std::hint::black_box;

use anyhow::{Result, bail};
use xent::{CrossEntropy, Rows, RowsMut};
use xent_peers::common::operations::{Buffers, Operation};

/// So many calls with buffers of the caller.
pub fn repeat(buffers: &mut Buffers, operation: Operation, calls: u32) -> Result<()> {
    let Buffers { shape, logits, labels, results, row_results: losses, .. } = buffers;
    let entropy = CrossEntropy::new();
    for _ in 0..calls {
        let logits = Rows::new(black_box(&logits[..]), shape.rows, shape.classes)?;
        match operation {
            Operation::SparseLoss => {
                entropy.loss_into(&labels[..], logits, losses)?;
            }
            Operation::SparseLossAndGradient => {
                let gradient = RowsMut::new(results, shape.rows, shape.classes)?;
                entropy.loss_and_gradient_into(&labels[..], logits, losses, gradient)?;
            }
            Operation::Softmax => {
                xent::softmax_into(logits, RowsMut::new(results, shape.rows, shape.classes)?)?;
            }
            Operation::LogSoftmax => {
                xent::log_softmax_into(logits, RowsMut::new(results, shape.rows, shape.classes)?)?;
            }
            _ => bail!("{operation} is not among them"),
        }
    }
    Ok(())
}
