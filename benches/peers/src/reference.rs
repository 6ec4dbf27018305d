//! What the results must be: the textbook formulas in f64.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use rayon::prelude::*;
use xent_peers::common::operations::Buffers;
use xent_peers::common::shape::Shape;
use xent_peers::files::{self, sample, sample_step};

use crate::child::Child;

/// Far above the rounding of any of the libraries (a difference of f32 logits, magnified by the
/// exponential, is off by up to 80 ULP or 1e-5, and a sum of f32 over a row by as much), and far below
/// what a wrong label, row or factor does.
const RELATIVE: f64 = 1e-4;
/// For differences of nearly equal numbers, such as a gradient next to zero.
const ABSOLUTE: f64 = 2e-6;

/// Inputs in files, and what decides about the results.
pub struct Input {
    pub shape: Shape,
    pub folder: PathBuf,
    rows: Vec<Row>,
    labels: Vec<u32>,
    /// Samples.
    logits: Vec<f32>,
    distributions: Vec<f32>,
}

/// What is known of a row.
struct Row {
    log_sum_exp: f64,
    sparse_loss: f64,
    dense_loss: f64,
    mass: f64,
}

impl Input {
    /// Writes the inputs of a shape.
    pub fn prepare(shape: Shape, target: &Path) -> Result<Self> {
        let folder = target.join(format!("inputs/{shape}"));
        let inputs = Buffers::new(shape);
        files::write_inputs(&folder, &inputs)?;
        let row = |row: usize| {
            let of = |values: &[f32]| -> Vec<f32> {
                (0..shape.classes).map(|class| values[shape.position(row, class)]).collect()
            };
            Row::new(&of(&inputs.logits), &of(&inputs.distributions), inputs.labels[row] as usize)
        };
        let rows = (0..shape.rows).into_par_iter().map(row).collect();
        let [logits, distributions] = [&inputs.logits, &inputs.distributions].map(|values| sample(values));
        Ok(Self { shape, folder, rows, labels: inputs.labels, logits, distributions })
    }
}

/// That of a row.
pub fn log_sum_exp(x: &[f32]) -> f64 {
    let max = f64::from(x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = x.iter().map(|&x| (f64::from(x) - max).exp()).sum();
    max + sum.ln()
}

impl Row {
    fn new(x: &[f32], t: &[f32], label: usize) -> Self {
        let log_sum_exp = log_sum_exp(x);
        let dense_loss = x.iter().zip(t).map(|(&x, &t)| f64::from(t) * (log_sum_exp - f64::from(x))).sum();
        let mass = t.iter().copied().map(f64::from).sum();
        Self { log_sum_exp, sparse_loss: log_sum_exp - f64::from(x[label]), dense_loss, mass }
    }
}

/// What a worker's operation gives; `None` where it does not offer it.
pub fn run(child: &Child, operation: &str, folder: &Path) -> Result<Option<Vec<Vec<f32>>>> {
    let Some(count) = child.check(operation, folder)? else { return Ok(None) };
    let paths: Vec<_> = (0..count).map(|index| folder.join(files::result_name(index))).collect();
    let results = paths.iter().map(|path| files::read(path)).collect::<Result<_>>()?;
    for path in paths {
        fs::remove_file(path)?;
    }
    Ok(Some(results))
}

/// Has a worker run an operation and compares what it gives; `false` where it does not offer it.
pub fn check(child: &Child, operation: &str, input: &Input) -> Result<bool> {
    let Some(results) = run(child, operation, &input.folder)? else { return Ok(false) };
    // Without program and backend.
    let name = operation.split_once(':').map_or(operation, |(_, name)| name);
    let operation = name.split_once('@').map_or(name, |(name, _)| name);
    let matrix = operation.contains("softmax") || operation.contains("gradient");
    let losses = operation.contains("loss");
    ensure!(results.len() == usize::from(losses) + usize::from(matrix), "{} results", results.len());
    let mut scale = 1.0;
    if losses {
        scale = check_losses(&results[0], operation, input)?;
    }
    if matrix && let Some(values) = results.last() {
        check_matrix(values, operation, scale, input)?;
    }
    Ok(true)
}

/// Losses are one for each row, or their mean: then gradients are those of the mean. The factor.
fn check_losses(losses: &[f32], operation: &str, input: &Input) -> Result<f64> {
    let sparse = operation.starts_with("sparse");
    let expected: Vec<f64> =
        input.rows.iter().map(|row| if sparse { row.sparse_loss } else { row.dense_loss }).collect();
    if losses.len() == expected.len() {
        for (row, (&loss, &expected)) in losses.iter().zip(&expected).enumerate() {
            ensure!(close(loss, expected, 1.0), "loss of row {row} is {loss}, not {expected}");
        }
        return Ok(1.0);
    }
    let count = expected.len() as f64;
    let mean = expected.iter().sum::<f64>() / count;
    ensure!(losses.len() == 1, "{} losses", losses.len());
    ensure!(close(losses[0], mean, 1.0), "the mean loss is {}, not {mean}", losses[0]);
    Ok(1.0 / count)
}

fn check_matrix(values: &[f32], operation: &str, scale: f64, input: &Input) -> Result<()> {
    let Input { shape, rows, labels, logits, distributions, .. } = input;
    ensure!(values.len() == logits.len(), "{} results", values.len());
    let step = sample_step(shape.logits());
    let wrong = values.par_iter().enumerate().find_first(|&(index, &value)| {
        let (row, class) = shape.indices(index * step);
        let distance = f64::from(logits[index]) - rows[row].log_sum_exp;
        let expected = match operation {
            "softmax" | "softmax_in_place" => distance.exp(),
            "log_softmax" => distance,
            "sparse_loss_and_gradient" => distance.exp() - f64::from(u8::from(labels[row] as usize == class)),
            _ => distance.exp() * rows[row].mass - f64::from(distributions[index]),
        };
        !close(value, expected * scale, scale)
    });
    match wrong {
        None => Ok(()),
        Some((index, value)) => {
            let (row, class) = shape.indices(index * step);
            anyhow::bail!("row {row}, class {class} is {value}, which is wrong")
        }
    }
}

/// Whether a value is what it must be, but for the rounding of f32.
pub fn close(value: f32, expected: f64, scale: f64) -> bool {
    (f64::from(value) - expected).abs() <= RELATIVE * expected.abs() + ABSOLUTE * scale
}

#[cfg(test)]
mod tests {
    use super::{Row, close};

    #[test]
    fn a_row_has_the_values_of_the_textbook() {
        let row = Row::new(&[1.0, 2.0, 3.0], &[0.25, 0.25, 0.5], 2);
        // ln(e + e^2 + e^3), and the formulas by hand.
        assert!((row.log_sum_exp - 3.407_605_964_444_38).abs() < 1e-14);
        assert!((row.sparse_loss - 0.407_605_964_444_38).abs() < 1e-14);
        assert!((row.dense_loss - (3.407_605_964_444_38 - 2.25)).abs() < 1e-14);
        assert!((row.mass - 1.0).abs() < 1e-15);
    }

    #[test]
    fn rounding_is_close_and_mistakes_are_not() {
        assert!(close(0.500_01, 0.5, 1.0));
        assert!(!close(0.5002, 0.5, 1.0));
        assert!(!close(0.0, 1.0 / 32_000.0, 1.0));
        assert!(!close(f32::NAN, 0.5, 1.0));
        // The gradient of a sum in the place of that of a mean.
        assert!(!close(0.001, 0.001 / 1024.0, 1.0 / 1024.0));
    }
}
