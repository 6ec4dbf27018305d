//! Classes that come first, by hand: the logits are turned into rows, the rows computed, the results turned back.

use anyhow::{Result, bail};
use rayon::prelude::*;
use xent::{Backend, CrossEntropy, Rows, RowsMut};
use xent_peers::common::operations::{Buffers, Operation};
use xent_peers::common::shape::Shape;

/// Rows and columns that are turned at once, within L1.
const BLOCK: usize = 16;

/// Room for the rows and their results.
pub struct Turned {
    logits: Vec<f32>,
    results: Vec<f32>,
}

impl Turned {
    pub fn new(shape: Shape) -> Self {
        Self { logits: vec![0.0; shape.logits()], results: vec![0.0; shape.logits()] }
    }

    pub fn run(&mut self, buffers: &mut Buffers, operation: Operation, backend: Backend) -> Result<()> {
        let Shape { rows, classes, .. } = buffers.shape;
        if buffers.shape.axes()[0] != 1 {
            bail!("classes are not the first axis");
        }
        transpose(&buffers.logits, [classes, rows], &mut self.logits);
        let logits = Rows::new(&self.logits, rows, classes)?.with_backend(backend);
        let results = RowsMut::new(&mut self.results, rows, classes)?.with_backend(backend);
        let (labels, losses) = (&buffers.labels[..], &mut buffers.row_results);
        match operation {
            Operation::SparseLoss => {
                CrossEntropy::new().loss_into(labels, logits, losses)?;
                return Ok(());
            }
            Operation::SparseLossAndGradient => {
                CrossEntropy::new().loss_and_gradient_into(labels, logits, losses, results)?;
            }
            Operation::Softmax => xent::softmax_into(logits, results)?,
            Operation::LogSoftmax => xent::log_softmax_into(logits, results)?,
            _ => bail!("{operation} is not among them"),
        }
        transpose(&self.results, [rows, classes], &mut buffers.results);
        Ok(())
    }
}

/// Turns `rows x columns` values, block by block, on all threads.
fn transpose(from: &[f32], [rows, columns]: [usize; 2], to: &mut [f32]) {
    to.par_chunks_mut(BLOCK * rows).enumerate().for_each(|(index, to)| {
        let first = index * BLOCK;
        let width = to.len() / rows;
        for above in (0..rows).step_by(BLOCK) {
            let height = BLOCK.min(rows - above);
            for column in 0..width {
                for row in above..above + height {
                    to[column * rows + row] = from[row * columns + first + column];
                }
            }
        }
    });
}
