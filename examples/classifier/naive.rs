//! The two losses as they are written down, in f64: what gradients are checked against.

use ndarray::{Array2, ArrayView2};

/// The mean over the rows of `of_row(scores, label)`, with `reg sum W^2`.
fn mean(
    w: &Array2<f64>,
    x: &ArrayView2<'_, f32>,
    y: &[u8],
    reg: f64,
    of_row: impl Fn(&[f64], usize) -> f64,
) -> f64 {
    let scores = x.mapv(f64::from).dot(w);
    let rows = scores.rows().into_iter().zip(y);
    let sum: f64 = rows.map(|(scores, &label)| of_row(&scores.to_vec(), label.into())).sum();
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 rows")]
    let count = y.len() as f64;
    sum / count + reg * w.iter().map(|w| w * w).sum::<f64>()
}

/// `-ln (e^(s_y) / sum e^(s_j))`.
pub(crate) fn softmax_loss(w: &Array2<f64>, x: &ArrayView2<'_, f32>, y: &[u8], reg: f64) -> f64 {
    mean(w, x, y, reg, |scores, label| {
        let sum: f64 = scores.iter().map(|score| score.exp()).sum();
        sum.ln() - scores[label]
    })
}

/// `sum over j != y of max(0, s_j - s_y + 1)`.
pub(crate) fn svm_loss(w: &Array2<f64>, x: &ArrayView2<'_, f32>, y: &[u8], reg: f64) -> f64 {
    mean(w, x, y, reg, |scores, label| {
        let margins = scores.iter().map(|score| (score - scores[label] + 1.0).max(0.0));
        // That of the label itself is 1.
        margins.sum::<f64>() - 1.0
    })
}
