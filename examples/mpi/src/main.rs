//! The loss of a language model's head whose vocabulary lies on several ranks of MPI, bit for bit that of one machine; and one of
//! rows that lie on several ranks.
//!
//! ```sh
//! cargo build --release --manifest-path examples/mpi/Cargo.toml --target-dir target
//! mpirun -n 4 target/release/xent-mpi
//! ```

mod rows;
mod times;
mod vocabulary;

use anyhow::{Result, ensure};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};

/// A batch that every rank could hold, so that each can compare.
struct Batch {
    rows: usize,
    classes: usize,
    labels: Vec<i64>,
    logits: Vec<f32>,
}

/// Padding.
const IGNORED: i64 = -100;

impl Batch {
    /// The same on all ranks.
    fn new(rows: usize, classes: usize) -> Self {
        let mut rng = fastrand::Rng::with_seed(18);
        let logits = (0..rows * classes).map(|_| rng.f32() * 12.0 - 6.0).collect();
        let label =
            |row: usize| if row % 9 == 8 { IGNORED } else { ((row * 7919) % classes).cast_signed() as i64 };
        Self { rows, classes, labels: (0..rows).map(label).collect(), logits }
    }
}

fn main() -> Result<()> {
    let universe = mpi::initialize().ok_or_else(|| anyhow::anyhow!("MPI is initialised already"))?;
    let world = universe.world();
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let rows = numbers.next().unwrap_or(Ok(64))?;
    // That of Llama 3: seven parts of 16,384, and one of 13,568.
    let classes = numbers.next().unwrap_or(Ok(128_256))?;
    ensure!(rows > 0 && classes > 0, "{rows} rows of {classes} classes: expected some");
    let batch = Batch::new(rows, classes);
    let outcome = vocabulary::run(&world, &batch)
        .and_then(|()| rows::run(&world, &batch))
        .and_then(|()| times::run(&world, &batch));
    // Nobody waits for a rank that has failed.
    if let Err(error) = outcome {
        eprintln!("rank {}: {error:#}", world.rank());
        world.abort(1);
    }
    world.barrier();
    Ok(())
}

/// This rank, and how many there are.
fn place(world: &SimpleCommunicator) -> Result<(usize, usize)> {
    Ok((usize::try_from(world.rank())?, usize::try_from(world.size())?))
}

/// Prints a line, once.
fn say(world: &SimpleCommunicator, line: &str) {
    if world.rank() == 0 {
        println!("{line}");
    }
}

/// Whether all values are the same ones.
fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// A number that any other bit changes (FNV-1a).
fn fingerprint(values: &[f32]) -> u64 {
    let bytes = values.iter().flat_map(|value| value.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
