//! `rten-vecmath`: softmax and log-softmax of one row; rayon over the rows is ours.

use std::mem::MaybeUninit;

use anyhow::Result;
use rayon::prelude::*;
use rten_simd::SimdOp;
use rten_vecmath::{LogSoftmax, Softmax};
use xent_peers::common::operations::Buffers;

use crate::peer::{Loaded, Peer};

pub struct Rten;

impl Peer for Rten {
    fn version(&self) -> String {
        "0.27".into()
    }

    fn load(&self, inputs: Buffers, _: usize) -> Result<Box<dyn Loaded>> {
        let results = vec![MaybeUninit::uninit(); inputs.shape.logits()];
        Ok(Box::new(Ready { inputs, results }))
    }
}

struct Ready {
    inputs: Buffers,
    results: Vec<MaybeUninit<f32>>,
}

impl Ready {
    /// Runs over all rows and hands each result to `see`.
    fn each_row(&mut self, operation: &str, see: impl Fn(usize, &[f32]) + Send + Sync) -> bool {
        let classes = self.inputs.shape.classes;
        let rows = self.inputs.logits.par_chunks(classes).zip(self.results.par_chunks_mut(classes));
        let rows = rows.enumerate();
        match operation {
            "softmax" => rows.for_each(|(row, (x, y))| see(row, Softmax::new(x, y).dispatch())),
            "log_softmax" => rows.for_each(|(row, (x, y))| see(row, LogSoftmax::new(x, y).dispatch())),
            _ => return false,
        }
        true
    }
}

impl Loaded for Ready {
    fn run(&mut self, operation: &str) -> Result<bool> {
        Ok(self.each_row(operation, |_, _| ()))
    }

    fn results(&mut self, operation: &str) -> Result<Vec<Vec<f32>>> {
        let rows = std::sync::Mutex::new(vec![Vec::new(); self.inputs.shape.rows]);
        self.each_row(operation, |row, result| {
            rows.lock().expect("no thread panics")[row] = result.to_vec();
        });
        Ok(vec![rows.into_inner()?.concat()])
    }
}
