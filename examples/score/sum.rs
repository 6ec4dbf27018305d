//! Sums over the rows of all pieces.

/// A sum of f64, and what its additions rounded away: so precise that it does not tell how rows were cut into pieces, and has
/// the bits that the crate gives for all rows at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    high: f64,
    low: f64,
}

impl Sum {
    /// Adds a value (Knuth's two-sum).
    pub(crate) fn add(&mut self, value: f64) {
        let sum = self.high + value;
        let added = sum - self.high;
        let lost = (self.high - (sum - added)) + (value - added);
        // Of what is infinite nothing is lost.
        self.low += if lost.is_nan() { 0.0 } else { lost };
        self.high = sum;
    }

    /// The sum; infinite and NaN as it would be without the second part.
    pub(crate) fn value(self) -> f64 {
        if self.high.is_finite() { self.high + self.low } else { self.high }
    }
}
