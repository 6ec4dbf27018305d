//! How long one exchange takes: 32 bytes a row gathered once, beside the three reductions that are usual.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bytemuck::{cast_slice, cast_slice_mut};
use mpi::collective::SystemOperation;
use mpi::topology::SimpleCommunicator;
use mpi::traits::CommunicatorCollectives;
use xent::{PartialRow, Rows, Shard};

use crate::{Batch, place, say};

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
    let mut gathered = vec![PartialRow::EMPTY; partials.len() * ranks];
    let mut merged = vec![PartialRow::EMPTY; ROWS];
    let gather = least(world, || {
        world.all_gather_into(cast_slice::<_, u64>(&partials), cast_slice_mut::<_, u64>(&mut gathered));
    });
    let merge = least(world, || drop(Shard::merge(&gathered, &mut merged)));
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
            "{ROWS} rows on {ranks} ranks: one all-gather of {bytes} bytes a row {gather:.1?}, and merged in {merge:.1?}; \
             three all-reduces of 4 bytes a row {reduce:.1?}"
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
