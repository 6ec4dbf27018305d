//! What a library must provide to be measured.

use std::time::Instant;

use anyhow::Result;
use xent_peers::common::linear::Problem;
use xent_peers::common::operations::Buffers;
use xent_peers::common::shape::Shape;

/// A library.
pub trait Peer: Sync {
    fn version(&self) -> String;

    /// Takes inputs over, in whatever form the library wants them.
    fn load(&self, inputs: Buffers, threads: usize) -> Result<Box<dyn Loaded>>;

    /// The same with inputs that are made here.
    fn generate(&self, shape: Shape, threads: usize) -> Result<Box<dyn Loaded>> {
        self.load(Buffers::new(shape), threads)
    }

    /// Takes over a linear classifier; `None` where the library has no loss of one.
    fn load_linear(&self, _: Problem, _threads: usize) -> Option<Box<dyn Loaded>> {
        None
    }
}

/// A library with inputs.
pub trait Loaded {
    /// One call; `false` where the library has no such operation.
    fn run(&mut self, operation: &str) -> Result<bool>;

    /// What a call gives: losses (one for each row, or their mean), a matrix, or losses and a matrix.
    /// The operation is one that [`run`](Self::run) knows.
    fn results(&mut self, operation: &str) -> Result<Vec<Vec<f32>>>;

    /// Seconds for so many calls; `None` where the library has no such operation.
    fn time(&mut self, operation: &str, calls: u32) -> Result<Option<f64>> {
        // Not timed: another process had the caches, and its threads may still spin.
        for _ in 0..calls / 8 {
            self.run(operation)?;
        }
        let start = Instant::now();
        for _ in 0..calls {
            if !self.run(operation)? {
                return Ok(None);
            }
        }
        Ok(Some(start.elapsed().as_secs_f64()))
    }
}

/// The results of an operation, out of buffers that have room for those of all.
pub fn results_in(buffers: &Buffers, operation: &str) -> Vec<Vec<f32>> {
    let (losses, matrix) = (buffers.row_results.clone(), buffers.results.clone());
    match (operation.contains("loss"), operation.contains("softmax") || operation.contains("gradient")) {
        (true, true) => vec![losses, matrix],
        (true, false) => vec![losses],
        _ => vec![matrix],
    }
}
