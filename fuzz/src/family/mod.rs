//! The losses beside cross-entropy against f64 formulas: of elements, hinges, likelihoods.

mod elements;
mod hinge;
mod likelihood;

use arbitrary::Arbitrary;

use super::input::{Distribution, Gradient, IGNORED, Label, Reduced};
use super::logits::{Layout, ROWS, Row, uniform};
use super::options::{Number, Weights};
use super::oracle::Value;
use super::same::{Fused, UNTOUCHED, VALID, assert_reduced, assert_same, untouched};
use super::ulp;

/// A batch, and one of the losses.
#[derive(Arbitrary, Debug)]
pub struct FamilyInput {
    layout: Layout,
    rows: [Row; ROWS],
    loss: Loss,
}

#[derive(Arbitrary, Debug)]
enum Loss {
    Elements(elements::Elements),
    Hinge(hinge::Margins),
    Likelihood(likelihood::Given),
}

impl FamilyInput {
    /// Checks all that must hold of the loss and its gradient.
    ///
    /// # Panics
    ///
    /// Where something does not hold.
    pub fn check(&self) {
        let rows = self.layout.contents(&self.rows);
        match &self.loss {
            Loss::Elements(elements) => elements.check(self.layout, &rows),
            Loss::Hinge(hinge) => hinge.check(self.layout, &rows),
            Loss::Likelihood(likelihood) => likelihood.check(self.layout, &rows),
        }
    }
}

/// Numbers from 0 to 1: both ends often, and what lies between.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Fractions {
    seed: u32,
}

impl Fractions {
    fn of(self, len: usize) -> Vec<f32> {
        // A quarter of them below 0, a quarter above 1.
        uniform(self.seed).map(|at| (2.0 * at - 0.5).clamp(0.0, 1.0)).take(len).collect()
    }

    fn of_rows(self, layout: Layout) -> Vec<f32> {
        let rows: Vec<_> = self.of(layout.rows * layout.classes);
        layout.buffer(UNTOUCHED, &rows.chunks(layout.classes).map(<[f32]>::to_vec).collect::<Vec<_>>())
    }
}

/// A result that is rounded once from f64, in which parts of this magnitude were subtracted.
fn rounded_once(want: f64, parts: f64) -> Value {
    // Half an ULP, and what f64 itself has lost, of 1200 terms.
    let lost = if parts.is_finite() { 2048.0 * f64::EPSILON * parts } else { 0.0 };
    Value::new(want, 0.51).give_or_take(lost)
}

/// `a b`, 0 for no mass `a`, unless `b` is no number.
fn part(a: f64, b: f64) -> f64 {
    if a == 0.0 && !b.is_nan() { 0.0 } else { a * b }
}
