//! Measures xent beside other libraries and beside the limits of the machine, and writes what it found:
//! raw results in `target/`, tables in `BENCHMARKS.md`, charts in `docs/benchmarks/`.

mod child;
mod limits;
mod machine;
mod measure;
mod peers;
mod plan;
mod reference;
mod report;
mod results;
mod setup;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Parser, ValueEnum};

use plan::Plan;
use results::Results;

/// Measures xent beside other libraries and the limits of the machine.
#[derive(Parser)]
struct Arguments {
    /// A few shapes and short turns, in minutes; the reports go to target/quick/.
    #[arg(long)]
    quick: bool,
    /// Only these peers, by name.
    #[arg(long, value_delimiter = ',')]
    peers: Option<Vec<String>>,
    /// Only these shapes, such as 256x32000.
    #[arg(long, value_delimiter = ',')]
    shapes: Option<Vec<String>>,
    /// Only these numbers of threads.
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    threads: Vec<usize>,
    /// Only these parts of all there is to measure.
    #[arg(long, value_delimiter = ',', default_value = "limits,sweep,peers")]
    parts: Vec<Part>,
    /// Keep the results of the last run that are not measured anew.
    #[arg(long)]
    keep: bool,
    /// Write the reports from the results of the last run.
    #[arg(long)]
    report: bool,
}

/// A part of all there is to measure.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// xent beside the limits of the machine, its other backends, and one thread beside two.
    Limits,
    /// xent from two classes to a million.
    Sweep,
    /// xent beside other libraries.
    Peers,
}

/// Where things are.
struct Folders {
    repository: PathBuf,
    package: PathBuf,
    target: PathBuf,
    /// Where the reports go.
    reports: PathBuf,
}

impl Folders {
    fn new(quick: bool) -> Self {
        let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let repository = package.ancestors().nth(2).unwrap_or(&package).to_owned();
        let target = package.join("target");
        let reports = if quick { target.join("quick") } else { repository.clone() };
        Self { repository, package, target, reports }
    }

    fn raw(&self, quick: bool) -> PathBuf {
        self.target.join(if quick { "results-quick.json" } else { "results.json" })
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let folders = Folders::new(arguments.quick);
    let raw = folders.raw(arguments.quick);
    let results = if arguments.report { Results::read(&raw)? } else { measure(&arguments, &folders, &raw)? };
    report::write(&results, &folders)?;
    println!("wrote {}", folders.reports.join("BENCHMARKS.md").display());
    Ok(())
}

fn measure(arguments: &Arguments, folders: &Folders, raw: &Path) -> Result<Results> {
    let plan = Plan::new(arguments)?;
    let mut results = Results::new(machine::describe(&folders.repository), arguments.quick);
    if arguments.keep && raw.exists() {
        results.keep(Results::read(raw)?);
    }
    let xent = setup::xent(folders)?;
    if arguments.parts.contains(&Part::Limits) {
        for &threads in &plan.threads {
            limits::measure(&plan, &xent, threads, folders, &mut results)?;
            results.write(raw)?;
        }
        limits::threads(&plan, &xent, folders, &mut results)?;
    }
    if arguments.parts.contains(&Part::Sweep) {
        limits::sweep(&plan, &xent, folders, &mut results)?;
    }
    results.write(raw)?;
    if !arguments.parts.contains(&Part::Peers) {
        return Ok(results);
    }
    let inputs = reference::prepare(&plan, &folders.target)?;
    peers::check_xent(&plan, &xent, &inputs, folders)?;
    for peer in &plan.peers {
        match setup::peer(folders, peer) {
            Ok(command) => peers::measure(&plan, peer, &command, &xent, &inputs, folders, &mut results)?,
            Err(error) => results.missing(peer.name, &error),
        }
        results.write(raw)?;
    }
    Ok(results)
}
