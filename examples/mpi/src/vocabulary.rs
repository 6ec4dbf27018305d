//! Classes on several ranks: one collective of 32 bytes per row and part.

use std::ops::Range;

use anyhow::{Result, ensure};
use bytemuck::{cast_slice, cast_slice_mut};
use mpi::topology::SimpleCommunicator;
use mpi::traits::CommunicatorCollectives;
use xent::{CrossEntropy, PartialRow, Rows, Shard};

use crate::{Batch, IGNORED, fingerprint, place, same_bits, say};

/// The classes of a rank: whole parts of 16,384, as evenly as they go. A rank for which there is no part has none.
pub fn classes_of(rank: usize, ranks: usize, classes: usize) -> Range<usize> {
    let parts = Shard::parts(classes);
    let cut = |rank: usize| (parts * rank).div_ceil(ranks).saturating_mul(Shard::PART).min(classes);
    cut(rank)..cut(rank + 1)
}

/// The logits of some classes of all rows, as a rank has them.
pub fn columns(batch: &Batch, classes: &Range<usize>) -> Vec<f32> {
    batch.logits.chunks(batch.classes).flat_map(|row| &row[classes.clone()]).copied().collect()
}

/// The loss of all ranks, and the gradient of each rank's classes, against those of one machine.
pub fn run(world: &SimpleCommunicator, batch: &Batch) -> Result<()> {
    let (rank, ranks) = place(world)?;
    let classes = classes_of(rank, ranks, batch.classes);
    let own = columns(batch, &classes);
    let loss = CrossEntropy::new().ignore_index(IGNORED).z_loss(1e-4)?;
    let shard = Shard::new(classes.start, batch.classes)?.with_loss(loss)?;

    // What this rank knows: as many values per row as the rank with the most classes has parts of 16,384.
    let most = (0..ranks).map(|rank| classes_of(rank, ranks, batch.classes).len()).max().unwrap_or(0);
    let mut partials = vec![PartialRow::EMPTY; batch.rows * Shard::parts(most)];
    if !classes.is_empty() {
        let logits = Rows::new(&own, batch.rows, classes.len())?;
        shard.partials_into(&batch.labels, logits, &mut partials)?;
    }
    // The only message.
    let mut gathered = vec![PartialRow::EMPTY; partials.len() * ranks];
    let words: &[u64] = cast_slice(&partials);
    world.all_gather_into(words, cast_slice_mut::<_, u64>(&mut gathered));
    let mut merged = vec![PartialRow::EMPTY; batch.rows];
    Shard::merge(&gathered, &mut merged)?;
    let sharded = shard.losses(&batch.labels, &merged)?;

    // As one machine has it, which a rank of a real run could not.
    let whole = Rows::new(&batch.logits, batch.rows, batch.classes)?;
    let (expected, of_all) = loss.loss_and_gradient(&batch.labels, whole)?;
    ensure!(same_bits(&sharded.rows, &expected.rows), "losses are not those of one machine");
    ensure!(sharded.summary == expected.summary, "{:?} is not {:?}", sharded.summary, expected.summary);
    if !classes.is_empty() {
        let gradient = shard.gradient(&batch.labels, Rows::new(&own, batch.rows, classes.len())?, &merged)?;
        for (own, all) in gradient.chunks(classes.len()).zip(of_all.chunks(batch.classes)) {
            ensure!(same_bits(own, &all[classes.clone()]), "gradients are not those of one machine");
        }
    }
    say(world, &format!("{} rows of {} classes on {ranks} ranks", batch.rows, batch.classes));
    say(world, &format!("sum of losses {}, bits {:016x}", sharded.summary.value, fingerprint(&sharded.rows)));
    Ok(())
}
