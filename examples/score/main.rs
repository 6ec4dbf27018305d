//! Scores logits against labels: mean loss, perplexity, accuracy, and how fast the loss was.
//!
//! ```text
//! cargo run --release --example score
//! cargo run --release --example score -- logits.npy labels.npy --per-row losses.npy
//! cargo run --release --example score -- logits.npy tokens.npy --top-k 5 --sequences offsets.npy
//! ```
//!
//! Logits are rows × classes, f32 or f16 in a `.npy` file, and bf16, too, in a `.safetensors` file; labels are integers of any type, one per row. Without files it scores
//! a small sample of a speech recogniser's. Whatever is wrong with the files is one line on standard error and
//! exit code 2, and nothing is written.

mod npy;
mod tensors;
mod tokens;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use xent::{Backend, CrossEntropy, Error, Labels, Reduction, Rows, Summary, argmax};

const LOGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/speech_logits.npy");
const LABELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/speech_labels.npy");

/// The calls of the loss that are timed, after a first one that is not.
const REPETITIONS: usize = 9;

/// Scores logits against labels: mean loss, perplexity, accuracy and speed.
#[derive(Parser)]
struct Args {
    /// A .npy file of float32 or float16 logits, rows x classes, or a .safetensors file of F32, F16 or BF16 ones. Without files: a
    /// sample of a speech recogniser's.
    #[arg(requires = "labels")]
    logits: Option<PathBuf>,

    /// A .npy file of integer labels, one per row.
    labels: Option<PathBuf>,

    /// Where to write the loss of each row, as a .npy file of float32.
    #[arg(long, value_name = "FILE")]
    per_row: Option<PathBuf>,

    /// How many rows have their label among so many of the most probable classes.
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,

    /// A .npy file of integers, where sequences of rows begin and the last one ends: 0, 12, 20 are two. Prints the
    /// log-probability of each, its perplexity, and whether it is what the model would have said.
    #[arg(long, value_name = "FILE")]
    sequences: Option<PathBuf>,

    /// The instruction set: scalar, portable, avx2 or avx512 [default: the best here, or `XENT_BACKEND`]
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
}

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
    let backend = choose(args.backend.as_deref())?;
    let logits_path = args.logits.as_deref().unwrap_or(Path::new(LOGITS));
    let labels_path = args.labels.as_deref().unwrap_or(Path::new(LABELS));
    let is_tensors = logits_path.extension().is_some_and(|extension| extension == "safetensors");
    let matrix = read(logits_path, if is_tensors { tensors::read_matrix } else { npy::read_matrix })?;
    let labels = read(labels_path, npy::read_integers)?;

    let logits = matrix.view().with_context(|| logits_path.display().to_string())?.with_backend(backend);
    let score = Score::of(labels.as_labels(), logits).with_context(|| labels_path.display().to_string())?;
    let among_top = match args.top_k {
        Some(k) => Some((k, tokens::among_top(k, labels.as_labels(), logits)?)),
        None => None,
    };
    let sequences = match &args.sequences {
        Some(path) => {
            let offsets = read(path, npy::read_integers)?;
            let sequences = tokens::sequences(offsets.as_labels(), labels.as_labels(), logits);
            Some(sequences.with_context(|| path.display().to_string())?)
        }
        None => None,
    };
    if let Some(path) = &args.per_row {
        write_whole(path, &score.losses).with_context(|| path.display().to_string())?;
    }
    let out = &mut io::stdout();
    score.print(logits, matrix.width(), backend, out)?;
    if let Some((k, right)) = among_top {
        let percent = 100.0 * as_f64(right) / as_f64(logits.rows());
        writeln!(out, "top-{k} accuracy  {percent:.2} % ({right} of {})", logits.rows())?;
    }
    if let Some(sequences) = sequences {
        tokens::print(&sequences, out)?;
    }
    Ok(())
}

/// The backend of that name, or the one that the process would use.
fn choose(name: Option<&str>) -> Result<Backend, Error> {
    let Some(name) = name else {
        return Backend::selected();
    };
    let backend: Backend = name.parse()?;
    if backend.is_available() { Ok(backend) } else { Err(Error::UnavailableBackend { backend }) }
}

fn read<T>(path: &Path, parse: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
    let contents = fs::read(path).map_err(anyhow::Error::new).and_then(|bytes| parse(&bytes));
    contents.with_context(|| path.display().to_string())
}

/// Writes a file that appears whole or not at all.
fn write_whole(path: &Path, losses: &[f32]) -> Result<()> {
    // A device or a folder cannot be replaced by a file.
    ensure!(path.is_file() || !path.exists(), "not a file");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Made with the usual permissions, which temporary files otherwise do not have.
    let mut file = tempfile::Builder::new().make_in(folder, |path| File::create_new(path))?;
    npy::write(losses, &mut file)?;
    file.persist(path)?;
    Ok(())
}

/// What is known about the logits once they have been scored.
struct Score {
    losses: Vec<f32>,
    summary: Summary,
    /// Rows whose largest logit is that of the label.
    right: usize,
    /// How long the loss takes: the median of the calls.
    time: Duration,
}

impl Score {
    fn of(labels: Labels<'_>, logits: Rows<'_>) -> Result<Self, Error> {
        let loss = CrossEntropy::new().reduction(Reduction::Mean);
        let mut losses = vec![0.0; logits.rows()];
        let summary = loss.loss_into(labels, logits, &mut losses)?;

        let mut times = [Duration::ZERO; REPETITIONS];
        for time in &mut times {
            let start = Instant::now();
            loss.loss_into(labels, logits, &mut losses)?;
            *time = start.elapsed();
        }
        times.sort_unstable();

        let guesses = argmax(logits)?;
        // A NaN is no guess, though it is the first thing that argmax points at.
        let right = |&row: &usize| labels.get(row) == Some(guesses[row] as i128) && !losses[row].is_nan();
        let right = (0..logits.rows()).filter(right).count();
        Ok(Self { losses, summary, right, time: times[REPETITIONS / 2] })
    }

    fn print(
        &self,
        logits: Rows<'_>,
        width: usize,
        backend: Backend,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let (rows, classes) = (logits.rows(), logits.classes());
        // As `Debug`, which keeps the digits of a tiny loss.
        let (mean, perplexity) = (self.summary.value, self.summary.value.exp());
        let (right, percent) = (self.right, 100.0 * as_f64(self.right) / as_f64(rows));
        let bytes = as_f64(width) * as_f64(rows) * as_f64(classes);
        let speed = bytes / self.time.as_secs_f64() / 1e9;
        writeln!(out, "rows            {rows}")?;
        writeln!(out, "classes         {classes}")?;
        writeln!(out, "mean loss       {mean:?} nats")?;
        writeln!(out, "perplexity      {perplexity:?}")?;
        writeln!(out, "top-1 accuracy  {percent:.2} % ({right} of {rows})")?;
        writeln!(out, "backend         {backend}")?;
        writeln!(
            out,
            "speed           {speed:.2} GB/s: {:.3} MB of logits in {:?}, the median of {REPETITIONS} calls",
            bytes / 1e6,
            self.time
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers for people")]
const fn as_f64(number: usize) -> f64 {
    number as f64
}
