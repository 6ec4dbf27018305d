//! A linear classifier and a linear support vector machine, as courses teach them: `W`, `X`, `y` and `reg`.
//!
//! ```text
//! cargo run --release --example classifier
//! cargo run --release --example classifier -- --reg 0.001 --iterations 3000
//! ```
//!
//! Both are functions of weights `W`, features × classes, of images `X`, rows × features, of labels `y` and of the strength
//! `reg` of the L2 term, and give a loss and its gradient `dW`. Their gradients are checked against differences of the
//! naive losses in f64; then both learn the handwritten digits. Prints the accuracies on a held-out fifth and draws the
//! losses. Ends with an error where fewer than 95 % of the digits are recognised, or a gradient is off by more than 1e-4. The
//! same options give the same bits.

mod chart;
#[path = "../digits/data.rs"]
mod data;
mod losses;
mod naive;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Parser, value_parser};
use ndarray::{Array2, ArrayView2, Axis};

use chart::Curve;
use data::{CLASSES, Digits, PIXELS};
use losses::{softmax_loss, svm_loss};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/digits.csv");
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/classifier.svg");

/// The part of the held-out digits that is to be recognised.
const TARGET: f64 = 0.95;

/// How far a gradient may be from the differences, relative to both.
const MOST: f64 = 1e-4;

/// Weights whose gradients are checked, and the images that the loss is taken of.
const CHECKED: (usize, usize) = (40, 50);

/// Learns handwritten digits with a linear softmax classifier and a linear support vector machine.
#[derive(Parser)]
struct Args {
    /// Steps of gradient descent.
    #[arg(long, default_value_t = 2000, value_parser = value_parser!(u32).range(1..))]
    iterations: u32,

    /// The strength of the L2 term.
    #[arg(long, default_value_t = 1e-4, value_parser = not_negative)]
    reg: f64,

    /// The number of images per step.
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u32).range(1..))]
    batch: u32,

    /// Decides the first weights and the images of each step.
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Where to draw the losses, as an SVG.
    #[arg(long, default_value = CHART, value_name = "FILE")]
    out: PathBuf,
}

fn not_negative(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|&number: &f64| number >= 0.0 && number.is_finite());
    number.ok_or_else(|| "expected a number of at least 0".into())
}

/// A loss with its gradient with respect to the weights.
type Loss = fn(&Array2<f32>, &ArrayView2<'_, f32>, &[u8], f64) -> Result<(f32, Array2<f32>)>;

/// The same in f64, by the formula as it is written down, without a gradient.
type Naive = fn(&Array2<f64>, &ArrayView2<'_, f32>, &[u8], f64) -> f64;

/// What is learned with.
struct Kind {
    name: &'static str,
    loss: Loss,
    naive: Naive,
    learning_rate: f32,
}

const KINDS: [Kind; 2] = [
    Kind { name: "softmax", loss: softmax_loss, naive: naive::softmax_loss, learning_rate: 1.0 },
    Kind { name: "svm", loss: svm_loss, naive: naive::svm_loss, learning_rate: 0.1 },
];

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("classifier: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let (digits, held_out) = data::split(&data::load(Path::new(DATA))?);
    let mut out = io::stdout();
    writeln!(out, "{} digits to learn from, {} held out", digits.len(), held_out.len())?;
    let mut curves = Vec::new();
    let mut missed = Vec::new();
    for kind in KINDS {
        let mut random = fastrand::Rng::with_seed(args.seed);
        let error = largest_error(&kind, &digits, args.reg, &mut random)?;
        writeln!(out, "{}: gradient checked, largest relative error {error:.1e}", kind.name)?;
        ensure!(error <= MOST, "the gradient of {} is off by {error:e}, more than {MOST:e}", kind.name);
        let (weights, losses) = train(&kind, &digits, args, &mut random)?;
        let last = losses.last().copied().unwrap_or_default();
        let accuracy = 100.0 * accuracy(&weights, &held_out)?;
        writeln!(out, "{}: loss {last:.4}, {accuracy:.2} % of the held-out digits recognised", kind.name)?;
        if accuracy < 100.0 * TARGET {
            missed.push(kind.name);
        }
        curves.push(Curve { name: kind.name, losses });
    }
    chart::write(&args.out, &curves)?;
    writeln!(out, "losses: {}", args.out.display())?;
    ensure!(missed.is_empty(), "{} below the aim of {} %", missed.join(" and "), 100.0 * TARGET);
    Ok(())
}

/// Images with a pixel more that is always 1: its weights are the bias.
fn images(digits: &Digits) -> Result<Array2<f32>> {
    let pixels = ArrayView2::from_shape((digits.len(), PIXELS), &digits.pixels)?;
    let mut images = Array2::ones((digits.len(), PIXELS + 1));
    images.slice_mut(ndarray::s![.., ..PIXELS]).assign(&pixels);
    Ok(images)
}

/// Small weights to start from.
fn first_weights(random: &mut fastrand::Rng) -> Array2<f32> {
    Array2::from_shape_simple_fn((PIXELS + 1, CLASSES), || 0.01 * (random.f32() - 0.5))
}

/// Gradient descent. Gives the weights, and the loss of each step.
fn train(
    kind: &Kind,
    digits: &Digits,
    args: &Args,
    random: &mut fastrand::Rng,
) -> Result<(Array2<f32>, Vec<f32>)> {
    let x = images(digits)?;
    let mut w = first_weights(random);
    let mut losses = Vec::new();
    for _ in 0..args.iterations {
        let rows: Vec<_> = (0..args.batch).map(|_| random.usize(..digits.len())).collect();
        let y: Vec<_> = rows.iter().map(|&row| digits.labels[row]).collect();
        let (loss, dw) = (kind.loss)(&w, &x.select(Axis(0), &rows).view(), &y, args.reg)?;
        ensure!(loss.is_finite(), "the loss of {} is {loss}: try a smaller --reg", kind.name);
        w.scaled_add(-kind.learning_rate, &dw);
        losses.push(loss);
    }
    Ok((w, losses))
}

/// The part of the digits that are recognised.
fn accuracy(w: &Array2<f32>, digits: &Digits) -> Result<f64> {
    let scores = images(digits)?.dot(w);
    let guesses = xent::argmax(xent::Rows::from_ndarray(scores.view(), Axis(1))?)?;
    let right = guesses.iter().zip(&digits.labels).filter(|&(&guess, &label)| guess == usize::from(label));
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 digits")]
    Ok(right.count() as f64 / digits.len() as f64)
}

/// The largest difference of a gradient from that of naive losses in f64, over some weights: of f32 losses a difference would
/// have few digits.
fn largest_error(kind: &Kind, digits: &Digits, reg: f64, random: &mut fastrand::Rng) -> Result<f64> {
    const STEP: f64 = 1e-5;
    let (weights, rows) = CHECKED;
    let x = images(digits)?;
    let (x, y) = (&x.slice(ndarray::s![..rows, ..]), &digits.labels[..rows]);
    let w = first_weights(random);
    let (_, dw) = (kind.loss)(&w, x, y, reg)?;
    let mut largest = 0.0_f64;
    for _ in 0..weights {
        let at = [random.usize(..=PIXELS), random.usize(..CLASSES)];
        let moved = |step: f64| {
            let mut w = w.mapv(f64::from);
            w[at] += step;
            (kind.naive)(&w, x, y, reg)
        };
        let numeric = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
        let analytic = f64::from(dw[at]);
        let sum = numeric.abs() + analytic.abs();
        // A pixel that is never inked has a gradient of the L2 term alone, which differences of losses do not see.
        if sum > 1e-4 {
            largest = largest.max((numeric - analytic).abs() / sum);
        }
    }
    Ok(largest)
}
