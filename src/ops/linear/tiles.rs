//! The forward pass in tiles of classes: each tile of logits is made, folded into one value per row, and made over by the
//! next one.
//!
//! Formula: `lse(x w_0, ..., x w_C) = lse(lse(tile 0), lse(tile 1), ...)`, as [`LogSumExp::merge`] has it. Tiles are the
//! same ones whatever the threads and the workspace, those of one span are merged in their order, and then the spans are.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::batch::Batch;
use super::products::COLUMNS;
use super::{Linear, Workspace};
use crate::engine::call::{Call, Inputs, LossWork, Source, Work};
use crate::engine::options::{Outputs, Sums};
use crate::engine::parallel;
use crate::ops::allocate;
use crate::simd::LANES;
use crate::simd::gemm::{MatrixMut, multiply};
use crate::views::labels::{Ignored, RowLabels};
use crate::views::rows::Execution;
use crate::{Error, Labels, LogSumExp, Rows};

/// Rows of a tile, at most: with as many the packing of weights, once for each tile, is a small part of a product, and a tile of
/// 1,024 classes has 2 MB.
const TILE_ROWS: usize = 512;

/// Runs of tiles that threads can share where rows are few.
const SPANS: usize = 8;

/// What is known of some classes of a row.
#[derive(Clone, Copy)]
struct Partial {
    sum: LogSumExp,
    /// The largest logit as it was before a scale or a soft cap, which can make it equal to others.
    given: f32,
}

impl Partial {
    const EMPTY: Self = Self { sum: LogSumExp::EMPTY, given: f32::NEG_INFINITY };

    /// With the classes that follow.
    #[expect(clippy::float_cmp, reason = "the same logit or not")]
    fn merge(self, other: Self) -> Self {
        let mut sum = self.sum.merge(other.sum);
        let ties = self.sum.max == other.sum.max && other.given > self.given;
        if ties {
            sum.argmax = other.sum.argmax;
        }
        let is_other = sum.argmax == other.sum.argmax;
        Self { sum, given: if is_other { other.given } else { self.given } }
    }
}

/// Some rows and some classes, and where what is known of them goes.
struct Item<'a> {
    rows: Range<usize>,
    classes: Range<usize>,
    to: &'a mut [Partial],
}

/// What one thread has.
struct Worker {
    logits: Vec<f32>,
    features: Vec<f32>,
    labels: Vec<i64>,
    sums: Vec<LogSumExp>,
    of_labels: Vec<LogSumExp>,
    result: Result<(), Error>,
}

/// Folds the logits of each row into one value.
pub(super) fn run(
    linear: &Linear<'_>,
    batch: &Batch<'_>,
    workspace: Workspace,
    sums: &mut [LogSumExp],
) -> Result<(), Error> {
    let (rows, classes, features) = (batch.rows, batch.classes, linear.features());
    if rows == 0 {
        return Ok(());
    }
    let tile = classes.min(COLUMNS);
    let copied = if batch.copies(linear.x.values()) { features } else { 0 };
    let span = classes.div_ceil(tile).div_ceil(SPANS) * tile;
    let spans = classes.div_ceil(span);
    let threads = linear.threads(rows);
    // So many that there is something to do for all.
    let shared = if threads == 1 { TILE_ROWS } else { rows.div_ceil((2 * threads).div_ceil(spans)) };
    let fitting = workspace.rows(tile + copied, 1)?;
    let at_once = shared.next_multiple_of(LANES).min(TILE_ROWS).min(fitting).min(rows);
    let items = rows.div_ceil(at_once) * spans;
    let workers = threads.min(items).min(fitting / at_once).max(1);

    let mut partials = allocate(Partial::EMPTY, rows * spans)?;
    let mut all = Vec::new();
    for _ in 0..workers {
        all.push(Worker {
            logits: allocate(0.0, at_once * tile)?,
            features: allocate(0.0, at_once * copied)?,
            labels: allocate(0, at_once)?,
            sums: allocate(LogSumExp::EMPTY, at_once)?,
            of_labels: allocate(LogSumExp::EMPTY, at_once)?,
            result: Ok(()),
        });
    }
    let items = partials.chunks_mut(at_once * spans).enumerate().flat_map(|(block, partials)| {
        let first = block * at_once;
        let len = partials.len() / spans;
        partials.chunks_mut(len).enumerate().map(move |(i, to)| Item {
            rows: first..first + len,
            classes: i * span..((i + 1) * span).min(classes),
            to,
        })
    });
    // The lock is held for as long as it takes to get the next one.
    let items = Mutex::new(items);
    parallel::each(&mut all, workers, &|worker: &mut Worker| {
        let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
        while let Some(item) = next() {
            if let Err(error) = worker.fold(linear, batch, item, tile) {
                worker.result = Err(error);
            }
        }
    });
    all.into_iter().try_for_each(|worker| worker.result)?;
    for (block, sums) in sums.chunks_mut(at_once).enumerate() {
        let partials = &partials[block * at_once * spans..][..sums.len() * spans];
        for (row, sum) in sums.iter_mut().enumerate() {
            let of_row = partials.iter().skip(row).step_by(partials.len() / spans);
            *sum = of_row.copied().fold(Partial::EMPTY, Partial::merge).sum;
        }
    }
    Ok(())
}

impl Worker {
    /// Folds some classes of some rows, tile by tile.
    fn fold(
        &mut self,
        linear: &Linear<'_>,
        batch: &Batch<'_>,
        item: Item<'_>,
        tile: usize,
    ) -> Result<(), Error> {
        let Item { rows, classes, to } = item;
        let x = batch.features(linear.x.values(), rows.clone(), &mut self.features);
        for first in classes.clone().step_by(tile) {
            let classes = first..(first + tile).min(classes.end);
            let logits = &mut self.logits[..rows.len() * classes.len()];
            if let Some(bias) = linear.bias {
                for row in logits.chunks_mut(classes.len()) {
                    row.copy_from_slice(&bias[classes.clone()]);
                }
            }
            let of_classes = linear.weights.part(classes.clone()).transposed();
            let mut product = MatrixMut::new(logits, rows.len(), classes.len());
            multiply(x, of_classes, linear.bias.is_some(), &mut product);
            let logits =
                Rows::of(Rows::new(logits, rows.len(), classes.len())?.values(), linear.x.execution());
            let sums = &mut self.sums[..rows.len()];
            let of_labels = &mut self.of_labels[..rows.len()];
            // A label of another tile is none in this one.
            let labels = &mut self.labels[..rows.len()];
            let mut inside = 0;
            for (to, row) in labels.iter_mut().zip(rows.clone()) {
                let label = batch.label(row).filter(|label| classes.contains(label));
                *to = label.map_or(-1, |label| (label - first).cast_signed() as i64);
                inside += usize::from(label.is_some());
            }
            if inside < rows.len() {
                read(batch, &classes, logits, None, sums)?;
            }
            if inside > 0 {
                read(batch, &classes, logits, Some(labels), of_labels)?;
            }
            for (i, to) in to.iter_mut().enumerate() {
                let mut sum = if labels[i] < 0 { sums[i] } else { of_labels[i] };
                let given = logits.get(i, sum.argmax as usize).unwrap_or(f32::NEG_INFINITY);
                if !sum.is_of_nothing() {
                    sum.argmax = sum.argmax.saturating_add(u32::try_from(first).unwrap_or(u32::MAX));
                }
                *to = to.merge(Partial { sum, given });
            }
        }
        Ok(())
    }
}

/// Reads a tile of logits.
fn read(
    batch: &Batch<'_>,
    classes: &Range<usize>,
    logits: Rows<'_>,
    labels: Option<&[i64]>,
    sums: &mut [LogSumExp],
) -> Result<(), Error> {
    let mut inputs = Inputs::new(Work::Loss(LossWork::default()), Source::Shared(logits.values()));
    inputs.map = batch.loss().map;
    inputs.map.mask = batch.mask(classes.clone());
    if let Some(labels) = labels {
        let labels = Labels::from(labels);
        inputs.labels = Some(RowLabels::new(labels, logits.rows(), logits.classes(), Ignored::One(-1))?);
    }
    let outputs = Outputs { sums: Sums::Save(sums), ..Outputs::default() };
    let serial = Execution { serial: true, ..logits.execution() };
    parallel::run(Call::new(inputs, None, outputs), serial).map(drop)
}
