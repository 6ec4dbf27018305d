//! Log-softmax: `x_i - ln sum_j e^(x_j)`, and the same times a factor per row.

use core::marker::PhantomData;

use super::ends::Ends;
use super::epilogue::Epilogue;
use super::operation::{Finish, Operation, Row, Seen};
use super::place::Place;
use super::scale::Scale;
use super::share::narrow;
use crate::simd::Simd;

/// With [`Differences`](super::epilogue::Differences), or with
/// [`ScaledDifferences`](super::epilogue::ScaledDifferences) where there is a factor.
pub(crate) struct LogSoftmax<'a, P, E> {
    place: P,
    /// What each row is multiplied by.
    scale: Scale<'a>,
    epilogue: PhantomData<E>,
}

impl<'a, P, E> LogSoftmax<'a, P, E> {
    pub(crate) fn new(place: P, scale: Scale<'a>) -> Self {
        Self { place, scale, epilogue: PhantomData }
    }
}

impl<P: Place, E: Epilogue + Send> Operation for LogSoftmax<'_, P, E> {
    type Place = P;
    type Epilogue = E;
    type Watch<'b> = ();

    fn place(&self) -> &P {
        &self.place
    }

    fn place_mut(&mut self) -> &mut P {
        &mut self.place
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (place, rest) = self.place.split_at(row);
        let (scale, other) = self.scale.split_at(row);
        (Self::new(place, scale), Self::new(rest, other))
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
        Finish {
            by: ends.log_relative(simd),
            scale: self.scale.of_all(rows),
            of_dominant: ends.dominant_losses(simd),
            ..Finish::NOTHING
        }
    }

    /// Next to 0, where the difference cancels; never -0.
    #[inline(always)]
    fn dominant(&self, _row: Row, _label: f64, loss: f64, scale: f64, _seen: &Seen) -> f32 {
        narrow(0.0 - loss * scale)
    }
}
