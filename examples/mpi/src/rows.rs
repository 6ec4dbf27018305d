//! Rows on several ranks, as in data-parallel training: a mean over all of them, and its gradient.

use anyhow::{Result, ensure};
use mpi::collective::SystemOperation;
use mpi::topology::SimpleCommunicator;
use mpi::traits::CommunicatorCollectives;
use xent::{CrossEntropy, Denominator, Reduction, Rows};

use crate::{Batch, IGNORED, place, same_bits, say};

/// Each rank has some of the rows. The number of those that count is added up first, so that each rank's loss and gradient are
/// already its part of the mean's.
pub fn run(world: &SimpleCommunicator, batch: &Batch) -> Result<()> {
    let (rank, ranks) = place(world)?;
    let cut = |rank: usize| batch.rows * rank / ranks;
    let (own, classes) = (cut(rank)..cut(rank + 1), batch.classes);
    let labels = &batch.labels[own.clone()];
    let logits = Rows::new(&batch.logits[own.start * classes..own.end * classes], own.len(), classes)?;

    let counted = labels.iter().filter(|label| **label != IGNORED).count() as u64;
    let mut total = 0_u64;
    world.all_reduce_into(&counted, &mut total, SystemOperation::sum());
    #[expect(clippy::cast_precision_loss, reason = "a number of rows")]
    let denominator = Denominator::Given(total as f64);
    let mean =
        CrossEntropy::new().ignore_index(IGNORED).reduction(Reduction::Mean).denominator(denominator)?;
    let (loss, gradient) = mean.loss_and_gradient(labels, logits)?;
    let mut value = 0.0_f64;
    world.all_reduce_into(&f64::from(loss.summary.value), &mut value, SystemOperation::sum());

    let whole = Rows::new(&batch.logits, batch.rows, classes)?;
    let plain = CrossEntropy::new().ignore_index(IGNORED).reduction(Reduction::Mean);
    let (expected, of_all) = plain.loss_and_gradient(&batch.labels, whole)?;
    ensure!(same_bits(&loss.rows, &expected.rows[own.clone()]), "losses are not those of one machine");
    ensure!(
        same_bits(&gradient, &of_all[own.start * classes..own.end * classes]),
        "gradients are not those of one machine"
    );
    // Each rank's part of the mean has been rounded to f32.
    let off = (value - f64::from(expected.summary.value)).abs();
    ensure!(off <= 1e-6 * value, "a mean of {value} is not {}", expected.summary.value);
    say(world, &format!("mean over {total} rows on {ranks} ranks {value:.6}"));
    Ok(())
}
