//! Operations of xent in turns with the bound, with the limits of the machine, and with all peers, after each has shown
//! that it is right.

use anyhow::{Context, Result};
use xent_peers::common::operations::Operation;
use xent_peers::common::shape::Shape;

use crate::Folders;
use crate::child::{Child, Start};
use crate::measure::{Runner, take_turns};
use crate::plan::{COMPARED, Kind as Library, Peer, Plan};
use crate::reference::{Input, check};
use crate::results::{Comparison, Kind, Results};
use crate::setup::locked_version;

/// The backends that are compared, where the processor has them.
pub const BACKENDS: [&str; 2] = ["avx512", "avx2"];

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
    threads: usize,
    backends: Vec<&'static str>,
    xent: Child,
    peers: Vec<(&'a Peer, Child)>,
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
    let log = |name: &str| folders.target.join(format!("logs/{name}-{threads}.log"));
    let xent = Child::start(xent, threads, &log("xent"))?;
    let best = xent.version.clone();
    let backends = BACKENDS.into_iter().filter(|backend| {
        // The one that is chosen is the best there is.
        best == "avx512" || best == *backend
    });
    let mut bench = Bench { plan, threads, backends: backends.collect(), xent, peers: Vec::new() };
    results.versions.insert("xent backend".to_owned(), bench.xent.version.clone());
    for &(peer, ref start) in peers {
        match Child::start(start, threads, &log(peer.name)) {
            Ok(child) => {
                let version = match peer.kind {
                    Library::Rust { package, .. } => package.and_then(|name| locked_version(folders, name)),
                    Library::Python { .. } => Some(child.version.clone()),
                };
                results.versions.extend(version.map(|version| (peer.name.to_owned(), version)));
                bench.peers.push((peer, child));
            }
            Err(error) => results.missing(peer.name, &error),
        }
    }
    for &shape in &plan.shapes {
        bench.shape(&Input::prepare(shape, &folders.target)?, results)?;
    }
    Ok(())
}

impl Bench<'_> {
    fn shape(&mut self, input: &Input, results: &mut Results) -> Result<()> {
        let shape = input.shape;
        self.xent.load(shape, &input.folder)?;
        let threads = self.threads;
        // A library that ends in the middle does not end the others.
        self.peers.retain(|(peer, child)| {
            let loaded = if knows(peer, shape) { child.load(shape, &input.folder) } else { Ok(()) };
            if let Err(error) = &loaded {
                results.problem(format!("{} at {shape} on {threads} threads: {error:#}", peer.name));
            }
            loaded.is_ok() || child.unload().is_ok()
        });
        for operation in OPERATIONS {
            let (own, limits) = self.own(operation, input, results)?;
            let others = self.others(operation, input, results);
            let mut runners: Vec<Runner<'_>> = own.into_iter().chain(limits).chain(others).collect();
            let units = shape.logits() as f64;
            let mut measured = take_turns(&runners, units, self.plan.turns);
            if let Err(error) = measured {
                // A library that fails does not take the others' times with it.
                results.problem(format!("{operation} at {shape} on {threads} threads: {error:#}"));
                runners.retain(|runner| std::ptr::eq(runner.child, &raw const self.xent));
                measured = take_turns(&runners, units, self.plan.turns);
            }
            results.add(Comparison::new(Kind::Operation, operation.name(), shape, threads, measured?));
        }
        self.peers.retain(|(_, child)| child.unload().is_ok());
        self.xent.unload()
    }

    /// xent and the bound on each backend, and the limits. That one of them is wrong ends everything.
    fn own(
        &self,
        operation: Operation,
        input: &Input,
        results: &mut Results,
    ) -> Result<(Vec<Runner<'_>>, Vec<Runner<'_>>)> {
        let runner = |name: String, operation| Runner { name, child: &self.xent, operation };
        let mut own = Vec::new();
        for backend in &self.backends {
            let name = format!("xent:{operation}@{backend}");
            check(&self.xent, &name, input).with_context(|| format!("{name} {}", input.shape))?;
            own.push(runner(format!("xent {backend}"), name));
            for (program, called) in BOUNDS {
                let name = format!("{program}:{operation}@{backend}");
                match check(&self.xent, &name, input) {
                    Ok(true) => own.push(runner(format!("{called} {backend}"), name)),
                    Ok(false) => {}
                    Err(error) => results.problem(format!("{name} at {}: {error:#}", input.shape)),
                }
            }
        }
        if own.is_empty() {
            own.push(runner(format!("xent {}", self.xent.version), format!("xent:{operation}")));
        }
        let limits = limits(operation).iter();
        Ok((own, limits.map(|limit| runner(format!("limit {limit}"), format!("limit:{limit}"))).collect()))
    }

    fn others(&self, operation: Operation, input: &Input, results: &mut Results) -> Vec<Runner<'_>> {
        let mut runners = Vec::new();
        for (peer, child) in &self.peers {
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
                    peer.name, input.shape, self.threads
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
