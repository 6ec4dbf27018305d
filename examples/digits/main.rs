//! Learns to read handwritten digits: a linear model, trained with a loss and its gradient from `xent`.
//!
//! ```text
//! cargo run --release --example digits
//! cargo run --release --example digits -- --label-smoothing 0.1 --class-weights balanced
//! cargo run --release --example digits -- --loss hinge
//! cargo run --release --example digits -- --head fused
//! ```
//!
//! Prints the mean loss and the accuracy on a held-out fifth after every epoch, and draws both. Ends with an
//! error where fewer than 95 % of the held-out digits are recognised. The same options give the same bits.

mod chart;
mod data;
mod model;
mod objective;
mod train;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Parser, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use xent::Backend;

use data::Digits;
use objective::{ClassWeights, Kind, Objective};
use train::{Head, Score, Trainer};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/digits.csv");
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/digits.svg");

/// The part of the held-out digits that is to be recognised.
const TARGET: f64 = 0.95;

/// Learns to read handwritten digits with a linear model.
#[derive(Parser)]
struct Args {
    /// How often each digit is learned from.
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..))]
    epochs: u32,

    /// How far a step follows the gradient.
    #[arg(long, default_value_t = 0.2, value_parser = positive)]
    learning_rate: f32,

    /// The number of digits per step.
    #[arg(long, default_value_t = 32, value_parser = value_parser!(u32).range(1..))]
    batch: u32,

    /// What is minimised.
    #[arg(long, value_enum, default_value_t = Kind::Softmax)]
    loss: Kind,

    /// How logits are made.
    #[arg(long, value_enum, default_value_t = Head::Logits)]
    head: Head,

    /// The part of each label's mass that goes to all classes, for the softmax loss.
    #[arg(long, default_value_t = 0.0, value_parser = fraction, value_name = "PART")]
    label_smoothing: f64,

    /// How much each class counts.
    #[arg(long, value_enum, default_value_t = ClassWeights::Uniform)]
    class_weights: ClassWeights,

    /// Decides the order in which the digits are met.
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Where to draw the learning curve, as an SVG.
    #[arg(long, default_value = CHART, value_name = "FILE")]
    out: PathBuf,
}

fn positive(text: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|&number: &f32| number > 0.0 && number.is_finite());
    number.ok_or_else(|| "expected a number above 0".into())
}

fn fraction(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "expected a number from 0 to 1".into())
}

/// What is known after an epoch.
struct Epoch {
    training_loss: f64,
    held_out: Score,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("digits: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    ensure!(
        args.loss == Kind::Softmax || args.label_smoothing == 0.0,
        "--label-smoothing is for the softmax loss: a hinge has no distribution"
    );
    ensure!(
        args.loss == Kind::Softmax || args.head == Head::Logits,
        "--head fused is for the softmax loss: a hinge is one of logits"
    );
    let (digits, held_out) = data::split(&data::load(Path::new(DATA))?);
    let backend = Backend::selected()?;
    let mut out = io::stdout();
    writeln!(out, "{} digits to learn from, {} held out; backend {backend}", digits.len(), held_out.len())?;

    let epochs = train(args, &digits, &held_out)?;
    let unit = match args.loss {
        Kind::Softmax => "nats",
        Kind::Hinge => "logits",
    };
    chart::write(&args.out, &epochs, unit)?;

    let accuracy = epochs.last().map_or(0.0, |epoch| epoch.held_out.accuracy);
    let result = format!("{:.2} % of the held-out digits recognised", 100.0 * accuracy);
    writeln!(out, "learning curve: {}", args.out.display())?;
    ensure!(accuracy >= TARGET, "{result}; the aim is {} %", 100.0 * TARGET);
    writeln!(out, "{result}: the aim of {} % is reached", 100.0 * TARGET)?;
    Ok(())
}

/// Trains for all epochs, with a line for each and a bar where standard error is a terminal.
fn train(args: &Args, digits: &Digits, held_out: &Digits) -> Result<Vec<Epoch>> {
    let style = ProgressStyle::with_template("{bar:40} epoch {pos} of {len}, {elapsed}")?;
    let bar = ProgressBar::new(args.epochs.into()).with_style(style);
    let objective = Objective::new(args.loss, args.label_smoothing, args.class_weights, digits);
    let mut trainer = Trainer::new(digits, objective, args.head, args.seed);
    let mut epochs = Vec::new();
    say(&bar, "epoch  training loss  held-out loss  held-out accuracy")?;
    for number in 1..=args.epochs {
        let training_loss = trainer.epoch(usize::try_from(args.batch)?, args.learning_rate)?;
        let held_out = trainer.score(held_out)?;
        let Score { loss, accuracy } = held_out;
        ensure!(loss.is_finite(), "the loss is {loss} after epoch {number}: try a smaller --learning-rate");
        say(&bar, &format!("{number:5}  {training_loss:13.6}  {loss:13.6}  {:15.2} %", 100.0 * accuracy))?;
        epochs.push(Epoch { training_loss, held_out });
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(epochs)
}

/// Prints a line to standard output; the bar steps aside for it.
fn say(bar: &ProgressBar, line: &str) -> io::Result<()> {
    bar.suspend(|| writeln!(io::stdout(), "{line}"))
}
