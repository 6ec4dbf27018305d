//! The oracle of a loss with options: one row in f64, naive.

use super::reference::{log_sum_exp, losses, row_max, softmax};
use super::ulp::{count, round, size};

/// What a row is compared with.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    Class(usize),
    Dense(&'a [f32]),
}

/// The options of a loss for one row.
#[derive(Clone, Debug)]
pub struct Composite<'a> {
    pub class_weights: Option<&'a [f32]>,
    pub row_weight: f64,
    /// Classes that take part.
    pub keep: Vec<bool>,
    /// How much is smoothed, and whether over the other classes alone.
    pub smoothing: (f64, bool),
    pub z_loss: f64,
    pub scale: f64,
    pub cap: Option<f64>,
    /// Whether the gradient takes the masses of distributions to add up to 1.
    pub unit_mass: bool,
}

/// The loss and the gradient of a row, with the larger part of each gradient's difference.
#[derive(Clone, Debug)]
pub struct Row {
    pub loss: f64,
    /// What the loss would be without the signs of its parts: masses are negative where more is smoothed over the
    /// others than there is.
    pub unsigned_loss: f64,
    pub gradient: Vec<f64>,
    pub parts: Vec<f64>,
    /// The gradient with respect to dense labels.
    pub label_gradient: Vec<f64>,
    /// The largest logit that softmax is taken of, without its sign.
    pub magnitude: f64,
    /// How far the z-loss may be off, and its part of the gradient: it is as good as the log-sum-exp, to 2 ULP of it,
    /// of the largest logit, or of 1.
    pub z_slack: (f64, f64),
}

impl Composite<'_> {
    /// The logits that softmax is taken of, rounded to f32 as the contract says, and their derivatives.
    pub fn mapped(&self, row: &[f32]) -> (Vec<f32>, Vec<f64>) {
        let map = |(&x, &keep): (&f32, &bool)| {
            let wide = f64::from(x);
            let (z, slope) = match self.cap {
                // Infinities stay what they are, and what a masked class holds does not matter.
                Some(_) if x.is_infinite() || !keep => (wide, 0.0),
                Some(cap) => (cap * (wide / cap).tanh(), (wide / cap).cosh().powi(-2)),
                None => (wide, 1.0),
            };
            (if keep { round(self.scale * z) } else { f32::NEG_INFINITY }, self.scale * slope)
        };
        row.iter().zip(&self.keep).map(map).unzip()
    }

    fn weight(&self, class: usize) -> f64 {
        self.class_weights.map_or(1.0, |weights| weights[class].into())
    }

    /// What the labels keep, and what every class gets.
    fn smoothed(&self, z: &[f32]) -> (f64, f64) {
        let (mass, others) = self.smoothing;
        let classes = count(z.iter().filter(|&&z| z != f32::NEG_INFINITY).count());
        match others {
            _ if mass == 0.0 => (1.0, 0.0),
            false if classes == 0.0 => (1.0 - mass, 0.0),
            false => (1.0 - mass, mass / classes),
            true if classes <= 1.0 => (1.0, 0.0),
            true => (1.0 - mass - mass / (classes - 1.0), mass / (classes - 1.0)),
        }
    }

    /// The target mass of each class.
    fn masses(&self, target: Target<'_>, z: &[f32]) -> Vec<f64> {
        let (kept, share) = self.smoothed(z);
        let (smoothed, others) = self.smoothing;
        if let (Target::Class(label), true, true) = (target, others, smoothed > 0.0) {
            // The others that take part share what is taken from the label, whether that takes part or not.
            let takes_part = |class: usize| z[class] != f32::NEG_INFINITY;
            let sharers = (0..z.len()).filter(|&class| class != label && takes_part(class)).count();
            let mass = |class: usize| match (class == label, sharers) {
                (true, 0) => 1.0,
                (true, _) => 1.0 - smoothed,
                (false, _) if takes_part(class) => smoothed / count(sharers),
                (false, _) => 0.0,
            };
            return (0..z.len()).map(|class| self.weight(class) * mass(class)).collect();
        }
        let mass = |class: usize| {
            let label = match target {
                Target::Class(label) => f64::from(u8::from(class == label)),
                // A mask takes the label too.
                Target::Dense(labels) if self.keep[class] => labels[class].into(),
                Target::Dense(_) => 0.0,
            };
            let share = if z[class] == f32::NEG_INFINITY { 0.0 } else { share };
            self.weight(class) * (kept * label + share)
        };
        (0..z.len()).map(mass).collect()
    }

    /// The row's results, for an upstream gradient.
    pub fn row(&self, target: Target<'_>, row: &[f32], upstream: f64) -> Row {
        let (z, slopes) = self.mapped(row);
        let masses = self.masses(target, &z);
        let each = losses(&z);
        let lse = log_sum_exp(&z);
        let of_masses =
            || masses.iter().zip(&each).filter(|(mass, _)| **mass != 0.0).map(|(mass, loss)| mass * loss);
        let unsigned: f64 = of_masses().map(f64::abs).sum();
        let of_masses = if each[0].is_nan() { f64::NAN } else { of_masses().sum() };
        let (of_lse, slope) =
            if self.z_loss == 0.0 { (0.0, 0.0) } else { (self.z_loss * lse * lse, 2.0 * self.z_loss * lse) };
        // A class index has the derivative.
        let unit_mass = self.unit_mass && matches!(target, Target::Dense(_));
        let mass: f64 = if unit_mass { 1.0 } else { masses.iter().sum() };
        // Weighted or smoothed, masses are rounded one by one: what that does to their sum is as much where they cancel.
        let rounded = !unit_mass && (self.class_weights.is_some() || self.smoothing.0 != 0.0);
        let most = if rounded { masses.iter().map(|mass| mass.abs()).sum() } else { mass.abs() };
        let factor = upstream * self.row_weight;
        let (kept, _) = self.smoothed(&z);
        let p = softmax(&z);
        let parts = |class: usize| {
            let whole = factor * slopes[class];
            (whole * (mass + slope) * p[class], whole * masses[class])
        };
        let larger = |class: usize| {
            let whole = (factor * slopes[class]).abs();
            (whole * most.max(slope.abs()) * p[class]).max(whole * masses[class].abs())
        };
        let gradient = |class: usize| {
            let (p, q) = parts(class);
            if self.keep[class] || p.is_nan() { p - q } else { 0.0 }
        };
        let label_gradient = |class: usize| {
            let weight = factor * self.weight(class) * kept;
            let counts = weight != 0.0 && self.keep[class];
            if counts || each[class].is_nan() { weight * each[class] } else { 0.0 }
        };
        let off = 2.0 * size(lse.abs().max(1.0).max(row_max(&z).abs()));
        let of_loss = self.row_weight * self.z_loss * off * (2.0 * lse.abs() + off);
        let steepest = slopes.iter().copied().fold(0.0, f64::max);
        let of_gradient = (factor * 2.0 * self.z_loss * off * steepest).abs();
        let finite = |x: f64| if x.is_infinite() { 0.0 } else { x };
        Row {
            loss: self.row_weight * (of_masses + of_lse),
            unsigned_loss: self.row_weight * (unsigned + of_lse),
            gradient: (0..z.len()).map(gradient).collect(),
            parts: (0..z.len()).map(larger).collect(),
            label_gradient: (0..z.len()).map(label_gradient).collect(),
            magnitude: z.iter().map(|&z| finite(z.into()).abs()).fold(0.0, f64::max),
            z_slack: if self.z_loss == 0.0 { (0.0, 0.0) } else { (of_loss, of_gradient) },
        }
    }
}
