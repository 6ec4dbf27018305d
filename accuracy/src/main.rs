//! Measures how accurate xent is: what it approximates over every f32, its operations beside those of other
//! libraries, and the largest errors that a search finds. Writes `docs/ACCURACY.md` and its charts.

mod inputs;
#[path = "../../benches/peers/src/machine.rs"]
mod machine;
mod operation;
mod operations;
mod peers;
mod precise;
mod report;
mod results;
mod search;
mod sweep;
mod sweeps;
#[path = "../../tests/common/ulp.rs"]
#[allow(dead_code, unreachable_pub, reason = "what the tests share")]
mod ulp;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Parser, ValueEnum};

use peers::Peer;
use results::Results;

/// Measures how accurate xent is, and writes docs/ACCURACY.md.
#[derive(Parser)]
struct Arguments {
    /// One number in 4099 and a short search; the page goes to target/quick/.
    #[arg(long)]
    quick: bool,
    /// Only these parts; the others are those of the last run.
    #[arg(long, value_delimiter = ',', default_value = "sweeps,operations,search")]
    parts: Vec<Part>,
    /// A Python with torch and tensorflow. Without one that runs, the page has no peers.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/peers/.venv/bin/python"))]
    python: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Every f32, about a quarter of an hour.
    Sweeps,
    /// The operations on all inputs, beside peers.
    Operations,
    /// The search for the largest errors.
    Search,
}

fn main() -> Result<()> {
    let Arguments { quick, parts, python } = Arguments::parse();
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let repository = package.parent().unwrap_or(package);
    let target = package.join("target");
    fs::create_dir_all(&target)?;
    let kept = target.join(if quick { "quick.json" } else { "results.json" });
    let mut results = if kept.exists() { Results::read(&kept)? } else { Results::default() };
    describe(&mut results, repository);
    if parts.contains(&Part::Sweeps) {
        sweeps::measure(&mut results, if quick { 4099 } else { 1 }, &kept)?;
    }
    if parts.contains(&Part::Operations) {
        let mut peers: Vec<_> = Peer::ALL.into_iter().map(|peer| Peer::new(peer, &python, package)).collect();
        results.missing.clear();
        peers.retain(|peer| match peer.try_import() {
            Ok(()) => true,
            Err(error) => {
                results.missing.push(format!("{} is missing: {error:#}", peer.name()));
                false
            }
        });
        operations::measure(&mut results, &repository.join("examples/data"), &mut peers)?;
        results.peers = peers.iter().map(|peer| (peer.name().to_owned(), peer.version.clone())).collect();
        results.write(&kept)?;
    }
    if parts.contains(&Part::Search) {
        search::measure(&mut results, if quick { 50_000 } else { 30_000_000 });
        results.write(&kept)?;
    }
    let reports = if quick { target.join("quick") } else { repository.to_owned() };
    report::write(&results, &reports)?;
    println!("wrote {}", reports.join("docs/ACCURACY.md").display());
    Ok(())
}

/// Notes the machine, and the backends that it has and has not.
fn describe(results: &mut Results, repository: &Path) {
    results.machine = machine::describe(repository);
    let names = |available: bool| {
        let backends = xent::Backend::ALL.iter().filter(|backend| backend.is_available() == available);
        backends.map(|backend| backend.name()).collect::<Vec<_>>().join(", ")
    };
    results.machine.push(("backends measured".into(), names(true)));
    let absent = names(false);
    if !absent.is_empty() {
        println!("NOT MEASURED, because this processor has it not: {absent}");
        results.machine.push(("**backends not measured**: this processor has it not".into(), absent));
    }
}
