//! Checked views of row-major memory: the shape is validated once, here.

use crate::simd::{LANES, Lanes, Simd};
use crate::{Backend, Element, Error};

/// A borrowed view of rows × classes values in row-major memory.
///
/// Rows start `stride` values apart, so that a view covers padded vocabularies and slices of larger
/// buffers. Rows of a shared view may overlap: a stride of 0 repeats one row.
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
pub struct Rows<'a, E: Element = f32> {
    data: &'a [E],
    shape: Shape,
    backend: Option<Backend>,
}

/// A mutably borrowed view of rows × classes f32 in row-major memory.
///
/// Rows start `stride` values apart and cannot overlap; what lies between them is never written.
#[derive(Debug)]
pub struct RowsMut<'a> {
    data: &'a mut [f32],
    shape: Shape,
    backend: Option<Backend>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    rows: usize,
    classes: usize,
    stride: usize,
}

impl Shape {
    /// The shape, and the number of values from the first of the first row to the last of the last.
    fn checked(rows: usize, classes: usize, stride: usize) -> Result<(Self, usize), Error> {
        let shape = Self { rows, classes, stride };
        let Some(before_last) = rows.checked_sub(1) else {
            return Ok((shape, 0));
        };
        if classes == 0 {
            return Err(Error::NoClasses { rows });
        }
        let overflow = Error::SizeOverflow { rows, stride: stride.max(classes) };
        // Sums over all logits must be countable, also where a stride of 0 repeats one row.
        rows.checked_mul(classes).ok_or_else(|| overflow.clone())?;
        let span = before_last.checked_mul(stride).and_then(|start| start.checked_add(classes));
        Ok((shape, span.ok_or(overflow)?))
    }

    fn mismatch(self, len: usize, expected: usize) -> Error {
        let Self { rows, classes, stride } = self;
        Error::DataLength { given: len, expected, rows, classes, stride }
    }

    /// Where row `row` starts. `row` is below the number of rows.
    fn start(self, row: usize) -> usize {
        row * self.stride
    }

    /// The shapes of the first `row` rows and of the others, and where the others start.
    fn split_at(self, row: usize) -> (Self, Self, usize) {
        let rest = self.rows - row;
        let at = if rest == 0 { 0 } else { self.start(row) };
        (Self { rows: row, ..self }, Self { rows: rest, ..self }, at)
    }
}

impl<'a, E: Element> Rows<'a, E> {
    /// Views all of `data` as rows that follow each other without a gap.
    ///
    /// # Errors
    ///
    /// [`Error::DataLength`] unless `data.len() == rows * classes`; [`Error::NoClasses`] for rows of
    /// no classes; [`Error::SizeOverflow`] where `rows * classes` does not fit in `usize`.
    pub fn new(data: &'a [E], rows: usize, classes: usize) -> Result<Self, Error> {
        let view = Self::with_stride(data, rows, classes, classes)?;
        let expected = rows * classes;
        if data.len() == expected { Ok(view) } else { Err(view.shape.mismatch(data.len(), expected)) }
    }

    /// Views rows that start `stride` values apart; what follows the last row is left alone.
    ///
    /// # Errors
    ///
    /// [`Error::DataLength`] where `data` ends before the last row does; [`Error::NoClasses`] for rows
    /// of no classes; [`Error::SizeOverflow`] where the size does not fit in `usize`.
    pub fn with_stride(data: &'a [E], rows: usize, classes: usize, stride: usize) -> Result<Self, Error> {
        let (shape, span) = Shape::checked(rows, classes, stride)?;
        if data.len() < span {
            return Err(shape.mismatch(data.len(), span));
        }
        Ok(Self { data, shape, backend: None })
    }

    /// The same view, for a call that runs on `backend`.
    #[must_use]
    pub const fn with_backend(mut self, backend: Backend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// The number of rows.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.shape.rows
    }

    /// The number of classes: the length of each row.
    #[must_use]
    pub const fn classes(&self) -> usize {
        self.shape.classes
    }

    /// The number of values from the start of one row to the start of the next.
    #[must_use]
    pub const fn stride(&self) -> usize {
        self.shape.stride
    }

    /// One row, `None` past the end.
    #[must_use]
    pub fn row(&self, row: usize) -> Option<&'a [E]> {
        (row < self.shape.rows).then(|| self.row_at(row))
    }

    /// A row that is known to exist.
    #[inline(always)]
    pub(crate) fn row_at(&self, row: usize) -> &'a [E] {
        let start = self.shape.start(row);
        &self.data[start..start + self.shape.classes]
    }

    /// The memory from a row that is known to exist to the end of the data.
    #[inline(always)]
    pub(crate) fn tail_at(&self, row: usize) -> &'a [E] {
        &self.data[self.shape.start(row)..]
    }

    /// The backend chosen for calls with this view.
    #[must_use]
    pub const fn backend(&self) -> Option<Backend> {
        self.backend
    }

    /// The first `row` rows and the others. `row` is at most the number of rows.
    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        let (first, rest, at) = self.shape.split_at(row);
        (Self { shape: first, ..self }, Self { data: &self.data[at..], shape: rest, ..self })
    }

    /// An error unless this view, called `what`, has the shape of the logits.
    pub(crate) fn expect_shape(&self, what: &'static str, expected: (usize, usize)) -> Result<(), Error> {
        expect_shape(what, (self.rows(), self.classes()), expected)
    }
}

impl<'a> RowsMut<'a> {
    /// Views all of `data` as rows that follow each other without a gap.
    ///
    /// # Errors
    ///
    /// [`Error::DataLength`] unless `data.len() == rows * classes`; [`Error::NoClasses`] for rows of
    /// no classes; [`Error::SizeOverflow`] where `rows * classes` does not fit in `usize`.
    pub fn new(data: &'a mut [f32], rows: usize, classes: usize) -> Result<Self, Error> {
        let len = data.len();
        let view = Self::with_stride(data, rows, classes, classes)?;
        let expected = rows * classes;
        if len == expected { Ok(view) } else { Err(view.shape.mismatch(len, expected)) }
    }

    /// Views rows that start `stride` values apart; what lies between and after them is left alone.
    ///
    /// # Errors
    ///
    /// As [`Rows::with_stride`], and [`Error::StrideTooSmall`] where rows would overlap.
    pub fn with_stride(
        data: &'a mut [f32],
        rows: usize,
        classes: usize,
        stride: usize,
    ) -> Result<Self, Error> {
        let (shape, span) = Shape::checked(rows, classes, stride)?;
        if stride < classes && rows > 1 {
            return Err(Error::StrideTooSmall { stride, classes });
        }
        if data.len() < span {
            return Err(shape.mismatch(data.len(), span));
        }
        Ok(Self { data, shape, backend: None })
    }

    /// The same view, for an in-place call that runs on `backend`.
    #[must_use]
    pub fn with_backend(mut self, backend: Backend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// The number of rows.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.shape.rows
    }

    /// The number of classes: the length of each row.
    #[must_use]
    pub const fn classes(&self) -> usize {
        self.shape.classes
    }

    /// The number of values from the start of one row to the start of the next.
    #[must_use]
    pub const fn stride(&self) -> usize {
        self.shape.stride
    }

    /// The backend chosen for in-place calls with this view.
    #[must_use]
    pub const fn backend(&self) -> Option<Backend> {
        self.backend
    }

    /// One row, `None` past the end.
    #[must_use]
    pub fn row_mut(&mut self, row: usize) -> Option<&mut [f32]> {
        (row < self.shape.rows).then(|| self.row_at_mut(row))
    }

    /// A row that is known to exist.
    #[inline(always)]
    pub(crate) fn row_at(&self, row: usize) -> &[f32] {
        let start = self.shape.start(row);
        &self.data[start..start + self.shape.classes]
    }

    /// A row that is known to exist.
    #[inline(always)]
    pub(crate) fn row_at_mut(&mut self, row: usize) -> &mut [f32] {
        let start = self.shape.start(row);
        &mut self.data[start..start + self.shape.classes]
    }

    /// The memory from a row that is known to exist to the end of the data.
    #[inline(always)]
    pub(crate) fn tail_at(&self, row: usize) -> &[f32] {
        &self.data[self.shape.start(row)..]
    }

    /// Writes part of a row, from class `start` on. If the next `following - 1` rows follow without a gap, and
    /// are about to be written, whole vectors are written over their beginnings: masks are slow.
    #[inline(always)]
    pub(crate) fn write<S: Simd>(
        &mut self,
        simd: S,
        row: usize,
        start: usize,
        following: usize,
        values: &[f32; LANES],
    ) {
        let Shape { classes, stride, .. } = self.shape;
        let first = self.shape.start(row);
        let end = first + if stride == classes { following * classes } else { classes };
        let results = &mut self.data[first + start..end];
        match results.first_chunk_mut() {
            Some(all) => simd.load(values).store(all),
            None => results.copy_from_slice(&values[..results.len()]),
        }
    }

    /// A row that is known to exist, and a later one; nothing for none.
    #[inline(always)]
    pub(crate) fn two_rows(&mut self, row: usize, later: Option<usize>) -> (&mut [f32], &[f32]) {
        let (start, classes) = (self.shape.start(row), self.shape.classes);
        let Some(later) = later else { return (&mut self.data[start..start + classes], &[]) };
        let (first, rest) = self.data.split_at_mut(self.shape.start(later));
        (&mut first[start..start + classes], &rest[..classes])
    }

    /// The same rows, shared.
    #[must_use]
    pub fn as_rows(&self) -> Rows<'_> {
        Rows { data: self.data, shape: self.shape, backend: self.backend }
    }

    /// A view of the same rows that lives shorter.
    #[must_use]
    pub fn reborrow(&mut self) -> RowsMut<'_> {
        RowsMut { data: self.data, shape: self.shape, backend: self.backend }
    }

    /// The first `row` rows and the others. `row` is at most the number of rows.
    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        let (first, rest, at) = self.shape.split_at(row);
        let (a, b) = self.data.split_at_mut(at);
        // Without rows behind the cut, all the data stays with the rows before it.
        let (a, b) = if rest.rows == 0 { (b, a) } else { (a, b) };
        (
            Self { data: a, shape: first, backend: self.backend },
            Self { data: b, shape: rest, backend: self.backend },
        )
    }

    /// An error unless this view, called `what`, has the shape of the logits.
    pub(crate) fn expect_shape(&self, what: &'static str, expected: (usize, usize)) -> Result<(), Error> {
        expect_shape(what, (self.rows(), self.classes()), expected)
    }
}

/// Two views of no rows agree whatever their classes.
fn expect_shape(what: &'static str, given: (usize, usize), expected: (usize, usize)) -> Result<(), Error> {
    if given == expected || (given.0 == 0 && expected.0 == 0) {
        Ok(())
    } else {
        Err(Error::ShapeMismatch { what, given, expected })
    }
}
