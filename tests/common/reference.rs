//! The oracle: every operation on one row in f64, naive, sharing nothing with the crate.
//!
//! Where the textbook's form cancels, it is not used: with the row's maximum `m` (one occurrence of it)
//! and `rest`, the sum of `e^(x_j - m)` over the other classes, `-ln softmax_i` is
//! `(m - x_i) + ln(1 + rest)`, two parts that are not negative.
//!
//! A row that holds NaN or `+inf`, or nothing but `-inf`, has NaN for results.

/// The index of the first NaN, else of the first largest value.
pub fn argmax<T: Copy + Into<f64>>(row: &[T]) -> usize {
    let row = wide(row);
    if let Some(nan) = row.iter().position(|x| x.is_nan()) {
        return nan;
    }
    (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
}

/// The largest value; NaN if one is.
pub fn row_max<T: Copy + Into<f64>>(row: &[T]) -> f64 {
    row[argmax(row)].into()
}

/// `ln sum e^(x_j)`, with its limits: `+inf` for a row that holds it, `-inf` for one of nothing else.
pub fn log_sum_exp<T: Copy + Into<f64>>(row: &[T]) -> f64 {
    let max = row_max(row);
    if max.is_finite() { max + rest(row).ln_1p() } else { max }
}

/// `e^(x_i) / sum e^(x_j)`.
pub fn softmax<T: Copy + Into<f64>>(row: &[T]) -> Vec<f64> {
    let Some(max) = finite_max(row) else { return vec![f64::NAN; row.len()] };
    let sum = 1.0 + rest(row);
    wide(row).iter().map(|x| (x - max).exp() / sum).collect()
}

/// `-ln softmax_i`: the sparse loss of every label, and the gradient of the dense loss with respect to
/// the labels.
pub fn losses<T: Copy + Into<f64>>(row: &[T]) -> Vec<f64> {
    let Some(max) = finite_max(row) else { return vec![f64::NAN; row.len()] };
    let of_max = rest(row).ln_1p();
    wide(row).iter().map(|x| (max - x) + of_max).collect()
}

/// `x_i - ln sum e^(x_j)`.
pub fn log_softmax<T: Copy + Into<f64>>(row: &[T]) -> Vec<f64> {
    losses(row).iter().map(|loss| -loss).collect()
}

/// `ln sum e^(x_j) - x_y`.
pub fn sparse_loss<T: Copy + Into<f64>>(label: usize, row: &[T]) -> f64 {
    losses(row)[label]
}

/// `softmax_i - [i == y]`; at the label, minus the probability of all others.
pub fn sparse_gradient<T: Copy + Into<f64>>(label: usize, row: &[T]) -> Vec<f64> {
    let mut gradient = softmax(row);
    if finite_max(row).is_none() {
        return gradient;
    }
    let others: f64 = gradient.iter().enumerate().filter(|&(i, _)| i != label).map(|(_, p)| p).sum();
    gradient[label] = -others;
    gradient
}

/// `sum t_i (ln sum e^(x_j) - x_i)`; a label of 0 contributes 0.
pub fn dense_loss<L: Copy + Into<f64>, T: Copy + Into<f64>>(labels: &[L], row: &[T]) -> f64 {
    if finite_max(row).is_none() {
        return f64::NAN;
    }
    wide(labels).iter().zip(losses(row)).filter(|&(&t, _)| t != 0.0).map(|(t, loss)| t * loss).sum()
}

/// `softmax_i sum(t) - t_i`.
pub fn dense_gradient<T: Copy + Into<f64>>(labels: &[f32], row: &[T]) -> Vec<f64> {
    let mass = mass(labels);
    softmax(row).iter().zip(labels).map(|(p, &t)| p * mass - f64::from(t)).collect()
}

/// `sum(t)`.
pub fn mass(labels: &[f32]) -> f64 {
    labels.iter().map(|&t| f64::from(t)).sum()
}

/// `y_i (g_i - sum y_j g_j)`; a class of probability 0 takes no part.
pub fn softmax_gradient(output: &[f32], upstream: &[f32]) -> Vec<f64> {
    let product = |y: f32, g: f64| if y == 0.0 { 0.0 } else { f64::from(y) * g };
    let dot: f64 = output.iter().zip(upstream).map(|(&y, &g)| product(y, f64::from(g))).sum();
    output.iter().zip(upstream).map(|(&y, &g)| product(y, f64::from(g) - dot)).collect()
}

/// `g_i - e^(z_i) sum g_j`.
pub fn log_softmax_gradient(output: &[f32], upstream: &[f32]) -> Vec<f64> {
    let sum = mass(upstream);
    output.iter().zip(upstream).map(|(&z, &g)| f64::from(g) - f64::from(z).exp() * sum).collect()
}

/// The largest logit of a row that has a softmax.
fn finite_max<T: Copy + Into<f64>>(row: &[T]) -> Option<f64> {
    Some(row_max(row)).filter(|max| max.is_finite())
}

/// `sum e^(x_j - m)` over all classes but the first of the largest.
fn rest<T: Copy + Into<f64>>(row: &[T]) -> f64 {
    let top = argmax(row);
    let max = row_max(row);
    wide(row).iter().enumerate().filter(|&(i, _)| i != top).map(|(_, x)| (x - max).exp()).sum()
}

fn wide<T: Copy + Into<f64>>(row: &[T]) -> Vec<f64> {
    row.iter().map(|&x| x.into()).collect()
}
