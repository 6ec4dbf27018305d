//! Multiclass hinge: `sum over j != y of max(0, d - x_y + x_j)^p` for a margin `d`, times the row's weight, and its
//! gradient `p max(0, d - x_y + x_j)^(p-1)`, at the label minus the sum of the others.

use super::row_loss::{Given, RowFormula};
use super::share::narrow;
use super::weights::weighed;
use crate::simd::LANES;

#[derive(Clone, Copy)]
pub(crate) struct Hinge {
    pub(crate) margin: f64,
    /// Whether the power is 2, not 1.
    pub(crate) squared: bool,
    /// What every loss is multiplied by.
    pub(crate) share: f64,
}

impl RowFormula for Hinge {
    #[inline(always)]
    fn row(&self, given: &Given<'_>, mut gradient: Option<&mut [f32]>) -> f32 {
        let Given { inputs: logits, label, weights, .. } = *given;
        let factor = self.share * weights.of_class(label);
        let (weight, scale) = (given.weight * factor, given.scale * factor);
        let distance = self.margin - f64::from(logits[label]);
        let (mut sums, mut slopes) = ([0.0; LANES], [0.0; LANES]);
        for start in (0..logits.len()).step_by(LANES) {
            // What is not there, and the label, is far from every margin.
            let mut x = [f64::NEG_INFINITY; LANES];
            for (to, logit) in x.iter_mut().zip(&logits[start..]) {
                *to = f64::from(*logit);
            }
            if let Some(x) = label.checked_sub(start).and_then(|lane| x.get_mut(lane)) {
                *x = f64::NEG_INFINITY;
            }
            let mut values = [0.0; LANES];
            for i in 0..LANES {
                // A class of -inf takes no part, whatever the label's logit. NaN does.
                let over = if x[i] == f64::NEG_INFINITY { 0.0 } else { distance + x[i] };
                let over = if over < 0.0 { 0.0 } else { over };
                let step = if over > 0.0 { 1.0 } else { over };
                sums[i] += if self.squared { over * over } else { over };
                let slope = if self.squared { 2.0 * over } else { step };
                slopes[i] += slope;
                values[i] = narrow(weighed(scale, slope));
            }
            if let Some(to) = &mut gradient {
                let to = &mut to[start..];
                let len = to.len().min(LANES);
                to[..len].copy_from_slice(&values[..len]);
            }
        }
        if let Some(to) = gradient {
            to[label] = narrow(0.0 - weighed(scale, slopes.iter().sum()));
        }
        narrow(weighed(weight, if distance.is_nan() { distance } else { sums.iter().sum() }))
    }
}
