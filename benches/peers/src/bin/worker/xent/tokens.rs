//! What a server reads of each row: so many of the largest logits, the chosen token and its rank, the entropy. What is
//! wanted is named by `COUNT@BACKEND`, or `by_hand`.

use anyhow::{Context, Result};
use rayon::prelude::*;
use xent::{Rows, TokenLogProbs, TokenOutputs};
use xent_peers::common::operations::Buffers;
use xent_peers::common::tokens::top_by_heap;

/// As many as servers are asked for at most.
const BY_HAND: usize = 20;

/// Room for all that is read.
#[derive(Default)]
pub struct Tokens {
    chosen: Vec<f32>,
    above: Vec<u32>,
    equal: Vec<u32>,
    entropy: Vec<f32>,
    ids: Vec<u32>,
    top: Vec<f32>,
    by_hand: Vec<Vec<(usize, f32)>>,
}

impl Tokens {
    /// One call.
    pub fn run(&mut self, buffers: &Buffers, wanted: &str) -> Result<()> {
        let Buffers { shape, logits, labels, .. } = buffers;
        if wanted == "by_hand" {
            let rows = logits.par_chunks(shape.classes);
            rows.map(|row| top_by_heap(row, BY_HAND)).collect_into_vec(&mut self.by_hand);
            return Ok(());
        }
        let (count, backend) = wanted.split_once('@').context("a count and a backend")?;
        let (rows, count): (usize, usize) = (shape.rows, count.parse()?);
        for values in [&mut self.chosen, &mut self.entropy] {
            values.resize(rows, 0.0);
        }
        for counts in [&mut self.above, &mut self.equal] {
            counts.resize(rows, 0);
        }
        self.ids.resize(rows * count, 0);
        self.top.resize(rows * count, 0.0);
        self.by_hand.clear();
        let outputs = TokenOutputs::new()
            .chosen(labels, &mut self.chosen)
            .rank(&mut self.above, &mut self.equal)
            .top(count, &mut self.ids, &mut self.top)
            .entropy(&mut self.entropy);
        let logits = Rows::new(logits, rows, shape.classes)?.with_backend(backend.parse()?);
        TokenLogProbs::new().read_into(logits, outputs)?;
        Ok(())
    }

    /// The largest and who they are, then log-probability, rank as vLLM counts it and entropy of each row; by hand, the
    /// first two alone.
    pub fn results(&self) -> Vec<Vec<f32>> {
        if !self.by_hand.is_empty() {
            let all = || self.by_hand.iter().flatten();
            return vec![all().map(|&(_, x)| x).collect(), all().map(|&(id, _)| id as f32).collect()];
        }
        let ranks = self.above.iter().zip(&self.equal).map(|(above, equal)| (above + equal) as f32);
        let ids = self.ids.iter().map(|&id| id as f32).collect();
        vec![self.top.clone(), ids, self.chosen.clone(), ranks.collect(), self.entropy.clone()]
    }
}
