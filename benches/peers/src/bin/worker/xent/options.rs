//! Loss and gradient with one option.

use anyhow::{Result, bail};
use xent::{CrossEntropy, Rows, RowsMut, Smoothing};
use xent_peers::common::operations::Buffers;

use super::inputs::{IGNORED, Others};

/// So many calls.
pub fn repeat(buffers: &mut Buffers, others: &mut Others, option: &str, calls: u32) -> Result<()> {
    let Buffers { shape, logits, labels, results, row_results: losses, .. } = buffers;
    let (rows, classes) = (shape.rows, shape.classes);
    let weights: Vec<f32> = (0..classes).map(|class| if class % 2 == 0 { 1.5 } else { 0.5 }).collect();
    let upstream: Vec<f32> = (0..rows).map(|row| if row % 2 == 0 { 1.5 } else { -0.5 }).collect();
    let mask: Vec<bool> = (0..classes).map(|class| class % 8 != 7).collect();
    let labels = match option {
        "ignored_rows" => others.half(labels),
        "class_mask" => others.unmasked(labels, &mask),
        _ => labels,
    };
    let plain = CrossEntropy::new();
    let entropy = match option {
        "no_option" => plain,
        "z_loss" => plain.z_loss(1e-4)?,
        "class_weights" => plain.class_weights(&weights)?,
        "upstream" => plain.upstream(&upstream),
        "ignored_rows" => plain.ignore_index(IGNORED.into()),
        "label_smoothing" => plain.label_smoothing(0.1, Smoothing::Uniform)?,
        "class_mask" => plain.class_mask(&mask),
        "logit_scale" => plain.logit_scale(0.5)?,
        "soft_cap" => plain.soft_cap(30.0)?,
        _ => bail!("no option {option}"),
    };
    for _ in 0..calls {
        let logits = Rows::new(logits, rows, classes)?;
        let gradient = RowsMut::new(results, rows, classes)?;
        entropy.loss_and_gradient_into(&labels[..], logits, losses, gradient)?;
    }
    Ok(())
}
