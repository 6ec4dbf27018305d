//! Rows in chunks, with all of their logits: what gradients are made of, and losses that need whole rows.
//!
//! With `G` for the gradient with respect to the logits `x W^T + b`, those of the inputs are `G W`, `G^T x` and the sums of
//! the columns of `G`.

use std::ops::Range;

use super::batch::Batch;
use super::products::{Product, Start};
use super::{Linear, LinearGradients, Workspace};
use crate::engine::call::{Call, Source};
use crate::engine::options::{Outputs, Sums};
use crate::engine::parallel;
use crate::engine::total::Total;
use crate::numbers::factor::narrow;
use crate::simd::gemm::{Matrix, MatrixMut};
use crate::simd::strided::StridedMut;
use crate::{Error, RowsMut};

/// Rows whose gradients of weights are added up before they are added to those of others: as many as the products take at
/// once. There are fewer where 64 MiB do not hold their logits.
const BLOCK: usize = 256;

/// Logits and features of a block, at most: as many as the workspace holds that calls have by themselves.
const BLOCK_VALUES: usize = 16 << 20;

/// Classes of a bias whose gradients are added up at once.
const BIASES: usize = 64;

/// A gradient of a matrix: where it goes, and whether it is added to what is there.
pub(super) struct Gradient<T> {
    pub(super) to: T,
    pub(super) adds: bool,
}

/// What a call writes for each row that counts.
pub(super) struct PerRow<'a> {
    pub(super) losses: &'a mut [f32],
    pub(super) sums: Sums<'a>,
}

/// The rows of a block, for so many classes and features: whatever the workspace and the threads, and whether features are
/// copied.
fn block_of(classes: usize, features: usize) -> usize {
    let fitting = (BLOCK_VALUES / (classes + features)).max(1);
    BLOCK.min(1 << fitting.ilog2())
}

/// Works off all rows, and gives the sum of their losses. Weights have a gradient of `l2_slope` times themselves.
pub(super) fn run(
    linear: &Linear<'_>,
    batch: &Batch<'_>,
    workspace: Workspace,
    mut per_row: PerRow<'_>,
    l2_slope: f64,
    gradients: LinearGradients<'_>,
) -> Result<Total, Error> {
    let (rows, classes, features) = (batch.rows, batch.classes, linear.features());
    let LinearGradients { x: mut of_x, weights: of_weights, bias: mut of_bias } = gradients;
    let (x, execution) = (linear.x.values(), linear.x.execution());
    // Straight into the view where nothing is left out and nothing is added up.
    let direct = of_x
        .as_ref()
        .is_some_and(|of_x| batch.is_whole() && !of_x.adds && Matrix::of(of_x.to.share()).is_some());
    let copied = if batch.copies(x) || (of_x.is_some() && !direct) { features } else { 0 };
    // Without sums over rows any number of them will do.
    let block = if of_weights.is_some() || of_bias.is_some() { block_of(classes, features) } else { 1 };
    let fitting = workspace.rows(classes + copied, block.min(rows))?;
    let wanted = fitting.min(BLOCK * linear.threads(rows));
    let at_once = (wanted / block * block).max(block).min(rows);
    let mut kept = workspace.take(at_once * (classes + copied))?;
    let (logits, room) = kept.values.split_at_mut(at_once * classes);

    let mut of_weights = of_weights.and_then(|gradient| start(gradient, &linear.weights, l2_slope, rows));
    if let Some(Gradient { to, adds: false }) = &mut of_bias {
        to.fill(0.0);
    }
    if let (Some(Gradient { to, adds: false }), false) = (&mut of_x, batch.is_whole()) {
        // Of the rows that do not count.
        for row in 0..to.layout().rows {
            (0..features).for_each(|feature| to.set(row, feature, 0.0));
        }
    }
    let mut total = Total::default();
    for first in (0..rows).step_by(at_once.max(1)) {
        let chunk = first..(first + at_once).min(rows);
        let logits = &mut logits[..chunk.len() * classes];
        let x = batch.features(x, chunk.clone(), &mut *room);
        let start = linear.bias.map_or(Start::Zero, Start::Bias);
        let to = MatrixMut::new(logits, chunk.len(), classes);
        Product { a: x, b: linear.weights.transposed(), start, to }.run(execution);
        let writes = of_x.is_some() || of_weights.is_some() || of_bias.is_some();
        let values = RowsMut::new(logits, chunk.len(), classes)?.into_values();
        let source = if writes { Source::Over(values) } else { Source::Shared(values.share()) };
        let outputs = per_row.part(chunk.clone());
        let call = Call::new(batch.inputs(chunk.clone(), source)?, None, outputs);
        total = total.merge(parallel::run(call, execution)?);

        let of_logits = Matrix::new(logits, chunk.len(), classes);
        for first in (0..chunk.len()).step_by(block) {
            let block = first..(first + block).min(chunk.len());
            if let Some(Gradient { to, adds }) = &mut of_weights {
                let start = if *adds { Start::There } else { Start::Zero };
                let (a, b) = (of_logits.part(block.clone()).transposed(), x.part(block.clone()));
                Product { a, b, start, to: to.reborrow() }.run(execution);
                *adds = true;
            }
            if let Some(Gradient { to, .. }) = &mut of_bias {
                add_rows(&logits[block.start * classes..block.end * classes], to);
            }
        }
        let Some(of_x) = &mut of_x else { continue };
        let whole = if direct { MatrixMut::of(of_x.to.reborrow()) } else { None };
        if let Some(whole) = whole {
            let to = whole.split_at(chunk.end).0.split_at(chunk.start).1;
            Product { a: of_logits, b: linear.weights, start: Start::Zero, to }.run(execution);
        } else {
            let room = &mut room[..chunk.len() * features];
            let to = MatrixMut::new(room, chunk.len(), features);
            Product { a: of_logits, b: linear.weights, start: Start::Zero, to }.run(execution);
            put_back(batch, chunk, room, of_x);
        }
    }
    Ok(total)
}

impl PerRow<'_> {
    /// What some of the rows have.
    fn part(&mut self, rows: Range<usize>) -> Outputs<'_> {
        let sums = match &mut self.sums {
            Sums::Discard => Sums::Discard,
            Sums::Save(sums) => Sums::Save(&mut sums[rows.clone()]),
            Sums::Saved(sums) => Sums::Saved(&sums[rows.clone()]),
            Sums::Merged(merged) => Sums::Merged(&merged[rows.clone()]),
        };
        let losses = if self.losses.is_empty() { &mut [] } else { &mut self.losses[rows] };
        Outputs { losses, sums, ..Outputs::default() }
    }
}

/// The gradient of the weights before that of any row is added.
fn start<'a>(
    gradient: Gradient<StridedMut<'a>>,
    weights: &Matrix<'_>,
    slope: f64,
    rows: usize,
) -> Option<Gradient<MatrixMut<'a>>> {
    let Gradient { to, adds } = gradient;
    let mut to = MatrixMut::of(to)?;
    if slope != 0.0 {
        to.change(|class, feature, there| {
            let own = slope * f64::from(weights.get(class, feature));
            narrow(if adds { f64::from(there) + own } else { own })
        });
    } else if !adds && rows == 0 {
        to.change(|_, _, _| 0.0);
    }
    Some(Gradient { to, adds: adds || slope != 0.0 || rows == 0 })
}

/// Adds the sums of columns to a bias's gradient, each rounded once.
fn add_rows(rows: &[f32], to: &mut [f32]) {
    let classes = to.len();
    for (i, to) in to.chunks_mut(BIASES).enumerate() {
        let mut sums = [0.0_f64; BIASES];
        for row in rows.chunks(classes) {
            for (sum, value) in sums.iter_mut().zip(&row[i * BIASES..][..to.len()]) {
                *sum += f64::from(*value);
            }
        }
        for (to, sum) in to.iter_mut().zip(sums) {
            *to = narrow(f64::from(*to) + sum);
        }
    }
}

/// Writes the gradients of features where those of their rows are.
fn put_back(batch: &Batch<'_>, rows: Range<usize>, from: &[f32], of_x: &mut Gradient<StridedMut<'_>>) {
    let Gradient { to, adds } = of_x;
    for (row, from) in rows.clone().zip(from.chunks(to.layout().classes)) {
        if !batch.counts(row) {
            continue;
        }
        let row = batch.row(row);
        for (feature, value) in from.iter().enumerate() {
            let there = if *adds { to.share().get(row, feature) } else { 0.0 };
            to.set(row, feature, there + value);
        }
    }
}
