//! Rows whose classes do not follow each other, copied to where they do, and back.

use crate::kernels::gather::{Gather, Scatter};
use crate::kernels::group::Group;
use crate::kernels::group_rows::{GroupRows, GroupRowsMut};
use crate::kernels::map::Mask;
use crate::simd::Token;
use crate::simd::strided::{Strided, StridedMut};

/// Where a group's rows are copied to whose classes do not follow each other.
pub(super) struct Lines<'s> {
    pub(super) token: Token,
    pub(super) group: &'s Group,
    /// Room for sixteen rows each.
    pub(super) free: core::slice::ChunksMut<'s, f32>,
}

impl<'s> Lines<'s> {
    fn next(&mut self) -> &'s mut [f32] {
        self.free.next().unwrap_or_default()
    }

    fn gather(&mut self, from: Strided<'_>) -> &'s mut [f32] {
        let to = self.next();
        let (mask, stride) = (Mask::None, from.layout().classes);
        self.token.run(Gather { from, mask, group: self.group, to, stride });
        to
    }

    /// Rows to be read.
    pub(super) fn read<'a>(&mut self, from: Strided<'a>) -> GroupRows<'a>
    where
        's: 'a,
    {
        if from.are_slices() { GroupRows::InView(from) } else { GroupRows::Copied(self.gather(from)) }
    }

    /// A place for rows to be written, where they cannot be written to their view.
    pub(super) fn write(&mut self, to: &StridedMut<'_>) -> Option<&'s mut [f32]> {
        (!to.are_slices()).then(|| self.next())
    }

    /// Rows to be read and written over, where that cannot be done in their view.
    pub(super) fn update(&mut self, values: &StridedMut<'_>) -> Option<&'s mut [f32]> {
        (!values.are_slices()).then(|| self.gather(values.share()))
    }

    /// Copies what was written back, if it was not written to its view.
    pub(super) fn put_back(&self, copy: Option<&mut [f32]>, to: &mut StridedMut<'_>) {
        if let Some(from) = copy {
            let stride = to.layout().classes;
            self.token.run(Scatter { from, stride, group: self.group, to: to.reborrow() });
        }
    }
}

/// The rows of a copy, if there is one, or of a view.
pub(super) fn rows_of<'b>(
    copy: &'b mut Option<&mut [f32]>,
    values: &'b mut StridedMut<'_>,
) -> GroupRowsMut<'b> {
    match copy {
        Some(copy) => GroupRowsMut::Copied(copy),
        None => GroupRowsMut::InView(values.reborrow()),
    }
}
