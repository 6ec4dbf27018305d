//! Log-sum-exp: `ln sum_j e^(x_j)`.

use super::ends::Ends;
use super::epilogue::Nothing;
use super::operation::{Finish, Operation, Row, Seen};
use super::place::{Place, ReadOnly};
use crate::LogSumExp;
use crate::element::Element;
use crate::simd::Simd;

pub(crate) struct LogSumExps<'a, E: Element, T> {
    pub(crate) logits: ReadOnly<'a, E>,
    pub(crate) results: &'a mut [T],
}

/// A value that there is one of for each row.
pub(crate) trait PerRow: Copy + Send {
    fn of<S: Simd, const N: usize>(simd: S, ends: &Ends<N>) -> [Self; N];
}

impl<'a, E: Element, T: PerRow> Operation for LogSumExps<'a, E, T> {
    type Place = ReadOnly<'a, E>;
    type Epilogue = Nothing;
    type Watch<'b> = ();

    fn place(&self) -> &Self::Place {
        &self.logits
    }

    fn place_mut(&mut self) -> &mut Self::Place {
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
