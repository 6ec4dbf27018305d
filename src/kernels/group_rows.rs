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
            Self::InView(values) => values.row(group.rows[i]),
            Self::Copied(values) => &values[i * classes..][..classes],
        }
    }
}

impl GroupRowsMut<'_> {
    /// As [`GroupRows::row`].
    #[inline(always)]
    pub(crate) fn row_mut(&mut self, group: &Group, i: usize, classes: usize) -> &mut [f32] {
        match self {
            Self::InView(values) => values.row_mut(group.rows[i]),
            Self::Copied(values) => &mut values[i * classes..][..classes],
        }
    }
}

/// A row of those that there may be. Out of line: the compiler would take the checks of views out of the loops over rows, also
/// of those that are not there.
#[inline(never)]
pub(crate) fn row_if_any<'a>(
    rows: Option<&GroupRows<'a>>,
    group: &Group,
    i: usize,
    classes: usize,
) -> Option<&'a [f32]> {
    rows.map(|rows| rows.row(group, i, classes))
}

/// As [`row_if_any`], to be written.
#[inline(never)]
pub(crate) fn row_mut_if_any<'b>(
    rows: Option<&'b mut GroupRowsMut<'_>>,
    group: &Group,
    i: usize,
    classes: usize,
) -> Option<&'b mut [f32]> {
    rows.map(|rows| rows.row_mut(group, i, classes))
}
