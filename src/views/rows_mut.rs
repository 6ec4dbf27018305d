//! Checked views of memory that results are written to.

use super::layout::Layout;
use super::rows::{Execution, expect_shape, wrong_length};
use crate::simd::strided::StridedMut;
use crate::{Backend, Element, Error, Rows};

/// A mutably borrowed view of rows × classes values, as [`Rows`] is a shared one.
///
/// No two of its values share a place; what lies between them is never written. What is written to values of 16 bits is the
/// result that f32 would have, rounded to the nearest number, of two as near to the even one.
#[derive(Debug)]
pub struct RowsMut<'a> {
    values: StridedMut<'a>,
    execution: Execution,
}

impl<'a> RowsMut<'a> {
    /// Views all of `data` as rows that follow each other without a gap.
    ///
    /// # Errors
    ///
    /// [`Error::DataLength`] unless `data.len() == rows * classes`; [`Error::NoClasses`] for rows of
    /// no classes; [`Error::SizeOverflow`] where `rows * classes` does not fit in `usize`.
    pub fn new<T: Element>(data: &'a mut [T], rows: usize, classes: usize) -> Result<Self, Error> {
        let len = data.len();
        let view = Self::with_stride(data, rows, classes, classes)?;
        let expected = rows * classes;
        if len == expected { Ok(view) } else { Err(wrong_length(view.values.layout(), len, expected)) }
    }

    /// Views rows that start `stride` values apart; what lies between and after them is left alone.
    ///
    /// # Errors
    ///
    /// As [`Rows::with_stride`], and [`Error::StrideTooSmall`] where rows would overlap.
    pub fn with_stride<T: Element>(
        data: &'a mut [T],
        rows: usize,
        classes: usize,
        stride: usize,
    ) -> Result<Self, Error> {
        let (layout, span) = Layout::of_rows(rows, classes, stride)?;
        if stride < classes && rows > 1 {
            return Err(Error::StrideTooSmall { stride, classes });
        }
        let given = data.len();
        let values = StridedMut::new(data, layout, span);
        Ok(Self {
            values: values.ok_or_else(|| wrong_length(&layout, given, span))?,
            execution: Execution::default(),
        })
    }

    /// As [`Rows::along_axis`].
    ///
    /// # Errors
    ///
    /// As [`Rows::along_axis`].
    ///
    /// ```
    /// use xent::{RowsMut, softmax_in_place};
    ///
    /// let mut columns = [0.0, 7.0, 0.0, f32::NEG_INFINITY];
    /// softmax_in_place(RowsMut::along_axis(&mut columns, &[2, 2], 0)?)?;
    /// assert_eq!(columns, [0.5, 1.0, 0.5, 0.0]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn along_axis<T: Element>(data: &'a mut [T], shape: &[usize], axis: usize) -> Result<Self, Error> {
        let (shape, strides) = Layout::along(shape, axis)?;
        let given = data.len();
        let view = Self::with_strides(data, shape, strides)?;
        let expected = view.rows() * view.classes();
        if given == expected { Ok(view) } else { Err(Error::AxesLength { given, expected, shape, strides }) }
    }

    /// As [`Rows::with_strides`].
    ///
    /// # Errors
    ///
    /// As [`Rows::with_strides`], and [`Error::AxesOverlap`] unless, of any two axes, a step along the one with the larger
    /// stride leads past all that the other reaches: then no two values share a place.
    pub fn with_strides<T: Element>(
        data: &'a mut [T],
        shape: [usize; 3],
        strides: [usize; 3],
    ) -> Result<Self, Error> {
        let (layout, span) = Layout::of_axes(shape, strides)?;
        if layout.rows > 0 && !Layout::is_injective(shape, strides) {
            return Err(Error::AxesOverlap { shape, strides });
        }
        let given = data.len();
        let values = StridedMut::new(data, layout, span);
        let values = values.ok_or(Error::AxesLength { given, expected: span, shape, strides })?;
        Ok(Self { values, execution: Execution::default() })
    }

    /// As [`Rows::from_ndarray`].
    ///
    /// # Errors
    ///
    /// As [`Rows::from_ndarray`], and [`Error::AxesOverlap`].
    ///
    /// ```
    /// use ndarray::{Axis, array};
    /// use xent::{RowsMut, softmax_in_place};
    ///
    /// let mut columns = array![[0.0, 7.0], [0.0, f32::NEG_INFINITY]];
    /// softmax_in_place(RowsMut::from_ndarray(columns.view_mut(), Axis(0))?)?;
    /// assert_eq!(columns, array![[0.5, 1.0], [0.5, 0.0]]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    #[cfg(feature = "ndarray")]
    pub fn from_ndarray<T: Element, D: ndarray::Dimension>(
        mut array: ndarray::ArrayViewMut<'a, T, D>,
        classes: ndarray::Axis,
    ) -> Result<Self, Error> {
        Ok(Self { values: StridedMut::of_array(&mut array, classes)?, execution: Execution::default() })
    }

    /// The same values as [`Rows::to_ndarray`] has them.
    #[cfg(feature = "ndarray")]
    #[must_use]
    pub fn into_ndarray<T: Element>(self) -> Option<ndarray::ArrayViewMut3<'a, T>> {
        self.values.into_array()
    }

    /// The same view, for an in-place call that runs on `backend`.
    #[must_use]
    pub fn with_backend(mut self, backend: Backend) -> Self {
        self.execution.backend = Some(backend);
        self
    }

    /// As [`Rows::on_this_thread`], for an in-place call.
    #[must_use]
    pub fn on_this_thread(mut self) -> Self {
        self.execution.serial = true;
        self
    }

    /// The number of rows.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.values.layout().rows
    }

    /// The number of classes: the length of each row.
    #[must_use]
    pub const fn classes(&self) -> usize {
        self.values.layout().classes
    }

    /// The number of values from a row to the next one, of one outer index.
    #[must_use]
    pub const fn stride(&self) -> usize {
        self.values.layout().stride
    }

    /// The number of values from a class of a row to the next.
    #[must_use]
    pub const fn class_stride(&self) -> usize {
        self.values.layout().class_step
    }

    /// The backend chosen for in-place calls with this view.
    #[must_use]
    pub const fn backend(&self) -> Option<Backend> {
        self.execution.backend
    }

    /// Where in-place calls with this view run.
    pub(crate) const fn execution(&self) -> Execution {
        self.execution
    }

    /// One row, `None` past the end, where classes do not follow each other, and where values are no f32.
    #[must_use]
    pub fn row_mut(&mut self, row: usize) -> Option<&mut [f32]> {
        (row < self.rows() && self.values.are_slices()).then(|| self.row_at_mut(row))
    }

    /// The values themselves.
    #[inline(always)]
    pub(crate) fn into_values(self) -> StridedMut<'a> {
        self.values
    }

    /// A row that is known to exist, of classes that follow each other.
    #[inline(always)]
    pub(crate) fn row_at_mut(&mut self, row: usize) -> &mut [f32] {
        self.values.row_mut(row)
    }

    /// The same rows, shared.
    #[must_use]
    pub fn as_rows(&self) -> Rows<'_> {
        Rows::of(self.values.share(), self.execution)
    }

    /// A view of the same rows that lives shorter.
    #[must_use]
    pub fn reborrow(&mut self) -> RowsMut<'_> {
        RowsMut { values: self.values.reborrow(), execution: self.execution }
    }

    /// An error unless this view, called `what`, has the shape of the logits.
    pub(crate) fn expect_shape(&self, what: &'static str, expected: (usize, usize)) -> Result<(), Error> {
        expect_shape(what, (self.rows(), self.classes()), expected)
    }
}
