//! xent and one peer in turns, after both have shown that they are right.

use anyhow::{Context, Result};

use crate::Folders;
use crate::child::{Child, Start};
use crate::measure::{Runner, take_turns};
use crate::plan::{COMPARED, Kind as Library, Peer, Plan};
use crate::reference::{Input, check};
use crate::results::{Comparison, Kind, Results};
use crate::setup::locked_version;

/// A pair of workers with so many threads.
struct Pair<'a> {
    plan: &'a Plan,
    peer: &'a Peer,
    xent: Child,
    other: Child,
    threads: usize,
}

/// Shows that xent is right on all shapes and numbers of threads.
pub fn check_xent(plan: &Plan, start: &Start, inputs: &[Input], folders: &Folders) -> Result<()> {
    for &threads in &plan.threads {
        let xent = Child::start(start, threads, &folders.target.join("logs/xent.log"))?;
        for input in inputs {
            xent.load(input.shape, &input.folder)?;
            for operation in COMPARED {
                let name = operation.name();
                check(&xent, name, input).with_context(|| format!("xent: {name} {}", input.shape))?;
            }
        }
    }
    Ok(())
}

/// Measures a peer on all shapes and numbers of threads.
pub fn measure(
    plan: &Plan,
    peer: &Peer,
    start: &Start,
    xent: &Start,
    inputs: &[Input],
    folders: &Folders,
    results: &mut Results,
) -> Result<()> {
    for &threads in &plan.threads {
        let log = |name: &str| folders.target.join(format!("logs/{name}-{threads}.log"));
        let xent = Child::start(xent, threads, &log("xent"))?;
        let other = match Child::start(start, threads, &log(peer.name)) {
            Ok(other) => other,
            Err(error) => {
                results.missing(peer.name, &error);
                return Ok(());
            }
        };
        let version = match peer.kind {
            Library::Rust { package, .. } => package.and_then(|package| locked_version(folders, package)),
            Library::Python { .. } => Some(other.version.clone()),
        };
        results.versions.extend(version.map(|version| (peer.name.to_owned(), version)));
        let pair = Pair { plan, peer, xent, other, threads };
        for input in inputs {
            if input.shape.inner > 1 && matches!(peer.kind, Library::Rust { .. }) {
                // They have rows alone.
                continue;
            }
            // A library that ends in the middle does not end the others.
            if let Err(error) = pair.shape(input, results) {
                let shape = input.shape;
                results.problem(format!("{} at {shape} on {threads} threads: {error:#}", peer.name));
                break;
            }
        }
    }
    Ok(())
}

impl Pair<'_> {
    fn shape(&self, input: &Input, results: &mut Results) -> Result<()> {
        self.xent.load(input.shape, &input.folder)?;
        self.other.load(input.shape, &input.folder)?;
        for operation in COMPARED {
            let operation = operation.name();
            match self.compare(operation, input) {
                Ok(None) => {}
                Ok(Some(comparison)) => results.add(comparison),
                Err(error) => results.problem(format!(
                    "{} {operation} {} on {} threads: {error:#}",
                    self.peer.name, input.shape, self.threads
                )),
            }
        }
        self.other.unload()?;
        self.xent.unload()
    }

    /// `None` where the peer does not offer the operation.
    fn compare(&self, operation: &str, input: &Input) -> Result<Option<Comparison>> {
        if !check(&self.other, operation, input)? {
            return Ok(None);
        }
        let runner =
            |name: &str, child| Runner { name: name.to_owned(), child, operation: operation.to_owned() };
        let runners = [runner("xent", &self.xent), runner(self.peer.name, &self.other)];
        let entrants = take_turns(&runners, input.shape, self.threads, self.plan.turns)?;
        Ok(Some(Comparison {
            kind: Kind::Peer,
            operation: operation.to_owned(),
            rows: input.shape.rows,
            classes: input.shape.classes,
            inner: input.shape.inner,
            threads: self.threads,
            entrants,
        }))
    }
}
