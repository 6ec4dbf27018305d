//! Checked views of memory: the shape is validated once, here.

use super::layout::Layout;
use crate::simd::strided::Strided;
use crate::{Backend, Element, Error};

/// A borrowed view of rows × classes values, f32 or of 16 bits.
///
/// Mostly the classes of a row follow each other in memory, and rows start `stride` values apart, so that a view covers
/// padded vocabularies and slices of larger buffers. Classes can also be any other axis of an array, as in images
/// whose channels are classes: see [`along_axis`](Self::along_axis) and [`with_strides`](Self::with_strides). All
/// operations take all views, and none copies one.
///
/// Rows of a shared view may overlap: a stride of 0 repeats one row.
///
/// Values are f32, or, with the feature `half`, `half::bf16` or `half::f16` ([`Element`]): what a view is of is known to the
/// view alone, so that every operation takes all of them. Results are those of the same numbers as f32.
///
/// ```
/// use xent::{Rows, log_sum_exp};
///
/// let logits = [0.5, 1.5, -2.0].map(half::f16::from_f32);
/// assert_eq!(log_sum_exp(Rows::new(&logits, 1, 3)?)?, log_sum_exp(Rows::new(&[0.5, 1.5, -2.0], 1, 3)?)?);
/// # Ok::<(), xent::Error>(())
/// ```
///
/// ```
/// use xent::Rows;
///
/// let buffer = [1.0, 2.0, 3.0, 0.0, 4.0, 5.0, 6.0]; // three classes, padded to four
/// let logits = Rows::with_stride(&buffer, 2, 3, 4)?;
/// assert_eq!(logits.row(1), Some(&[4.0, 5.0, 6.0][..]));
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    values: Strided<'a>,
    execution: Execution,
}

/// Where a call runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Execution {
    pub(crate) backend: Option<Backend>,
    /// Whether the calling thread alone.
    pub(crate) serial: bool,
}

impl<'a> Rows<'a> {
    /// Views all of `data` as rows that follow each other without a gap.
    ///
    /// # Errors
    ///
    /// [`Error::DataLength`] unless `data.len() == rows * classes`; [`Error::NoClasses`] for rows of
    /// no classes; [`Error::SizeOverflow`] where `rows * classes` does not fit in `usize`.
    pub fn new<T: Element>(data: &'a [T], rows: usize, classes: usize) -> Result<Self, Error> {
        let view = Self::with_stride(data, rows, classes, classes)?;
        let expected = rows * classes;
        let layout = view.values.layout();
        if data.len() == expected { Ok(view) } else { Err(wrong_length(layout, data.len(), expected)) }
    }

    /// Views rows that start `stride` values apart; what follows the last row is left alone.
    ///
    /// # Errors
    ///
    /// [`Error::DataLength`] where `data` ends before the last row does; [`Error::NoClasses`] for rows
    /// of no classes; [`Error::SizeOverflow`] where the size does not fit in `usize`.
    pub fn with_stride<T: Element>(
        data: &'a [T],
        rows: usize,
        classes: usize,
        stride: usize,
    ) -> Result<Self, Error> {
        let (layout, span) = Layout::of_rows(rows, classes, stride)?;
        let values = Strided::new(data, layout, span);
        let values = values.ok_or_else(|| wrong_length(&layout, data.len(), span))?;
        Ok(Self { values, execution: Execution::default() })
    }

    /// Views all of `data`, an array of any shape in row-major order, with its classes along `axis`.
    ///
    /// Each place along the other axes is a row, in their order: with `PyTorch`'s shape (N, C, d1, ..., dk) and axis 1, or
    /// with `TensorFlow`'s `axis`, there is one loss, and one label, for each of N × d1 × ... × dk.
    ///
    /// # Errors
    ///
    /// [`Error::AxisOutOfRange`]; [`Error::AxesLength`] unless `data` has as many values as the shape;
    /// [`Error::NoClasses`]; [`Error::AxesOverflow`].
    ///
    /// ```
    /// use xent::{Rows, argmax};
    ///
    /// // Two images of 1 × 3 pixels: channel 0 of the first, channel 1 of the first, channel 0 of the second, ...
    /// let logits = [0.5, 0.1, 0.9, 0.4, 0.2, 0.3, 1.0, 1.0, 1.0, 0.0, 2.0, 0.0];
    /// let logits = Rows::along_axis(&logits, &[2, 2, 1, 3], 1)?;
    /// assert_eq!((logits.rows(), logits.classes()), (6, 2));
    /// assert_eq!(argmax(logits)?, [0, 1, 0, 0, 1, 0]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn along_axis<T: Element>(data: &'a [T], shape: &[usize], axis: usize) -> Result<Self, Error> {
        let (shape, strides) = Layout::along(shape, axis)?;
        let view = Self::with_strides(data, shape, strides)?;
        let expected = view.rows() * view.classes();
        let given = data.len();
        if given == expected { Ok(view) } else { Err(Error::AxesLength { given, expected, shape, strides }) }
    }

    /// Views outer × classes × inner values with a stride for each: rows are the pairs of an outer and an inner index,
    /// those of one outer index after each other.
    ///
    /// # Errors
    ///
    /// [`Error::AxesLength`] where `data` ends before the last value; [`Error::NoClasses`]; [`Error::AxesOverflow`].
    ///
    /// ```
    /// use xent::{Rows, log_sum_exp};
    ///
    /// // The last two of three positions of two sequences, two classes each.
    /// let logits = [9.0, 9.0, 0.0, 1.0, 0.0, 2.0, 9.0, 9.0, 0.0, 3.0, 0.0, 4.0];
    /// let shifted = Rows::with_strides(&logits[2..], [2, 2, 2], [6, 1, 2])?;
    /// assert_eq!(shifted.row(2), Some(&[0.0, 3.0][..]));
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn with_strides<T: Element>(
        data: &'a [T],
        shape: [usize; 3],
        strides: [usize; 3],
    ) -> Result<Self, Error> {
        let (layout, span) = Layout::of_axes(shape, strides)?;
        let values = Strided::new(data, layout, span);
        let given = data.len();
        let values = values.ok_or(Error::AxesLength { given, expected: span, shape, strides })?;
        Ok(Self { values, execution: Execution::default() })
    }

    /// Views an array of any layout, with its classes along an axis: rows are all other axes, in their order.
    ///
    /// # Errors
    ///
    /// [`Error::AxisOutOfRange`]; [`Error::AxesNotViewable`] for negative strides, and for axes that lie evenly with no
    /// other, where there are more than two such beside that of the classes; [`Error::NoClasses`].
    ///
    /// ```
    /// use ndarray::{Array3, Axis, s};
    /// use xent::{Rows, log_sum_exp};
    ///
    /// // A batch of 2, of 5 positions, the first left out, of 3 classes.
    /// let logits = Array3::<f32>::zeros((2, 5, 3));
    /// let shifted = logits.slice(s![.., 1.., ..]);
    /// assert_eq!(log_sum_exp(Rows::from_ndarray(shifted, Axis(2))?)?, [3.0_f32.ln(); 8]);
    /// // The same with classes before positions.
    /// let turned = shifted.permuted_axes([0, 2, 1]);
    /// assert_eq!(log_sum_exp(Rows::from_ndarray(turned, Axis(1))?)?, [3.0_f32.ln(); 8]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    #[cfg(feature = "ndarray")]
    pub fn from_ndarray<T: Element, D: ndarray::Dimension>(
        array: ndarray::ArrayView<'a, T, D>,
        classes: ndarray::Axis,
    ) -> Result<Self, Error> {
        Ok(Self { values: Strided::of_array(array, classes)?, execution: Execution::default() })
    }

    /// The same values as an array of outer × classes × inner, `None` where they are of another type. Outer and inner axes
    /// that lie evenly are one.
    #[cfg(feature = "ndarray")]
    #[must_use]
    pub fn to_ndarray<T: Element>(&self) -> Option<ndarray::ArrayView3<'a, T>> {
        self.values.to_array()
    }

    /// A view of values that are known to be there.
    pub(crate) fn of(values: Strided<'a>, execution: Execution) -> Self {
        Self { values, execution }
    }

    /// The same view, for a call that runs on `backend`.
    #[must_use]
    pub const fn with_backend(mut self, backend: Backend) -> Self {
        self.execution.backend = Some(backend);
        self
    }

    /// The same view, for a call that runs on the calling thread alone, however large it is: inside of a loop that is
    /// parallel itself, under a lock, or in a child process that was forked after the thread pool was started.
    ///
    /// ```
    /// use xent::{Rows, log_sum_exp};
    ///
    /// let zeros = vec![0.0; 100_000];
    /// let logits = Rows::new(&zeros, 10, 10_000)?.on_this_thread();
    /// assert_eq!(log_sum_exp(logits)?, [10_000.0_f32.ln(); 10]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    #[must_use]
    pub const fn on_this_thread(mut self) -> Self {
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

    /// One row, `None` past the end, where classes do not follow each other, and where values are no f32.
    #[must_use]
    pub fn row(&self, row: usize) -> Option<&'a [f32]> {
        (row < self.rows() && self.values.are_slices()).then(|| self.row_at(row))
    }

    /// One value as f32, `None` past the end.
    #[must_use]
    pub fn get(&self, row: usize, class: usize) -> Option<f32> {
        (row < self.rows() && class < self.classes()).then(|| self.values.get(row, class))
    }

    /// The values themselves.
    #[inline(always)]
    pub(crate) fn values(&self) -> Strided<'a> {
        self.values
    }

    /// A row that is known to exist, of classes that follow each other.
    #[inline(always)]
    pub(crate) fn row_at(&self, row: usize) -> &'a [f32] {
        self.values.row(row)
    }

    /// The backend chosen for calls with this view.
    #[must_use]
    pub const fn backend(&self) -> Option<Backend> {
        self.execution.backend
    }

    /// Where calls with this view run.
    pub(crate) const fn execution(&self) -> Execution {
        self.execution
    }

    /// An error unless this view, called `what`, has the shape of the logits.
    pub(crate) fn expect_shape(&self, what: &'static str, expected: (usize, usize)) -> Result<(), Error> {
        expect_shape(what, (self.rows(), self.classes()), expected)
    }
}

pub(crate) const fn wrong_length(layout: &Layout, given: usize, expected: usize) -> Error {
    let Layout { rows, classes, stride, .. } = *layout;
    Error::DataLength { given, expected, rows, classes, stride }
}

/// Two views of no rows agree whatever their classes.
pub(crate) fn expect_shape(
    what: &'static str,
    given: (usize, usize),
    expected: (usize, usize),
) -> Result<(), Error> {
    if given == expected || (given.0 == 0 && expected.0 == 0) {
        Ok(())
    } else {
        Err(Error::ShapeMismatch { what, given, expected })
    }
}
