//! Inputs beside the ordinary ones, made when they are first asked for.

use anyhow::{Result, bail};
use xent_peers::common::operations::Buffers;

/// A label that no class has.
pub const IGNORED: u32 = u32::MAX;

#[derive(Default)]
pub struct Others {
    far: Vec<f32>,
    masked: Vec<f32>,
    half: Vec<u32>,
    unmasked: Vec<u32>,
}

impl Others {
    /// Logits that a kernel must take more care of.
    pub fn logits(&mut self, kind: &str, buffers: &Buffers) -> Result<&mut Vec<f32>> {
        let logits = &buffers.logits;
        Ok(match kind {
            // Around 10 000.
            "far" => filled(&mut self.far, || logits.iter().map(|x| x + 1e4).collect()),
            // A third of the classes is -inf, but never the label's.
            "masked" => filled(&mut self.masked, || {
                let masked = |(place, &x): (usize, &f32)| {
                    let (row, class) = buffers.shape.indices(place);
                    let is_label = buffers.labels[row] as usize == class;
                    if (row + class) % 3 == 0 && !is_label { f32::NEG_INFINITY } else { x }
                };
                logits.iter().enumerate().map(masked).collect()
            }),
            _ => bail!("no logits {kind}"),
        })
    }

    /// Labels of which half are ignored, in no order.
    pub fn half(&mut self, labels: &[u32]) -> &mut Vec<u32> {
        let half = |&label: &u32| if label % 2 == 0 { label } else { IGNORED };
        filled(&mut self.half, || labels.iter().map(half).collect())
    }

    /// Labels that are not in the mask.
    pub fn unmasked(&mut self, labels: &[u32], mask: &[bool]) -> &mut Vec<u32> {
        let unmasked = |&label: &u32| if mask[label as usize] { label } else { 0 };
        filled(&mut self.unmasked, || labels.iter().map(unmasked).collect())
    }
}

fn filled<T>(values: &mut Vec<T>, make: impl FnOnce() -> Vec<T>) -> &mut Vec<T> {
    if values.is_empty() {
        *values = make();
    }
    values
}
