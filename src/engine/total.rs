//! Sums of losses that do not depend on the order of the rows.

use crate::kernels::group::LossSum;
use crate::simd::LANES;

/// A sum as two f64, the second what additions to the first rounded away: 106 bits, far more than the f32 that becomes of
/// it, so that no order of the rows and no number of threads changes that.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Total {
    high: f64,
    low: f64,
}

impl Total {
    /// The sum of the lanes that so many rows have come to.
    pub(crate) fn of(sum: &LossSum, rows: usize) -> Self {
        let lanes = rows.min(LANES);
        let total = sum.high[..lanes].iter().fold(Self::default(), |total, &high| total.plus(high));
        let lost = sum.low[..lanes].iter().filter(|low| !low.is_nan());
        lost.fold(total, |total, &low| total.plus(low))
    }

    /// With one value more (Knuth's two-sum).
    pub(crate) fn plus(self, value: f64) -> Self {
        let sum = self.high + value;
        let added = sum - self.high;
        let lost = (self.high - (sum - added)) + (value - added);
        // Of what is infinite nothing is lost.
        Self { high: sum, low: if lost.is_nan() { self.low } else { self.low + lost } }
    }

    pub(crate) fn merge(self, other: Self) -> Self {
        self.plus(other.high).plus(other.low)
    }

    /// The sum; infinite and NaN as it would be without the second part.
    pub(crate) fn value(self) -> f64 {
        if self.high.is_finite() { self.high + self.low } else { self.high }
    }
}
