//! What losses and gradients of a linear classifier must be: sums of products in f64.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use rayon::prelude::*;
use xent_peers::common::linear::{Problem, Size};
use xent_peers::files::{self, sample_step};

use crate::child::Child;
use crate::reference::{close, run};

/// How far a gradient may be off, as a share of the sum of its terms without their signs: far above what the rounding of
/// logits makes of it, and far below what a wrong label, row or factor does.
const RELATIVE: f64 = 1e-4;

/// So many rows, and so many classes without a label, are checked.
const SOME: usize = 8;

/// Inputs in files, and what decides about the results.
pub struct Input {
    pub size: Size,
    pub folder: PathBuf,
    mean: f64,
    /// Some rows of each, by their numbers, and all of the last.
    of_x: BTreeMap<usize, Vec<Sum>>,
    of_weights: BTreeMap<usize, Vec<Sum>>,
    of_bias: Vec<Sum>,
}

/// A sum, and that of its terms without their signs.
#[derive(Clone, Copy, Default)]
struct Sum {
    value: f64,
    magnitude: f64,
}

impl Sum {
    fn add(&mut self, term: f64) {
        self.value += term;
        self.magnitude += term.abs();
    }

    fn is(self, value: f32) -> bool {
        (f64::from(value) - self.value).abs() <= RELATIVE * self.magnitude
    }
}

impl Input {
    /// Writes the inputs of a size.
    pub fn prepare(size: Size, target: &Path) -> Result<Self> {
        let folder = target.join(format!("inputs/linear-{size}"));
        let problem = Problem::new(size);
        files::write_problem(&folder, &problem)?;
        let Size { rows, classes, features } = size;
        let (mean, gradient) = mean_and_gradient(&problem);
        // Every so many, and the classes of the first labels.
        let every = |count: usize| (0..count).step_by(count.div_ceil(SOME));
        let labels = problem.labels.iter().take(SOME).map(|&label| label as usize);
        let row = |row: usize| {
            let factors = (0..classes).map(|class| gradient[class * rows + row]);
            (row, combination(factors, &problem.weights, features))
        };
        let class = |class: usize| {
            let factors = gradient[class * rows..][..rows].iter().copied();
            (class, combination(factors, &problem.x, features))
        };
        let of_bias = gradient.chunks(rows).map(|of_rows| {
            let mut sum = Sum::default();
            for &term in of_rows {
                sum.add(term);
            }
            sum
        });
        let of_bias = of_bias.take(problem.bias.len()).collect();
        let (of_x, of_weights) =
            (every(rows).map(row).collect(), every(classes).chain(labels).map(class).collect());
        Ok(Self { size, folder, mean, of_x, of_weights, of_bias })
    }

    /// Has a worker run `forward` or `gradients`, by whatever name, and compares what it gives; `false` where it does not
    /// offer it.
    pub fn check(&self, child: &Child, operation: &str) -> Result<bool> {
        let Some(results) = run(child, operation, &self.folder)? else { return Ok(false) };
        let Size { rows, classes, features } = self.size;
        let gradients =
            if operation.starts_with("gradients") { 2 + usize::from(self.size.has_bias()) } else { 0 };
        ensure!(results.len() == 1 + gradients && results[0].len() == 1, "{} results", results.len());
        let (loss, mean) = (results[0][0], self.mean);
        ensure!(close(loss, mean, 1.0), "the mean loss is {loss}, not {mean}");
        if gradients > 0 {
            matrix("x", &results[1], [rows, features], &self.of_x)?;
            matrix("the weights", &results[2], [classes, features], &self.of_weights)?;
        }
        if let Some(of_bias) = results.get(3) {
            ensure!(of_bias.len() == classes, "{} gradients of the bias", of_bias.len());
            let wrong = of_bias.iter().zip(&self.of_bias).position(|(&value, sum)| !sum.is(value));
            ensure!(wrong.is_none(), "the gradient of the bias is wrong at class {wrong:?}");
        }
        Ok(true)
    }
}

/// The mean loss, and its gradient in the logits, class by class.
fn mean_and_gradient(problem: &Problem) -> (f64, Vec<f64>) {
    let Problem { size: Size { rows, classes, features }, x, weights, bias, labels } = problem;
    let (rows, features) = (*rows, *features);
    let mut values = vec![0.0; rows * classes];
    values.par_chunks_mut(rows).zip(weights.par_chunks(features)).enumerate().for_each(|(class, (to, w))| {
        let bias = bias.get(class).copied().map_or(0.0, f64::from);
        for (to, x) in to.iter_mut().zip(x.chunks(features)) {
            *to = dot(x, w) + bias;
        }
    });
    let mut max = vec![f64::NEG_INFINITY; rows];
    for logits in values.chunks(rows) {
        max.iter_mut().zip(logits).for_each(|(max, &x)| *max = max.max(x));
    }
    let mut sums = vec![0.0; rows];
    for logits in values.chunks(rows) {
        sums.iter_mut().zip(logits).zip(&max).for_each(|((sum, x), max)| *sum += (x - max).exp());
    }
    let log_sum_exp: Vec<f64> = sums.iter().zip(max).map(|(sum, max)| max + sum.ln()).collect();
    let own = |(row, &label): (usize, &u32)| log_sum_exp[row] - values[label as usize * rows + row];
    let count = rows as f64;
    let mean = labels.iter().enumerate().map(own).sum::<f64>() / count;
    values.par_chunks_mut(rows).for_each(|of_class| {
        of_class
            .iter_mut()
            .zip(&log_sum_exp)
            .for_each(|(x, log_sum_exp)| *x = (*x - log_sum_exp).exp() / count);
    });
    for (row, &label) in labels.iter().enumerate() {
        values[label as usize * rows + row] -= 1.0 / count;
    }
    (mean, values)
}

/// In sixteen sums, which are added up at once.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0; 16];
    for (a, b) in a.chunks(16).zip(b.chunks(16)) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += f64::from(a) * f64::from(b);
        }
    }
    sums.iter().sum()
}

/// Rows of a matrix, each times its factor, added up.
fn combination(factors: impl Iterator<Item = f64>, matrix: &[f32], columns: usize) -> Vec<Sum> {
    let mut sums = vec![Sum::default(); columns];
    for (factor, row) in factors.zip(matrix.chunks(columns)) {
        sums.iter_mut().zip(row).for_each(|(sum, &value)| sum.add(factor * f64::from(value)));
    }
    sums
}

/// Compares those rows of a gradient, or of its sample, that are known.
fn matrix(
    what: &str,
    values: &[f32],
    [rows, columns]: [usize; 2],
    expected: &BTreeMap<usize, Vec<Sum>>,
) -> Result<()> {
    let step = sample_step(rows * columns);
    ensure!(
        values.len() == (rows * columns).div_ceil(step),
        "{} values of the gradient of {what}",
        values.len()
    );
    for (&row, sums) in expected {
        let first = (row * columns).next_multiple_of(step);
        for place in (first..(row + 1) * columns).step_by(step) {
            let (column, value) = (place - row * columns, values[place / step]);
            let sum = sums[column];
            let right = sum.value;
            ensure!(
                sum.is(value),
                "the gradient of {what} is {value}, not {right}, in row {row}, column {column}"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use xent_peers::common::linear::{Problem, Size};

    use super::{Sum, combination, dot, matrix, mean_and_gradient};

    #[test]
    fn the_gradient_of_a_mean_is_its_slope() {
        let mut problem = Problem::new(Size { rows: 3, classes: 5, features: 4 });
        let (mean, gradient) = mean_and_gradient(&problem);
        let step = 1e-3;
        problem.bias[2] += step;
        let slope = (mean_and_gradient(&problem).0 - mean) / f64::from(step);
        let of_bias: f64 = gradient[2 * 3..3 * 3].iter().sum();
        assert!((slope - of_bias).abs() < 1e-3, "{slope} {of_bias}");
    }

    #[test]
    fn sums_are_those_of_all_products() {
        let values: Vec<f32> = (0_u8..20).map(f32::from).collect();
        assert!((dot(&values, &values) - 2470.0).abs() < 1e-12);
        let sums = combination([1.0, -2.0].into_iter(), &values[..4], 2);
        assert!((sums[1].value - -5.0).abs() < 1e-12 && (sums[1].magnitude - 7.0).abs() < 1e-12);
    }

    #[test]
    fn a_wrong_value_of_a_gradient_is_found() {
        let expected = [(1, vec![Sum { value: 2.0, magnitude: 4.0 }; 2])].into();
        assert!(matrix("x", &[9.0, 9.0, 2.0, 2.0001], [2, 2], &expected).is_ok());
        assert!(matrix("x", &[9.0, 9.0, 2.0, 2.001], [2, 2], &expected).is_err());
    }
}
