//! The two losses by `xent`: `loss, dW` of `W` (features × classes), `X` (rows × features), `y` and `reg`.

use anyhow::Result;
use ndarray::{Array2, ArrayView2, Axis};
use xent::{
    CrossEntropy, Hinge, Linear, LinearCrossEntropy, LinearGradients, LinearResults, Reduction, Rows, RowsMut,
};

/// The mean softmax cross-entropy of `X W`, with `reg sum W^2`. The scores are never stored.
pub(crate) fn softmax_loss(
    w: &Array2<f32>,
    x: &ArrayView2<'_, f32>,
    y: &[u8],
    reg: f64,
) -> Result<(f32, Array2<f32>)> {
    let mut dw = Array2::zeros(w.dim());
    let linear = Linear::new(Rows::from_ndarray(x.view(), Axis(1))?, Rows::from_ndarray(w.view(), Axis(0))?)?;
    let gradients = LinearGradients::new().weights(RowsMut::from_ndarray(dw.view_mut(), Axis(0))?);
    let mean = CrossEntropy::new().reduction(Reduction::Mean);
    let loss = LinearCrossEntropy::new(mean).l2(reg)?;
    let summary = loss.loss_and_gradients_into(y, linear, LinearResults::new(), gradients)?;
    Ok((summary.value, dw))
}

/// The mean hinge loss of `X W` with a margin of 1, with `reg sum W^2`: the scores' gradient is `xent`'s, the rest the chain rule.
#[expect(clippy::cast_possible_truncation, reason = "losses and weights are f32")]
pub(crate) fn svm_loss(
    w: &Array2<f32>,
    x: &ArrayView2<'_, f32>,
    y: &[u8],
    reg: f64,
) -> Result<(f32, Array2<f32>)> {
    let scores = x.dot(w);
    let mut losses = vec![0.0; y.len()];
    let mut dscores = Array2::zeros(scores.dim());
    let summary = Hinge::new().reduction(Reduction::Mean).loss_and_gradient_into(
        y,
        Rows::from_ndarray(scores.view(), Axis(1))?,
        &mut losses,
        RowsMut::from_ndarray(dscores.view_mut(), Axis(1))?,
    )?;
    let mut dw = x.t().dot(&dscores);
    dw.scaled_add(2.0 * reg as f32, w);
    let squares: f64 = w.iter().map(|&w| f64::from(w) * f64::from(w)).sum();
    Ok((summary.value + (reg * squares) as f32, dw))
}
