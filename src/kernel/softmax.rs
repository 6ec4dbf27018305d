//! Softmax: `e^(x_i) / sum_j e^(x_j)`.

use super::ends::Ends;
use super::epilogue::Shares;
use super::operation::{Finish, Operation, Row, Seen};
use super::place::Place;
use super::share::narrow;
use crate::simd::Simd;

pub(crate) struct Softmax<P>(pub(crate) P);

impl<P: Place> Operation for Softmax<P> {
    type Place = P;
    type Epilogue = Shares;
    type Watch<'b> = ();

    fn place(&self) -> &P {
        &self.0
    }

    fn place_mut(&mut self) -> &mut P {
        &mut self.0
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (first, rest) = self.0.split_at(row);
        (Self(first), Self(rest))
    }

    #[inline(always)]
    fn watch(_labels: Option<&[f32]>) {}

    #[inline(always)]
    fn end<S: Simd, const N: usize>(
        &mut self,
        simd: S,
        _: &[Row],
        ends: &mut Ends<N>,
        _: &[Seen; N],
    ) -> Finish<N> {
        Finish {
            by: ends.factors(simd, &[1.0; N]),
            of_dominant: ends.dominant_complements(simd),
            ..Finish::NOTHING
        }
    }

    /// Not by its term, which is rounded while the sum is not: never above 1.
    #[inline(always)]
    fn dominant(&self, _row: Row, _label: f64, complement: f64, _scale: f64, _seen: &Seen) -> f32 {
        narrow(1.0 - complement)
    }
}
