//! How long one exchange takes: 32 bytes a row gathered once, beside the three reductions that are usual.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use mpi::collective::SystemOperation;
use mpi::topology::SimpleCommunicator;
use mpi::traits::CommunicatorCollectives;
use xent::{PartialRow, Rows, Shard};

use crate::{Batch, place, say, vocabulary};

/// How often each is measured; the least time counts, of the slowest rank.
const ROUNDS: usize = 200;
/// Rows of a step in training.
const ROWS: usize = 1024;

pub fn run(world: &SimpleCommunicator, batch: &Batch) -> Result<()> {
    let (_, ranks) = place(world)?;
    let most = batch.classes.div_ceil(Shard::PART).div_ceil(ranks);
    // All but one part of a row have no label.
    let [row] = Shard::new(0, batch.classes)?.partials(&[2_u8], Rows::new(&[0.5, 0.25], 1, 2)?)?[..] else {
        bail!("one row has one value");
    };
    let partials = vec![row; ROWS * most];
    let mut merged = vec![PartialRow::EMPTY; ROWS];
    let gather = least(world, || drop(vocabulary::gather(world, ranks, &partials, &mut merged)));
    let spread = least(world, || drop(vocabulary::merge_some(world, ranks, &partials, &mut merged)));
    let (values, mut reduced) = (vec![1.0_f32; ROWS], vec![0.0_f32; ROWS]);
    let reduce = least(world, || {
        // The largest logit, then the label's logit, then the sum: each needs the one before.
        world.all_reduce_into(&values[..], &mut reduced[..], SystemOperation::max());
        world.all_reduce_into(&values[..], &mut reduced[..], SystemOperation::sum());
        world.all_reduce_into(&values[..], &mut reduced[..], SystemOperation::sum());
    });
    let bytes = size_of::<PartialRow>() * most;
    say(
        world,
        &format!(
            "{ROWS} rows on {ranks} ranks, {bytes} bytes a row: one all-gather and merged {gather:.1?}; all-to-all, merged and \
             gathered {spread:.1?}; three all-reduces of 4 bytes a row {reduce:.1?}"
        ),
    );
    Ok(())
}

fn least(world: &SimpleCommunicator, mut exchange: impl FnMut()) -> Duration {
    let mut least = f64::INFINITY;
    for _ in 0..ROUNDS {
        world.barrier();
        let start = Instant::now();
        exchange();
        let (own, mut slowest) = (start.elapsed().as_secs_f64(), 0.0_f64);
        world.all_reduce_into(&own, &mut slowest, SystemOperation::max());
        least = slowest.min(least);
    }
    Duration::from_secs_f64(least)
}
