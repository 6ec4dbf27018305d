//! `BENCHMARKS.md` and its charts, from the raw results.

mod aims;
mod charts;
mod halves;
mod instructions;
mod linear;
mod summary;
mod tables;
mod tokens;

use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result};

use crate::Folders;
use crate::results::Results;

/// What a person writes about the results; it is taken over word by word.
const NOTES: &str = "docs/benchmarks/notes.md";

const INTRODUCTION: &str = "\
# Benchmarks

This page is written by one command, which builds and installs what xent is compared with, checks every result against
the formulas in f64, and measures. With two cores and 16 GB of memory it takes less than 25 minutes, without building:

```text
cargo run --release --manifest-path benches/peers/Cargo.toml
```

The page is only ever written whole. With `-- --quick`, `-- --shapes 256x32000`, `-- --peers JAX`, `-- --parts linear` and
the like (see `-- --help`) the command measures a part, and writes it to `benches/peers/target/partial/`. `cargo bench` measures xent
and the limits of the machine alone.
";

const METHOD: &str = "
## How it was measured

- Times are ns per logit (rows × classes) where nothing else is said. All programs of a comparison take turns of some milliseconds
  on the same inputs, so that what else the machine does meets all of them. Ratios are those of the least times, since clocks
  wander; medians stand in the details.
- Threads are as many processors, to which all processes of a comparison are bound.
- *Bound* is what the machine allows: the same formulas with errors of the same size, for contiguous f32 alone, without
  options, strides, reductions or care for a logit that is NaN, written in the instructions of the processor
  (`benches/peers/src/bound/`). It runs in the process and on the buffers of xent. Of its two forms for many classes the faster
  one counts. Where a row has more than 128 classes it has all operations but dense losses, else no log-softmax and nothing
  in place.
- *Limits* are loops over the same bytes on the same threads: reading (one stream, or four), copying (`memcpy`, or with
  non-temporal stores), scaling in place, adding.
- xent writes into buffers of the caller. So do ONNX Runtime, rten and the loop; the others make new results, with
  freed memory kept mapped, so that they do not pay for page faults.
- xent and TensorFlow give one loss for each row; PyTorch, JAX and candle its mean, ONNX Runtime too. TensorFlow is called
  without `tf.function`, which costs more than it saves here. rten has softmax and log-softmax of one row; rayon over the
  rows is ours. *native* is built for this very processor; all else, xent included, is built for the default target. *loop* is
  what one writes by hand, and no candidate for the best peer.
- The crate is measured without any of its features, but for linear classifiers and numbers of 16 bits, which need one each.
- Above ten million logits candle and the loop are left out: a call takes up to a second.
- burn is not here: it alone takes ten minutes to build on one core. Nor is compiled PyTorch, which compiles each operation on
  each shape for seconds. `-- --peers burn,\"PyTorch compiled\"` measures them.
";

/// Writes the page and the charts.
pub fn write(results: &Results, folders: &Folders) -> Result<()> {
    fs::create_dir_all(&folders.charts)?;
    let mut page = INTRODUCTION.to_owned();
    if !results.partial.is_empty() {
        let partial = &results.partial;
        write!(page, "\n**This is a part of what there is to measure, chosen by {partial}.**\n")?;
    }
    page += &summary::tables(results);
    page += &charts::section(results);
    page += METHOD;
    page += &machine(results);
    page += &tables::operations(results);
    page += &tables::layouts(results);
    page += &tables::options(results);
    page += &tables::calls(results);
    page += &linear::section(results);
    page += &tokens::section(results);
    page += &halves::section(results);
    page += &tables::sweep(results);
    page += &instructions::section(&folders.repository);
    page += &problems(results);
    if let Ok(notes) = fs::read_to_string(folders.repository.join(NOTES)) {
        page.push('\n');
        page += &notes;
    }
    charts::write(results, &folders.charts)?;
    fs::write(&folders.page, page).with_context(|| format!("cannot write {}", folders.page.display()))
}

fn machine(results: &Results) -> String {
    let mut text = format!(
        "\n## Machine and versions\n\nMeasured on {}, in {:.1} minutes.\n\n| | |\n|---|---|\n",
        results.date, results.minutes
    );
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
