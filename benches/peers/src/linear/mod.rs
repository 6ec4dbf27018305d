//! The loss of a linear classifier and its gradients, beside the products that they are made of and beside other
//! libraries, after each has shown that it is right.

mod memory;
mod reference;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use crate::Folders;
use crate::child::{Child, Start};
use crate::measure::Runner;
use crate::plan::{Peer, Plan};
use crate::results::{Comparison, Results};
use crate::team::Team;
use reference::Input;

pub const OPERATIONS: [&str; 2] = ["forward", "gradients"];

/// The products alone, and for a forward pass the loss of logits in cache, which comes on top.
fn limits(operation: &str) -> &'static [&'static str] {
    match operation {
        "forward" => &["product", "loss_in_cache"],
        _ => &["three_products"],
    }
}

/// Rows of a chunk, of which the best are found for each size.
const CHUNKS: [usize; 4] = [64, 128, 256, 1024];

/// The best chunks of a peer for an operation.
type Best = BTreeMap<(String, String), usize>;

/// What all sizes have in common.
pub struct Place<'a> {
    pub plan: &'a Plan,
    pub xent: &'a Start,
    pub peers: Vec<&'a (&'a Peer, Start)>,
    pub folders: &'a Folders,
}

impl<'a> Place<'a> {
    /// Everyone, by name.
    fn processes(&self) -> impl Iterator<Item = (&'a str, &'a Start)> {
        let peers = self.peers.iter().map(|(peer, start)| (peer.name, start));
        [("xent", self.xent)].into_iter().chain(peers)
    }
}

/// Measures times at all sizes and on all numbers of threads, and memory at all sizes.
pub fn measure(place: &Place<'_>, results: &mut Results) -> Result<()> {
    let &Place { plan, xent, folders, .. } = place;
    let start =
        |&threads| Team::start("linear", xent, place.peers.iter().copied(), threads, folders, results);
    let teams = plan.threads.iter().map(start);
    let mut teams = teams.collect::<Result<Vec<_>>>()?;
    for &size in &plan.linear {
        let input = Input::prepare(size, &folders.target)?;
        let mut best = Best::new();
        for team in &mut teams {
            best = times(team, &input, plan, results)?;
        }
        memory::measure(&input, &best, place, results)?;
    }
    Ok(())
}

/// All operations at one size; the best chunks.
fn times(team: &mut Team<'_>, input: &Input, plan: &Plan, results: &mut Results) -> Result<Best> {
    let size = input.size;
    let offered = team.xent.load_linear(size, &input.folder)?;
    ensure!(offered, "this worker has no linear classifiers");
    // Who has none of them offers no operation either.
    let load = |_: &Peer, child: &Child| child.load_linear(size, &input.folder).map(drop);
    team.load(&size.to_string(), load, results);
    let mut best = Best::new();
    for operation in OPERATIONS {
        input.check(&team.xent, operation).with_context(|| format!("{operation} {size}"))?;
        let limits = limits(operation).iter().map(|&name| (name, name));
        let own = [("xent", operation)].into_iter().chain(limits);
        let mut runners: Vec<Runner<'_>> =
            own.map(|(name, operation)| team.own(name.to_owned(), operation.to_owned())).collect();
        for (peer, child) in &team.peers {
            if let Some(rows) = best_chunks(child, operation, size.rows) {
                best.insert((peer.name.to_owned(), operation.to_owned()), rows);
            }
            for (name, operation) in losses(peer.name, operation, &best) {
                match input.check(child, &operation) {
                    Ok(true) => runners.push(Runner { name, child, operation }),
                    Ok(false) => {}
                    Err(error) => {
                        let threads = team.threads;
                        results.problem(format!("{name} {operation} {size} on {threads} threads: {error:#}"));
                    }
                }
            }
        }
        let what = format!("{operation} at {size}");
        let entrants = team.take_turns(runners, 1.0, plan.turns, &what, results)?;
        results.add(Comparison::linear(operation, size, team.threads, entrants));
    }
    team.unload()?;
    Ok(best)
}

/// The losses that a library may have: what they are called in the results, and by its worker.
fn losses(library: &str, operation: &str, best: &Best) -> Vec<(String, String)> {
    if library == "xent" {
        return vec![(library.to_owned(), operation.to_owned())];
    }
    let mut losses = vec![
        (library.to_owned(), format!("{operation}:composed")),
        (format!("{library} chunked"), format!("{operation}:chunked")),
    ];
    if let Some(rows) = best.get(&(library.to_owned(), operation.to_owned())) {
        losses.push((format!("{library} chunks of {rows}"), format!("{operation}:chunks_{rows}")));
    }
    losses
}

/// The rows of a chunk that take the least time, the better of two calls each; `None` where there are no chunks.
fn best_chunks(child: &Child, operation: &str, rows: usize) -> Option<usize> {
    let time = |chunk: usize| {
        let name = format!("{operation}:chunks_{chunk}");
        let times = [(); 2].map(|()| child.time(&name, 1).unwrap_or(f64::INFINITY));
        times[0].min(times[1])
    };
    let times = CHUNKS.into_iter().filter(|&chunk| chunk <= rows).map(|chunk| (chunk, time(chunk)));
    times.filter(|(_, time)| time.is_finite()).min_by(|a, b| a.1.total_cmp(&b.1)).map(|(chunk, _)| chunk)
}
