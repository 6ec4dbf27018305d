//! Operations of xent in turns with the bound, with the limits of the machine, and with all peers, after each has shown
//! that it is right.

use anyhow::{Context, Result};
use xent_peers::common::operations::Operation;
use xent_peers::common::shape::Shape;

use crate::Folders;
use crate::child::{Child, Start};
use crate::measure::Runner;
use crate::plan::{COMPARED, Kind as Library, Peer, Plan};
use crate::reference::{Input, check};
use crate::results::{Comparison, Kind, Results};
use crate::team::Team;

/// Both forms of the bound, and what they are called in the results.
const BOUNDS: [(&str, &str); 2] = [("bound", "bound"), ("turns", "bound in turns")];

/// The limits of each operation: what moves the same bytes.
fn limits(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::SparseLoss => &["read", "read_regions"],
        Operation::SoftmaxInPlace => &["scale"],
        Operation::DenseLossAndGradient => &["add"],
        _ => &["copy", "copy_non_temporal"],
    }
}

/// Logits of a large batch.
const LARGE: usize = 10_000_000;

/// What has no peers, but a bound, is among them.
const OPERATIONS: [Operation; 6] =
    [COMPARED[0], COMPARED[1], COMPARED[2], COMPARED[3], Operation::SoftmaxInPlace, COMPARED[4]];

/// Everything that runs with so many threads.
struct Bench<'a> {
    plan: &'a Plan,
    team: Team<'a>,
}

/// Measures all operations on all shapes with so many threads.
pub fn measure(
    plan: &Plan,
    xent: &Start,
    peers: &[(&Peer, Start)],
    threads: usize,
    folders: &Folders,
    results: &mut Results,
) -> Result<()> {
    let team = Team::start("operations", xent, peers, threads, folders, results)?;
    let mut bench = Bench { plan, team };
    for &shape in &plan.shapes {
        bench.shape(&Input::prepare(shape, &folders.target)?, results)?;
    }
    Ok(())
}

impl Bench<'_> {
    fn shape(&mut self, input: &Input, results: &mut Results) -> Result<()> {
        let shape = input.shape;
        self.team.xent.load(shape, &input.folder)?;
        let load = |peer: &Peer, child: &Child| {
            if knows(peer, shape) { child.load(shape, &input.folder) } else { Ok(()) }
        };
        self.team.load(&shape.to_string(), load, results);
        for operation in OPERATIONS {
            let (own, limits) = self.own(operation, input, results)?;
            let others = self.others(operation, input, results);
            let runners = own.into_iter().chain(limits).chain(others).collect();
            let (units, turns) = (shape.logits() as f64, self.plan.turns);
            let entrants =
                self.team.take_turns(runners, units, turns, &format!("{operation} at {shape}"), results)?;
            let threads = self.team.threads;
            results.add(Comparison::new(Kind::Operation, operation.name(), shape, threads, entrants));
        }
        self.team.unload()
    }

    /// xent and the bound on each backend, and the limits. That one of them is wrong ends everything.
    fn own(
        &self,
        operation: Operation,
        input: &Input,
        results: &mut Results,
    ) -> Result<(Vec<Runner<'_>>, Vec<Runner<'_>>)> {
        let runner = |name, operation| self.team.own(name, operation);
        let mut own = Vec::new();
        for backend in &self.team.backends {
            let name = format!("xent:{operation}@{backend}");
            check(&self.team.xent, &name, input).with_context(|| format!("{name} {}", input.shape))?;
            own.push(runner(format!("xent {backend}"), name));
            for (program, called) in BOUNDS {
                let name = format!("{program}:{operation}@{backend}");
                match check(&self.team.xent, &name, input) {
                    Ok(true) => own.push(runner(format!("{called} {backend}"), name)),
                    Ok(false) => {}
                    Err(error) => results.problem(format!("{name} at {}: {error:#}", input.shape)),
                }
            }
        }
        if own.is_empty() {
            own.push(runner(format!("xent {}", self.team.xent.version), format!("xent:{operation}")));
        }
        let limits = limits(operation).iter();
        Ok((own, limits.map(|limit| runner(format!("limit {limit}"), format!("limit:{limit}"))).collect()))
    }

    fn others(&self, operation: Operation, input: &Input, results: &mut Results) -> Vec<Runner<'_>> {
        let mut runners = Vec::new();
        for (peer, child) in &self.team.peers {
            if !COMPARED.contains(&operation) || !knows(peer, input.shape) {
                continue;
            }
            match check(child, operation.name(), input) {
                Ok(false) => {}
                Ok(true) => runners.push(Runner {
                    name: peer.name.to_owned(),
                    child,
                    operation: operation.name().to_owned(),
                }),
                Err(error) => results.problem(format!(
                    "{} {operation} {} on {} threads: {error:#}",
                    peer.name, input.shape, self.team.threads
                )),
            }
        }
        runners
    }
}

/// The Rust libraries have rows alone. Those that take half a second and more for a large batch, and as much memory as all
/// others, are left out there.
fn knows(peer: &Peer, shape: Shape) -> bool {
    let is_slow = ["candle", "loop"].contains(&peer.name);
    match peer.kind {
        Library::Python { .. } => true,
        Library::Rust { .. } => shape.inner == 1 && !(is_slow && shape.logits() > LARGE),
    }
}
