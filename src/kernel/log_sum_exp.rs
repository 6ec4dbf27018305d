//! Log-sum-exp: `ln sum_j e^(x_j)`.

use super::ends::Ends;
use super::epilogue::Nothing;
use super::operation::{Finish, Operation, Row, Seen};
use super::place::Place;
use crate::LogSumExp;
use crate::simd::Simd;

pub(crate) struct LogSumExps<'a, P, T> {
    pub(crate) logits: P,
    pub(crate) results: &'a mut [T],
}

/// A value that there is one of for each row.
pub(crate) trait PerRow: Copy + Send {
    fn of<S: Simd, const N: usize>(simd: S, ends: &Ends<N>) -> [Self; N];
}

impl<P: Place, T: PerRow> Operation for LogSumExps<'_, P, T> {
    type Place = P;
    type Epilogue = Nothing;
    type Watch<'b> = ();

    fn place(&self) -> &P {
        &self.logits
    }

    fn place_mut(&mut self) -> &mut P {
        &mut self.logits
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (logits, rest) = self.logits.split_at(row);
        let (results, other) = self.results.split_at_mut(row);
        (Self { logits, results }, Self { logits: rest, results: other })
    }

    #[inline(always)]
    fn watch(_labels: Option<&[f32]>) {}

    #[inline(always)]
    fn end<S: Simd, const N: usize>(
        &mut self,
        simd: S,
        rows: &[Row],
        ends: &mut Ends<N>,
        _: &[Seen; N],
    ) -> Finish<N> {
        for (row, value) in rows.iter().zip(T::of(simd, ends)) {
            self.results[row.index] = value;
        }
        Finish::NOTHING
    }

    #[inline(always)]
    fn dominant(&self, _row: Row, _label: f64, _complement: f64, _scale: f64, _seen: &Seen) -> f32 {
        0.0
    }
}

/// The sum, not evaluated.
impl PerRow for LogSumExp {
    #[inline(always)]
    fn of<S: Simd, const N: usize>(_: S, ends: &Ends<N>) -> [Self; N] {
        core::array::from_fn(
            #[inline(always)]
            |i| ends.partial(i),
        )
    }
}

/// The log-sum-exp.
impl PerRow for f32 {
    #[inline(always)]
    fn of<S: Simd, const N: usize>(simd: S, ends: &Ends<N>) -> [Self; N] {
        ends.log_sum_exp(simd)
    }
}
