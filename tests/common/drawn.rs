//! Options of a loss, drawn at random, and what they are for the oracle.

use fastrand::Rng;
use xent::{CrossEntropy, Denominator, DenseGradient, Reduction, Smoothing};

use super::composite::{Composite, Row};

/// Labels of ignored rows.
pub const IGNORED: [i64; 2] = [-100, 1 << 40];

/// Options as they were drawn.
#[derive(Clone, Debug)]
pub struct Drawn {
    pub class_weights: Option<Vec<f32>>,
    pub row_weights: Option<Vec<f32>>,
    /// One mask for all rows, or one for each.
    pub mask: Option<Vec<bool>>,
    pub smoothing: (f64, Smoothing),
    pub z_loss: f64,
    pub scale: f64,
    pub cap: Option<f64>,
    pub dense_gradient: DenseGradient,
    pub denominator: Denominator,
}

/// Weights of which some are 0.
fn weights(len: usize, rng: &mut Rng) -> Vec<f32> {
    (0..len).map(|_| if rng.u8(..5) == 0 { 0.0 } else { rng.f32() * 3.0 }).collect()
}

impl Drawn {
    pub fn new(rows: usize, classes: usize, seed: u64) -> Self {
        let rng = &mut Rng::with_seed(seed);
        let mask = |len: usize, rng: &mut Rng| (0..len).map(|_| rng.u8(..4) != 0).collect::<Vec<_>>();
        Self {
            class_weights: rng.bool().then(|| weights(classes, rng)),
            row_weights: rng.bool().then(|| weights(rows, rng)),
            mask: match rng.u8(..4) {
                0 => Some(mask(classes, rng)),
                1 => Some(mask(rows * classes, rng)),
                _ => None,
            },
            smoothing: match rng.u8(..4) {
                0 => (0.1, Smoothing::Uniform),
                1 => (0.3, Smoothing::Others),
                2 => (1.0, Smoothing::Uniform),
                _ => (0.0, Smoothing::Uniform),
            },
            z_loss: if rng.u8(..3) == 0 { 1e-2 } else { 0.0 },
            scale: if rng.u8(..3) == 0 { 0.7 } else { 1.0 },
            cap: (rng.u8(..4) == 0).then_some(30.0),
            dense_gradient: if rng.u8(..4) == 0 {
                DenseGradient::ProbabilitiesMinusLabels
            } else {
                DenseGradient::Derivative
            },
            denominator: match rng.u8(..4) {
                0 => Denominator::UsedRows,
                1 => Denominator::Weights,
                2 => Denominator::AllRows,
                _ => Denominator::Given(7.5),
            },
        }
    }

    /// As options of a loss.
    pub fn apply<'a>(&'a self, loss: CrossEntropy<'a>, classes: usize) -> CrossEntropy<'a> {
        let valid = "options as they may be";
        let mut loss = loss
            .label_smoothing(self.smoothing.0, self.smoothing.1)
            .and_then(|loss| loss.z_loss(self.z_loss))
            .and_then(|loss| loss.logit_scale(self.scale))
            .and_then(|loss| loss.denominator(self.denominator))
            .expect(valid)
            .dense_gradient(self.dense_gradient);
        if let Some(weights) = &self.class_weights {
            loss = loss.class_weights(weights).expect(valid);
        }
        if let Some(weights) = &self.row_weights {
            loss = loss.row_weights(weights).expect(valid);
        }
        if let Some(mask) = &self.mask {
            loss = if mask.len() == classes { loss.class_mask(mask) } else { loss.row_class_masks(mask) };
        }
        match self.cap {
            Some(cap) => loss.soft_cap(cap).expect(valid),
            None => loss,
        }
    }

    /// As they are for one row.
    pub fn of_row(&self, row: usize, classes: usize) -> Composite<'_> {
        let keep = match &self.mask {
            None => vec![true; classes],
            Some(mask) if mask.len() == classes => mask.clone(),
            Some(mask) => mask[row * classes..][..classes].to_vec(),
        };
        Composite {
            class_weights: self.class_weights.as_deref(),
            row_weight: self.row_weights.as_ref().map_or(1.0, |weights| weights[row].into()),
            keep,
            smoothing: (self.smoothing.0, self.smoothing.1 == Smoothing::Others),
            z_loss: self.z_loss,
            scale: self.scale,
            cap: self.cap,
            unit_mass: self.dense_gradient == DenseGradient::ProbabilitiesMinusLabels,
        }
    }

    /// The weight of a row, with its label if it has one.
    pub fn weight(&self, row: usize, label: Option<usize>) -> f64 {
        let class =
            |label: usize| self.class_weights.as_ref().map_or(1.0, |weights| f64::from(weights[label]));
        self.row_weights.as_ref().map_or(1.0, |weights| f64::from(weights[row])) * label.map_or(1.0, class)
    }

    /// Where the soft cap's hyperbolic tangent is rounded the other way, each logit is off by an ULP, and each
    /// probability by as many as the logit has.
    pub fn slack(&self, row: &Row) -> f64 {
        if self.cap.is_some() { 2.0 * (1.0 + row.magnitude) } else { 0.0 }
    }
}

/// What the gradient of a row is multiplied by for the reduction.
pub fn factor(drawn: &Drawn, reduction: Reduction, upstream: f64, totals: (f64, f64, f64)) -> f64 {
    let (used, weight_sum, rows) = totals;
    let denominator = match (reduction, drawn.denominator) {
        (Reduction::None | Reduction::Sum, _) => 1.0,
        (_, Denominator::UsedRows) => used,
        (_, Denominator::Weights) => weight_sum,
        (_, Denominator::AllRows) => rows,
        (_, Denominator::Given(number)) => number,
        (_, other) => panic!("a denominator that this test does not know: {other:?}"),
    };
    // Nothing to have a gradient.
    if denominator == 0.0 { 0.0 } else { upstream / denominator }
}
