//! Products of matrices, by `matrixmultiply`, and the views that they are made of.
//!
//! Rows and columns of a matrix each lie at one stride. Every view is checked where it is made, and parts of it are parts
//! of what was checked.
#![allow(
    unsafe_code,
    reason = "the library takes pointers, and columns of a matrix that is written are no slices"
)]

use core::marker::PhantomData;
use core::ops::Range;

use super::strided::{Strided, StridedMut};

/// A borrowed matrix.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    /// The first value. All values of the shape may be read as long as the borrow lives.
    origin: *const f32,
    shape: [usize; 2],
    strides: [usize; 2],
    borrow: PhantomData<&'a [f32]>,
}

/// A mutably borrowed matrix, no two of its values in one place.
pub(crate) struct MatrixMut<'a> {
    /// As in [`Matrix`]; all values of the shape may be written, and nobody else's are among them.
    origin: *mut f32,
    shape: [usize; 2],
    strides: [usize; 2],
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is used as a `&[f32]` is.
unsafe impl Send for Matrix<'_> {}
// SAFETY: it is used as a `&[f32]` is.
unsafe impl Sync for Matrix<'_> {}
// SAFETY: it is used as a `&mut [f32]` is.
unsafe impl Send for MatrixMut<'_> {}
// SAFETY: it is used as a `&mut [f32]` is.
unsafe impl Sync for MatrixMut<'_> {}

/// Panics unless there are that many values: what keeps parts within their matrix. Callers know that there are.
fn check(part: &Range<usize>, len: usize) {
    assert!(part.start <= part.end && part.end <= len, "a part outside of its matrix");
}

/// How far the first value of a part is from that of the whole: nowhere where there is none.
fn shift(shape: [usize; 2], strides: [usize; 2], starts: [usize; 2]) -> usize {
    if starts[0] < shape[0] && starts[1] < shape[1] {
        starts[0] * strides[0] + starts[1] * strides[1]
    } else {
        0
    }
}

impl<'a> Matrix<'a> {
    /// The rows of a slice that follow each other without a gap.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(rows.checked_mul(columns), Some(values.len()), "the values of a matrix");
        Self { origin: values.as_ptr(), shape: [rows, columns], strides: [columns, 1], borrow: PhantomData }
    }

    /// A view whose rows lie at one stride; `None` where they do not.
    pub(crate) fn of(values: Strided<'a>) -> Option<Self> {
        let layout = values.layout();
        let (shape, strides) = ([layout.rows, layout.classes], [layout.stride, layout.class_step]);
        let origin = values.first().filter(|_| layout.seam(0).is_none())?;
        Some(Self { origin, shape, strides, borrow: PhantomData })
    }

    pub(crate) const fn rows(&self) -> usize {
        self.shape[0]
    }

    pub(crate) const fn columns(&self) -> usize {
        self.shape[1]
    }

    /// Its columns as rows.
    pub(crate) const fn transposed(self) -> Self {
        let ([rows, columns], [stride, column_stride]) = (self.shape, self.strides);
        Self { shape: [columns, rows], strides: [column_stride, stride], ..self }
    }

    /// Some of its rows.
    pub(crate) fn part(self, rows: Range<usize>) -> Self {
        check(&rows, self.shape[0]);
        // SAFETY: the first value of the part is one of the matrix, or there is none and nothing is added.
        let origin = unsafe { self.origin.add(shift(self.shape, self.strides, [rows.start, 0])) };
        Self { origin, shape: [rows.len(), self.shape[1]], ..self }
    }

    /// A row whose values follow each other; `None` where they do not.
    pub(crate) fn row(&self, row: usize) -> Option<&'a [f32]> {
        assert!(row < self.shape[0], "a row of the matrix");
        // SAFETY: the row exists; all of it may be read.
        (self.strides[1] == 1 || self.shape[1] < 2).then(|| unsafe {
            core::slice::from_raw_parts(self.origin.add(row * self.strides[0]), self.shape[1])
        })
    }

    pub(crate) fn get(&self, row: usize, column: usize) -> f32 {
        assert!(row < self.shape[0] && column < self.shape[1], "a value of the matrix");
        // SAFETY: the value exists.
        unsafe { *self.origin.add(row * self.strides[0] + column * self.strides[1]) }
    }
}

impl<'a> MatrixMut<'a> {
    /// As [`Matrix::new`].
    pub(crate) fn new(values: &'a mut [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(rows.checked_mul(columns), Some(values.len()), "the values of a matrix");
        let origin = values.as_mut_ptr();
        Self { origin, shape: [rows, columns], strides: [columns, 1], borrow: PhantomData }
    }

    /// As [`Matrix::of`].
    #[expect(clippy::needless_pass_by_value, reason = "its borrow is the matrix's")]
    pub(crate) fn of(values: StridedMut<'a>) -> Option<Self> {
        let Matrix { shape, strides, .. } = Matrix::of(values.share())?;
        Some(Self { origin: values.first()?, shape, strides, borrow: PhantomData })
    }

    /// A borrow that ends sooner.
    pub(crate) const fn reborrow(&mut self) -> MatrixMut<'_> {
        MatrixMut { origin: self.origin, shape: self.shape, strides: self.strides, borrow: PhantomData }
    }

    pub(crate) const fn transposed(self) -> Self {
        let ([rows, columns], [stride, column_stride]) = (self.shape, self.strides);
        Self { shape: [columns, rows], strides: [column_stride, stride], ..self }
    }

    /// The first `row` rows and the others.
    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        check(&(0..row), self.shape[0]);
        let part = |rows: Range<usize>| {
            // SAFETY: as in [`Matrix::part`]; the two parts have no value in common.
            let origin = unsafe { self.origin.add(shift(self.shape, self.strides, [rows.start, 0])) };
            Self { origin, shape: [rows.len(), self.shape[1]], ..self }
        };
        (part(0..row), part(row..self.shape[0]))
    }

    /// Makes of each value what `change` makes of it, given its row and column: row by row, or column by column where that
    /// is how they lie.
    pub(crate) fn change(&mut self, change: impl Fn(usize, usize, f32) -> f32) {
        let by_columns = self.strides[1] > self.strides[0];
        let [outer, inner] = if by_columns { [1, 0] } else { [0, 1] };
        for i in 0..self.shape[outer] {
            for j in 0..self.shape[inner] {
                let (row, column) = if by_columns { (j, i) } else { (i, j) };
                // SAFETY: the value exists, and is nobody else's while `self` is borrowed.
                let value =
                    unsafe { &mut *self.origin.add(i * self.strides[outer] + j * self.strides[inner]) };
                *value = change(row, column, *value);
            }
        }
    }
}

/// Makes `a b` of a matrix, or adds it to what is there.
///
/// Of each value the products are added in order, from blocks of 256 of them, which are added to what is there one after
/// another: neither the number of rows nor that of columns changes a bit.
pub(crate) fn multiply(a: Matrix<'_>, b: Matrix<'_>, adds: bool, to: &mut MatrixMut<'_>) {
    let ([rows, inner], columns) = (a.shape, b.shape[1]);
    assert!(b.shape[0] == inner && to.shape == [rows, columns], "matrices that fit");
    // A stride between values is at most the size of an allocation in values, which an `isize` can hold. Where there is
    // but one value, it is no matter what it is.
    let strides = |shape: [usize; 2], strides: [usize; 2]| {
        let of = |axis: usize| if shape[axis] > 1 { strides[axis].cast_signed() } else { 1 };
        [of(0), of(1)]
    };
    let ([ra, ca], [rb, cb]) = (strides(a.shape, a.strides), strides(b.shape, b.strides));
    let [rc, cc] = strides(to.shape, to.strides);
    // SAFETY: all values of `a` and `b` may be read, and all of `to` be written, no two of which are in one place: each
    // value is a row times its stride and a column times its stride from the origin.
    unsafe {
        matrixmultiply::sgemm(
            rows,
            inner,
            columns,
            1.0,
            a.origin,
            ra,
            ca,
            b.origin,
            rb,
            cb,
            f32::from(adds),
            to.origin,
            rc,
            cc,
        );
    }
}
