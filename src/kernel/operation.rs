//! What an operation on rows is: what it watches while they are read, their ends, and an epilogue.

use super::ends::Ends;
use super::epilogue::Epilogue;
use super::place::{LabelRows, Place};
use super::row::Watch;
use crate::simd::{LANES, Simd};

/// An operation on rows that do not see each other.
pub(crate) trait Operation: Send + Sized {
    type Place: Place;
    type Epilogue: Epilogue;
    /// What must be seen of each row while it is read.
    type Watch<'b>: Watch<<Self::Place as Place>::Element>;
    /// Whether rows have a class whose result is not that of the epilogue.
    const AT_LABEL: bool = false;
    /// Whether rows are looked at beside their scan.
    const LOOKS_BACK: bool = false;

    fn place(&self) -> &Self::Place;
    fn place_mut(&mut self) -> &mut Self::Place;
    fn split_at(self, row: usize) -> (Self, Self);
    /// A row close to `near` where rows must be cut so that all lie at one stride.
    fn seam(&self, near: usize) -> Option<usize> {
        self.place().seam(near)
    }
    /// Makes a group of rows that can be read, the first of which is not before `first`, and their dense labels.
    /// Logits that go to the lanes of a tile `direct`ly need not be made.
    #[inline(always)]
    fn load<S: Simd>(&mut self, simd: S, first: usize, rows: &[Row], _labels: &mut Vec<f32>, direct: bool) {
        if !direct {
            self.place_mut().load(simd, first, rows);
        }
    }
    /// The dense labels, if there are any: those that were `made`, or others.
    #[inline(always)]
    fn dense<'b>(&self, _made: &'b [f32]) -> Option<LabelRows<'b>>
    where
        Self: 'b,
    {
        None
    }
    /// The labels of rows from `first` on, [`IGNORED`] for rows that take no part: of those nothing is read.
    #[inline(always)]
    fn labels(&self, _first: usize, _labels: &mut [usize]) {}
    /// Writes the results of a row that takes no part.
    #[inline(always)]
    fn ignore(&mut self, _row: usize) {}
    /// The watch of a row, or of a part of it, beside its dense labels if it has any.
    fn watch(labels: Option<&[f32]>) -> Self::Watch<'_>;
    /// The logit of a row's label.
    #[inline(always)]
    fn logit(&self, _row: Row) -> f64 {
        0.0
    }
    /// Writes what there is one of for each row, and says what the epilogue needs. There are up to `N` rows.
    fn end<S: Simd, const N: usize>(
        &mut self,
        simd: S,
        rows: &[Row],
        ends: &mut Ends<N>,
        seen: &[Seen; N],
    ) -> Finish<N>;
    /// The result of a class that dominates its row, from its dense label and [`Finish::of_dominant`].
    fn dominant(&self, row: Row, label: f64, of_dominant: f64, scale: f64, seen: &Seen) -> f32;
}

/// A row with its label.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) index: usize,
    pub(crate) label: usize,
}

/// In place of the label of a row that takes no part.
pub(crate) const IGNORED: usize = usize::MAX;

/// What was seen of a row while it was read.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    /// The logit of the label.
    pub(crate) logit: f64,
    /// The sum of the dense labels.
    pub(crate) mass: f64,
    /// The sum of the dense labels times their distances from the row's maximum.
    pub(crate) distance: f64,
}

impl Seen {
    pub(crate) const NOTHING: Self = Self { logit: 0.0, mass: 0.0, distance: 0.0 };
}

/// What an epilogue needs of each row.
pub(crate) struct Finish<const N: usize> {
    pub(crate) by: [f64; N],
    pub(crate) scale: [f64; N],
    /// The result at the label.
    pub(crate) at_label: [f64; N],
    /// What is known of a class that dominates its row.
    pub(crate) of_dominant: [f64; N],
}

impl<const N: usize> Finish<N> {
    pub(crate) const NOTHING: Self =
        Self { by: [0.0; N], scale: [0.0; N], at_label: [0.0; N], of_dominant: [0.0; N] };
}

/// Rows whose ends are taken together.
pub(super) const GROUP: usize = LANES;

/// All of so many rows, in groups.
#[inline(always)]
pub(super) fn for_groups(rows: usize, mut run: impl FnMut(usize, &[Row])) {
    for first in (0..rows).step_by(GROUP) {
        let mut group = [Row { index: 0, label: 0 }; GROUP];
        let len = GROUP.min(rows - first);
        for (index, row) in (first..).zip(&mut group[..len]) {
            row.index = index;
        }
        run(first, &group[..len]);
    }
}
