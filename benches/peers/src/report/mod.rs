//! `BENCHMARKS.md` and its charts, from the raw results.

mod aims;
mod charts;
mod instructions;
mod tables;

use std::fmt::Write;
use std::fs;

use anyhow::Result;

use crate::Folders;
use crate::results::Results;

/// What a person writes about the results; it is taken over word by word.
const NOTES: &str = "docs/benchmarks/notes.md";

const INTRODUCTION: &str = "\
# Benchmarks

This page is written by one command, which builds and installs what it compares with, checks every result
against the formulas in f64, and measures:

```text
cargo run --release --manifest-path benches/peers/Cargo.toml
```

With `-- --quick` it takes a few minutes, measures less, and writes to `benches/peers/target/quick/`.
`cargo bench` measures xent and the limits alone.

- A time is the median in ns per logit (rows × classes). A ratio is the median over the rounds of a comparison, in
  which both take turns of some ten milliseconds: what else the machine does meets both.
- Threads are as many processors, to which all processes of a comparison are bound.
- xent writes into buffers of the caller. So do ONNX Runtime, rten and the loop; the others make new results, with
  freed memory kept mapped, so that they do not pay for page faults.
- xent and TensorFlow give one loss for each row; PyTorch, JAX, candle and burn its mean, ONNX Runtime too.
  *PyTorch compiled* is loss and gradient traced as one graph. TensorFlow is called without `tf.function`, which
  costs more than it saves here. rten has softmax and log-softmax of one row; rayon over the rows is ours. *native*
  is built for this very processor; all else, xent included, is built for the default target.
- *Limits* are loops over the same bytes on the same threads: reading (the better of one stream and four), copying (the best
  of `memcpy`, a loop of loads and stores, and non-temporal stores), scaling in place, adding, and the bare sum of exponentials
  without maximum, blocks or care for the range.
";

/// Writes the page and the charts.
pub fn write(results: &Results, folders: &Folders) -> Result<()> {
    let charts = folders.reports.join("docs/benchmarks");
    fs::create_dir_all(&charts)?;
    let mut page = INTRODUCTION.to_owned();
    page += &machine(results);
    page += &aims::section(results);
    page += &tables::peers(results);
    page += &tables::limits(results);
    page += &tables::backends(results);
    page += &tables::sweep(results);
    page += &instructions::section(&folders.repository);
    page += &problems(results);
    if let Ok(notes) = fs::read_to_string(folders.repository.join(NOTES)) {
        page.push('\n');
        page += &notes;
    }
    fs::write(folders.reports.join("BENCHMARKS.md"), page)?;
    charts::write(results, &charts)
}

fn machine(results: &Results) -> String {
    let mut text =
        format!("\n## Machine and versions\n\nMeasured on {}.\n\n| | |\n|---|---|\n", results.date);
    let machine = results.machine.iter().map(|(name, value)| (name, value));
    for (name, value) in machine.chain(&results.versions) {
        writeln!(text, "| {name} | {value} |").expect("a string takes all");
    }
    text
}

fn problems(results: &Results) -> String {
    let mut text = String::from("\n## Missing\n\n");
    for (peer, reason) in &results.missing {
        writeln!(text, "- {peer}: {reason}").expect("a string takes all");
    }
    for problem in &results.problems {
        writeln!(text, "- not measured: {problem}").expect("a string takes all");
    }
    if results.missing.is_empty() && results.problems.is_empty() {
        text += "Nothing: every library could be installed, and every result was right.\n";
    }
    text
}
