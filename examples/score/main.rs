//! Scores logits against labels: mean loss, perplexity, accuracy, and how fast the loss was.
//!
//! ```text
//! cargo run --release --example score
//! cargo run --release --example score -- logits.npy labels.npy --per-row losses.npy
//! cargo run --release --example score -- logits.npy tokens.npy --top-k 5 --sequences offsets.npy
//! ```
//!
//! Logits are rows × classes, f32 or f16 in a `.npy` file, and bf16, too, in a `.safetensors` file; labels are integers of any
//! type, one per row. Without files it scores a small sample of a speech recogniser's. Files are read in pieces of whole rows, so
//! that they may be larger than memory, and a progress bar shows how far a large one has been read. Whatever is wrong with the
//! files is one line on standard error and exit code 2, and nothing is written.

mod args;
mod files;
mod losses;
mod npy;
mod score;
mod sum;
mod summary;
mod tensors;
mod tokens;
mod values;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use xent::Error;

use args::Args;
use score::Score;

const LOGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/speech_logits.npy");
const LABELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/speech_labels.npy");

/// Rows that are read at once, however short they are: labels and results take about a hundred bytes of each.
const MOST_ROWS: usize = 1 << 18;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("score: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let backend = args.backend()?;
    let logits_path = args.logits.as_deref().unwrap_or(Path::new(LOGITS));
    let labels_path = args.labels.as_deref().unwrap_or(Path::new(LABELS));
    let in_logits = || logits_path.display().to_string();
    let in_labels = || labels_path.display().to_string();
    let mut logits = files::logits(logits_path)?;
    let mut labels = files::integers(labels_path)?;
    let (rows, row_bytes) = (logits.rows, logits.row_bytes());
    if labels.len != rows {
        let error = Error::RowCount { what: "labels", given: labels.len, expected: rows };
        return Err(error).with_context(in_labels);
    }
    let mut score = Score::new(args, rows)?;

    let rows_at_once = (args.piece_bytes / row_bytes.max(1)).clamp(1, MOST_ROWS);
    let bar = progress_bar(rows, rows_at_once)?;
    // No rows are a piece, too, which has no mean.
    for first in (0..rows.max(1)).step_by(rows_at_once) {
        let count = rows_at_once.min(rows - first);
        let labels = labels.read(count).with_context(in_labels)?;
        let logits = logits.read(count).with_context(in_logits)?.with_backend(backend);
        score.summary.add(labels, logits).map_err(|error| in_file(first, error)).with_context(in_labels)?;
        score.add_options(labels, logits)?;
        bar.inc(count as u64);
    }
    bar.finish_and_clear();
    score.print((logits.classes, row_bytes), backend, &mut io::stdout())
}

/// A bar on standard error, where that is a terminal, for rows that are more than one piece.
fn progress_bar(rows: usize, rows_at_once: usize) -> Result<ProgressBar> {
    if rows <= rows_at_once {
        return Ok(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} rows, {eta} left")?;
    Ok(ProgressBar::new(rows as u64).with_style(style))
}

/// The error of a piece that begins with this row of the file, as one of the file.
fn in_file(first: usize, error: Error) -> Error {
    match error {
        Error::LabelOutOfRange { row, label, classes } => {
            Error::LabelOutOfRange { row: first + row, label, classes }
        }
        other => other,
    }
}
