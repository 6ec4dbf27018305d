//! Views of `ndarray` arrays, which are slices only where nothing is left out.
#![allow(
    unsafe_code,
    reason = "a slice would hold values between those of the array, which may be somebody else's"
)]

use core::marker::PhantomData;

use ndarray::{
    ArrayView, ArrayView1, ArrayView3, ArrayViewMut, ArrayViewMut3, Axis, Dimension, ShapeBuilder,
};

use super::strided::{Strided, StridedMut};
use crate::views::layout::Layout;
use crate::{Element, Error};

/// The layout of an array's rows, for an axis of classes.
///
/// Rows are all other axes in their order. Those that are evenly spaced are put together, until an outer and an inner one
/// are left.
fn layout_of(shape: &[usize], strides: &[isize], axis: Axis) -> Result<([usize; 3], [usize; 3]), Error> {
    let Some(&classes) = shape.get(axis.0) else {
        return Err(Error::AxisOutOfRange { axis: axis.0, axes: shape.len() });
    };
    let not_viewable =
        || Error::AxesNotViewable { shape: shape.to_vec(), strides: strides.to_vec(), axis: axis.0 };
    // What is as long as one step says nothing about steps.
    let step = |len: usize, stride: isize| match len {
        0 | 1 => Ok(0),
        _ => usize::try_from(stride).map_err(|_| not_viewable()),
    };
    if shape.contains(&0) {
        let rows = shape.iter().enumerate().filter(|(i, _)| *i != axis.0).map(|(_, len)| len).product();
        return Ok(([1, classes, rows], [0, 0, 0]));
    }
    let mut merged = [(1, 0); 2];
    let mut last = 0;
    for (i, (&len, &stride)) in shape.iter().zip(strides).enumerate() {
        if i == axis.0 || len == 1 {
            continue;
        }
        let stride = step(len, stride)?;
        let (rows, spacing) = merged[last];
        if rows == 1 {
            merged[last] = (len, stride);
        } else if spacing == len * stride {
            merged[last] = (rows * len, stride);
        } else if last == 0 {
            last = 1;
            merged[1] = (len, stride);
        } else {
            return Err(not_viewable());
        }
    }
    let [(outer, outer_stride), (inner, stride)] = merged;
    Ok(([outer, classes, inner], [outer_stride, step(classes, strides[axis.0])?, stride]))
}

impl<'a> Strided<'a> {
    /// The values of an array.
    #[expect(clippy::needless_pass_by_value, reason = "as views of arrays are passed")]
    pub(crate) fn of_array<T: Element, D: Dimension>(
        array: ArrayView<'a, T, D>,
        axis: Axis,
    ) -> Result<Self, Error> {
        let (shape, strides) = layout_of(array.shape(), array.strides(), axis)?;
        let (layout, _) = Layout::of_axes(shape, strides)?;
        // SAFETY: each value of the layout is one of the array's, which are borrowed as long.
        Ok(unsafe { Self::from_raw(array.as_ptr(), layout) })
    }

    /// As an array of outer × classes × inner; `None` of another type.
    pub(crate) fn to_array<T: Element>(self) -> Option<ArrayView3<'a, T>> {
        let (shape, strides) = self.layout().axes();
        // SAFETY: each value of the array is one of the layout's, and of this type.
        self.first().map(|first| unsafe { ArrayView3::from_shape_ptr(shape.strides(strides), first) })
    }
}

impl<'a> StridedMut<'a> {
    /// The values of an array.
    pub(crate) fn of_array<T: Element, D: Dimension>(
        array: &mut ArrayViewMut<'a, T, D>,
        axis: Axis,
    ) -> Result<Self, Error> {
        let (shape, strides) = layout_of(array.shape(), array.strides(), axis)?;
        let (layout, _) = Layout::of_axes(shape, strides)?;
        if layout.rows > 0 && !Layout::is_injective(shape, strides) {
            return Err(Error::AxesOverlap { shape, strides });
        }
        // SAFETY: each value of the layout is one of the array's, which are borrowed as long, and no two are one.
        Ok(unsafe { Self::from_raw(array.as_mut_ptr(), layout) })
    }

    /// As an array of outer × classes × inner; `None` of another type.
    pub(crate) fn into_array<T: Element>(self) -> Option<ArrayViewMut3<'a, T>> {
        let (shape, strides) = self.layout().axes();
        // SAFETY: each value of the array is one of the layout's, of this type, and no two of those are one.
        self.first().map(|first| unsafe { ArrayViewMut3::from_shape_ptr(shape.strides(strides), first) })
    }
}

/// The values of an array with one axis, at any stride.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spaced<'a, T> {
    first: *const T,
    len: usize,
    step: isize,
    borrow: PhantomData<&'a T>,
}

// SAFETY: as a shared reference to each of the values.
unsafe impl<T: Sync> Send for Spaced<'_, T> {}
// SAFETY: likewise.
unsafe impl<T: Sync> Sync for Spaced<'_, T> {}

impl<'a, T: Copy> Spaced<'a, T> {
    #[expect(clippy::needless_pass_by_value, reason = "as views of arrays are passed")]
    pub(crate) fn of_array(array: ArrayView1<'a, T>) -> Self {
        Self { first: array.as_ptr(), len: array.len(), step: array.strides()[0], borrow: PhantomData }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, index: usize) -> Option<T> {
        // SAFETY: the value is one of the array's, which are borrowed as long; what is between them is not looked at.
        (index < self.len).then(|| unsafe { *self.first.offset(index.cast_signed() * self.step) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_put_together_where_they_are_evenly_spaced() {
        let of = |shape: &[usize], strides: &[isize], axis| layout_of(shape, strides, Axis(axis)).ok();
        assert_eq!(of(&[2, 3, 4, 5], &[60, 20, 5, 1], 1), Some(([2, 3, 20], [60, 20, 1])));
        assert_eq!(of(&[2, 3, 4, 5], &[60, 20, 5, 1], 3), Some(([24, 5, 1], [5, 1, 0])));
        assert_eq!(of(&[2, 3, 4, 5], &[60, 20, 5, 1], 0), Some(([60, 2, 1], [1, 60, 0])));
        // The last axis cut: the two before the last lie evenly.
        assert_eq!(of(&[2, 3, 4, 5], &[72, 24, 6, 1], 0), Some(([12, 2, 5], [6, 72, 1])));
        assert_eq!(of(&[2, 3, 4, 5], &[144, 24, 6, 1], 3), Some(([2, 5, 12], [144, 1, 6])));
        // Three that do not.
        assert_eq!(of(&[2, 3, 4, 5], &[72, 24, 6, 1], 1), None);
        // Backwards.
        assert_eq!(of(&[2, 3], &[-3, 1], 1), None);
        assert_eq!(of(&[1, 3], &[-3, 1], 1), Some(([1, 3, 1], [0, 1, 0])));
        assert_eq!(of(&[0, 3], &[3, 1], 1), Some(([1, 3, 0], [0; 3])));
        assert_eq!(of(&[2, 3], &[3, 1], 2), None);
    }
}
