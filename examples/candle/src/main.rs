//! A linear classifier in candle whose loss is xent's, beside the same one with candle's own.
//!
//! ```sh
//! cargo run --release --manifest-path examples/candle/Cargo.toml --target-dir target
//! ```

mod loss;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use candle_core::{Device, Tensor, Var};
use xent::{CrossEntropy, Reduction};

fn mean() -> CrossEntropy<'static> {
    CrossEntropy::new().reduction(Reduction::Mean).ignore_index(-100)
}

fn largest_difference(a: &Tensor, b: &Tensor) -> Result<f32> {
    Ok((a - b)?.abs()?.flatten_all()?.max(0)?.to_scalar()?)
}

/// Losses and gradients of both, for logits that are made from a variable by `make`: in order, turned, or a part of them.
fn compare(what: &str, rows: usize, classes: usize, make: impl Fn(&Tensor) -> Result<Tensor>) -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(7);
    let values: Vec<f32> = (0..rows * classes).map(|_| rng.f32() * 8.0 - 4.0).collect();
    let given = Var::from_vec(values, (rows, classes), &Device::Cpu)?;
    let logits = make(&given)?;
    let (rows, classes) = logits.dims2()?;
    let labels: Vec<i64> = (0..rows).map(|row| ((row * 31) % classes).cast_signed() as i64).collect();
    let targets: Vec<u32> = labels.iter().map(|&label| u32::try_from(label)).collect::<Result<_, _>>()?;
    let targets = Tensor::from_vec(targets, rows, &Device::Cpu)?;

    let (own, theirs) =
        (loss::cross_entropy(&logits, &labels, mean())?, candle_nn::loss::cross_entropy(&logits, &targets)?);
    let value = own.to_scalar::<f32>()?;
    let off = (value - theirs.to_scalar::<f32>()?).abs();
    // Twice the loss, so that an upstream gradient is not 1.
    let gradient = |loss: &Tensor| -> Result<Tensor> {
        let gradients = (loss * 2.0)?.backward()?;
        gradients.get(&given).cloned().ok_or_else(|| anyhow::anyhow!("no gradient"))
    };
    let of_gradient = largest_difference(&gradient(&own)?, &gradient(&theirs)?)?;
    println!("{what}, {rows} x {classes}: loss {value} differs by {off:.1e}, gradient by {of_gradient:.1e}");
    ensure!(off <= 2e-6 && of_gradient <= 1e-6, "more than rounding");

    let time = |step: &dyn Fn() -> Result<Tensor>| -> Result<Duration> {
        let mut least = Duration::MAX;
        for _ in 0..5 {
            let start = Instant::now();
            gradient(&step()?)?;
            least = least.min(start.elapsed());
        }
        Ok(least)
    };
    let own = time(&|| Ok(loss::cross_entropy(&logits, &labels, mean())?))?;
    let theirs = time(&|| Ok(candle_nn::loss::cross_entropy(&logits, &targets)?))?;
    println!("    forward and backward: {own:.1?}, candle's own {theirs:.1?}");
    Ok(())
}

/// Trains a classifier of points on a circle, and gives its last loss.
fn train(loss: impl Fn(&Tensor) -> Result<Tensor>, points: &Tensor) -> Result<f32> {
    let weights = Var::zeros((2, CLASSES), candle_core::DType::F32, &Device::Cpu)?;
    let mut last = f32::NAN;
    for _ in 0..200 {
        let value = loss(&points.matmul(&weights)?)?;
        let gradients = value.backward()?;
        let Some(gradient) = gradients.get(&weights) else { anyhow::bail!("no gradient") };
        weights.set(&(weights.as_tensor() - (gradient * 2.0)?)?)?;
        last = value.to_scalar()?;
    }
    Ok(last)
}

const CLASSES: usize = 5;

fn main() -> Result<()> {
    compare("rows", 64, 1000, |x| Ok(x.clone()))?;
    compare("columns", 300, 40, |x| Ok(x.t()?))?;
    compare("a part of each row", 64, 200, |x| Ok(x.narrow(1, 50, 100)?))?;

    // Points in five directions.
    let (mut points, mut labels) = (Vec::new(), Vec::new());
    for point in 0..200_u16 {
        let class = usize::from(point) % CLASSES;
        let angle = (f32::from(point % 5) + f32::from(point) / 300.0) * std::f32::consts::TAU / 5.0;
        points.extend([angle.cos(), angle.sin()]);
        labels.push(class.cast_signed() as i64);
    }
    let points = Tensor::from_vec(points, (labels.len(), 2), &Device::Cpu)?;
    let targets: Vec<u32> = labels.iter().map(|&label| u32::try_from(label)).collect::<Result<_, _>>()?;
    let targets = Tensor::from_vec(targets, labels.len(), &Device::Cpu)?;
    let own = train(|logits| Ok(loss::cross_entropy(logits, &labels, mean())?), &points)?;
    let theirs = train(|logits| Ok(candle_nn::loss::cross_entropy(logits, &targets)?), &points)?;
    println!("after 200 steps of training: {own:.6}, with candle's own loss {theirs:.6}");
    ensure!((own - theirs).abs() <= 1e-4 && own < 0.5, "other training");

    // What is next to 0.
    let sure = Tensor::new(&[[20_f32, 0.0]], &Device::Cpu)?;
    let own: f32 = loss::cross_entropy(&sure, &[0], mean())?.to_scalar()?;
    let theirs: f32 =
        candle_nn::loss::cross_entropy(&sure, &Tensor::new(&[0_u32], &Device::Cpu)?)?.to_scalar()?;
    println!("the loss of (20, 0): {own:e}, candle's own {theirs:e}");
    ensure!((own - 2.061_153_7e-9).abs() < 1e-15, "a tiny loss is off");
    Ok(())
}
