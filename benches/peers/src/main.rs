//! Measures xent beside other libraries, beside the bound and beside itself, and writes what it found: raw results
//! in `target/`, the page `BENCHMARKS.md`, charts in `docs/benchmarks/`.

mod alone;
mod child;
mod compare;
mod halves;
mod linear;
mod machine;
mod measure;
mod plan;
mod reference;
mod report;
mod results;
mod setup;
mod team;
mod tokens;
mod weight;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use plan::Plan;
use results::Results;

/// Measures xent beside other libraries, beside the bound and beside itself.
///
/// Without arguments it measures everything and writes BENCHMARKS.md. With any of them it measures a part, and writes
/// that to benches/peers/target/partial/: the page is only ever written whole.
#[derive(Parser)]
struct Arguments {
    /// A few shapes and short turns, in minutes.
    #[arg(long)]
    quick: bool,
    /// Only these peers, by name; `none` for none of them.
    #[arg(long, value_delimiter = ',')]
    peers: Option<Vec<String>>,
    /// Only these shapes, such as 256x32000 or, with the classes in the middle, 8x81x8732; of linear classifiers,
    /// tokens and logits of 16 bits, those of the page that are among them, such as 256x32000x512.
    #[arg(long, value_delimiter = ',')]
    shapes: Option<Vec<String>>,
    /// Only these numbers of threads.
    #[arg(long, value_delimiter = ',', default_value = THREADS)]
    threads: Vec<usize>,
    /// Only these parts of all there is to measure.
    #[arg(long, value_delimiter = ',', default_value = PARTS)]
    parts: Vec<Part>,
    /// Measure nothing: write the page of the last whole run anew, or with another argument that of the last part.
    #[arg(long)]
    report: bool,
}

const THREADS: &str = "1,2";
const PARTS: &str = "weight,operations,layouts,options,calls,linear,tokens,halves,sweep";

impl Arguments {
    /// What was left out, in words; nothing for the whole page.
    fn partial(&self) -> String {
        let defaults = Self::parse_from(["peers"]);
        let mut left_out = Vec::new();
        let mut note = |differs: bool, what: &str| {
            if differs {
                left_out.push(what.to_owned());
            }
        };
        note(self.quick, "`--quick`");
        note(self.shapes.is_some(), "`--shapes`");
        note(self.peers.is_some(), "`--peers`");
        note(self.threads != defaults.threads, "`--threads`");
        note(self.parts != defaults.parts, "`--parts`");
        left_out.join(", ")
    }
}

/// A part of all there is to measure.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// How long a program with xent builds, and how large it is.
    Weight,
    /// Each operation beside the bound, the limits of the machine, and other libraries.
    Operations,
    /// Classes in the middle and in front, beside classes at the end.
    Layouts,
    /// Options, and logits that need care, beside plain calls.
    Options,
    /// What a call costs.
    Calls,
    /// The loss of a linear classifier and its gradients, beside products and other libraries.
    Linear,
    /// What servers read of tokens, beside the log-sum-exp alone and other libraries.
    Tokens,
    /// Logits of 16 bits, beside f32.
    Halves,
    /// xent from two classes to a million.
    Sweep,
}

/// Where things are.
struct Folders {
    repository: PathBuf,
    package: PathBuf,
    target: PathBuf,
    /// Where the page goes.
    page: PathBuf,
    charts: PathBuf,
    raw: PathBuf,
}

impl Folders {
    fn new(partial: bool) -> Self {
        let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let repository = package.ancestors().nth(2).unwrap_or(&package).to_owned();
        let target = package.join("target");
        let (reports, page) = if partial {
            (target.join("partial"), "BENCHMARKS.partial.md")
        } else {
            (repository.clone(), "BENCHMARKS.md")
        };
        Self {
            page: reports.join(page),
            charts: reports.join("docs/benchmarks"),
            raw: target.join(if partial { "results-partial.json" } else { "results.json" }),
            repository,
            package,
            target,
        }
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let plan = Plan::new(&arguments)?;
    let folders = Folders::new(!plan.partial.is_empty());
    if !plan.partial.is_empty() {
        println!("a part only ({}): BENCHMARKS.md stays as it is", plan.partial);
    }
    let results = if arguments.report { Results::read(&folders.raw)? } else { measure(&plan, &folders)? };
    report::write(&results, &folders)?;
    println!("wrote {}", folders.page.display());
    Ok(())
}

fn measure(plan: &Plan, folders: &Folders) -> Result<Results> {
    fs::create_dir_all(&folders.target)?;
    let mut results = Results::new(machine::describe(&folders.repository), &plan.partial);
    let xent = setup::xent(folders)?;
    let wants = |part: Part| plan.parts.contains(&part);
    let extras =
        if wants(Part::Linear) || wants(Part::Halves) { Some(setup::extras(folders)?) } else { None };
    let peers = setup::peers(plan, folders, &mut results);
    if wants(Part::Weight) {
        match weight::measure(folders) {
            Ok(weight) => results.weight = Some(weight),
            Err(error) => results.problem(format!("what the crate weighs: {error:#}")),
        }
    }
    // From here on nothing is built.
    let start = Instant::now();
    if wants(Part::Operations) {
        for &threads in &plan.threads {
            compare::measure(plan, &xent, &peers, threads, folders, &mut results)?;
            save(&mut results, start, &folders.raw)?;
        }
    }
    for (part, measure) in alone::PARTS {
        if wants(part) {
            measure(plan, &xent, folders, &mut results)?;
            save(&mut results, start, &folders.raw)?;
        }
    }
    let of = |part: Part| peers.iter().filter(|(peer, _)| peer.takes_part(part)).collect::<Vec<_>>();
    if wants(Part::Tokens) {
        tokens::measure(plan, &xent, &of(Part::Tokens), folders, &mut results)?;
        save(&mut results, start, &folders.raw)?;
    }
    if let Some(extras) = extras {
        if wants(Part::Linear) {
            let place = linear::Place { plan, xent: &extras, peers: of(Part::Linear), folders };
            linear::measure(&place, &mut results)?;
            save(&mut results, start, &folders.raw)?;
        }
        if wants(Part::Halves) {
            halves::measure(plan, &extras, folders, &mut results)?;
            save(&mut results, start, &folders.raw)?;
        }
    }
    Ok(results)
}

fn save(results: &mut Results, start: Instant, raw: &Path) -> Result<()> {
    results.minutes = start.elapsed().as_secs_f64() / 60.0;
    results.write(raw)
}
