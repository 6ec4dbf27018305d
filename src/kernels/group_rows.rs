//! The rows of a group as slices: where they lie, or copied to where their classes follow each other.
//!
//! Copied rows lie behind each other without a gap, in the order of the group.

use super::group::Group;
use crate::simd::strided::{Strided, StridedMut};

/// Rows to be read.
#[derive(Clone, Copy)]
pub(crate) enum GroupRows<'a> {
    InView(Strided<'a>),
    Copied(&'a [f32]),
}

/// Rows to be written.
pub(crate) enum GroupRowsMut<'a> {
    InView(StridedMut<'a>),
    Copied(&'a mut [f32]),
}

impl<'a> GroupRows<'a> {
    /// The `i`th row of a group, of so many classes.
    #[inline(always)]
    pub(crate) fn row(&self, group: &Group, i: usize, classes: usize) -> &'a [f32] {
        match self {
            Self::InView(values) => row_of(values, group.rows[i]),
            Self::Copied(values) => &values[i * classes..][..classes],
        }
    }
}

impl GroupRowsMut<'_> {
    /// As [`GroupRows::row`].
    #[inline(always)]
    pub(crate) fn row_mut(&mut self, group: &Group, i: usize, classes: usize) -> &mut [f32] {
        match self {
            Self::InView(values) => row_of_mut(values, group.rows[i]),
            Self::Copied(values) => &mut values[i * classes..][..classes],
        }
    }
}

/// A row of a view. Out of line: the compiler would take its checks out of the loops over rows, also those of views that are
/// not there.
#[inline(never)]
fn row_of<'a>(values: &Strided<'a>, row: usize) -> &'a [f32] {
    values.row(row)
}

/// As [`row_of`].
#[inline(never)]
fn row_of_mut<'b>(values: &'b mut StridedMut<'_>, row: usize) -> &'b mut [f32] {
    values.row_mut(row)
}
