//! What calls of a linear classifier take: the pages of a process of its own at most, beyond those before the call.

use std::path::Path;

use anyhow::Result;
use xent_peers::common::linear::{Problem, Size};
use xent_peers::files;

use super::reference::Input;
use super::{Best, OPERATIONS, Place, losses};
use crate::child::{Child, Start};
use crate::results::{Memory, Results};

/// What a library needs for its first calls of all is no part of a call.
const FIRST: Size = Size { rows: 64, classes: 64, features: 64 };

/// Measures xent and its peers at one size, these with the chunks that were the best.
pub fn measure(input: &Input, best: &Best, place: &Place<'_>, results: &mut Results) -> Result<()> {
    let folder = place.folders.target.join("inputs/linear-first");
    files::write_problem(&folder, &Problem::new(FIRST))?;
    let threads = place.plan.threads.iter().copied().max().unwrap_or(1);
    let Size { rows, classes, features } = input.size;
    let new = |operation: &str| {
        let (operation, entrants) = (operation.to_owned(), Vec::new());
        Memory { operation, rows, classes, features, threads, entrants }
    };
    let mut all = OPERATIONS.map(new);
    for (name, start) in place.processes() {
        let log = place.folders.target.join(format!("logs/memory-{name}.log"));
        let measured = process((name, start), threads, &log, &folder, input, best, &mut all);
        if let Err(error) = measured {
            results.problem(format!("memory of {name} at {}: {error:#}", input.size));
        }
    }
    for memory in &all {
        print!("memory of {} {}:", memory.operation, input.size);
        memory
            .entrants
            .iter()
            .for_each(|(name, bytes)| print!("  {name} {:.1} MiB", bytes / 1024.0 / 1024.0));
        println!();
    }
    results.memory.extend(all);
    Ok(())
}

/// Measures all that one library has in a new process.
fn process(
    (name, start): (&str, &Start),
    threads: usize,
    log: &Path,
    first: &Path,
    input: &Input,
    best: &Best,
    all: &mut [Memory],
) -> Result<()> {
    let child = Child::start_returning(start, threads, log)?;
    for (size, folder) in [(FIRST, first), (input.size, &input.folder)] {
        if !child.load_linear(size, folder)? {
            return Ok(());
        }
        for memory in &mut *all {
            for (name, operation) in losses(name, &memory.operation, best) {
                let bytes = child.memory(&operation)?;
                memory.entrants.extend(bytes.filter(|_| size == input.size).map(|bytes| (name, bytes)));
            }
        }
    }
    Ok(())
}
