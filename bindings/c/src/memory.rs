//! The caller's memory: described by C, checked here, and lent to the crate as its views.

use core::ffi::c_void;
use core::ops::Range;

use half::{bf16, f16};
use xent::{Element, Labels, Rows, RowsMut, Summary};

use crate::status::{Failure, xent_status};
use crate::{XENT_BF16, XENT_F16, XENT_F32, XENT_I32, XENT_I64, XENT_U32};

/// Rows of values, one for each class.
///
/// A field that is not named is 0, and 0 stands for what is usual: `(xent_rows){.data = x, .rows = 8, .classes = 1000}` are
/// 8 × 1000 floats that follow each other.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xent_rows {
    /// The first value. It may be NULL where there are no rows.
    pub data: *mut c_void,
    /// `XENT_F32`, `XENT_BF16` or `XENT_F16`.
    pub dtype: u32,
    /// How many rows there are.
    pub rows: usize,
    /// How many values each of them has.
    pub classes: usize,
    /// Values from the start of a row to that of the next; 0 for rows that follow each other.
    pub row_stride: usize,
    /// Values from a class of a row to the next; 0 for 1.
    pub class_stride: usize,
}

/// One class index for each row.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xent_labels {
    /// The first label. It may be NULL where there are none.
    pub data: *const c_void,
    /// `XENT_I32`, `XENT_I64` or `XENT_U32`.
    pub dtype: u32,
    /// How many there are: as many as rows.
    pub len: usize,
}

/// What the losses of the rows add up to.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xent_summary {
    /// The reduced loss; without a reduction the sum.
    pub value: f32,
    /// The number of rows that are not ignored.
    pub used_rows: usize,
    /// The sum of their weights.
    pub weight_sum: f64,
    /// The number of rows whose loss is infinite or NaN.
    pub non_finite_rows: usize,
}

impl From<&Summary> for xent_summary {
    fn from(summary: &Summary) -> Self {
        let &Summary { value, used_rows, weight_sum, non_finite_rows, .. } = summary;
        Self { value, used_rows, weight_sum, non_finite_rows }
    }
}

/// The memory of a call, so that nothing that is written is also lent as something else.
#[derive(Default)]
pub(crate) struct Memory {
    read: Vec<Range<usize>>,
    written: Vec<Range<usize>>,
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// An error unless so many values are there to be used, for all that an address tells.
fn check<T>(what: &str, data: *const T, len: usize) -> Result<Range<usize>, Failure> {
    let start = data.addr();
    if len == 0 {
        return Ok(start..start);
    }
    if data.is_null() {
        return Err(Failure::new(xent_status::XENT_NULL, format!("{what} is NULL; expected {len} values")));
    }
    if !data.is_aligned() {
        let (align, message) = (align_of::<T>(), "is not aligned; expected a multiple of");
        return Err(Failure::new(xent_status::XENT_UNALIGNED, format!("{what} {message} {align} bytes")));
    }
    // What a slice can be at most.
    let bytes = len.checked_mul(size_of::<T>()).filter(|bytes| isize::try_from(*bytes).is_ok());
    let end = bytes.and_then(|bytes| start.checked_add(bytes));
    end.map(|end| start..end).ok_or_else(|| too_large(what))
}

fn too_large(what: &str) -> Failure {
    Failure::new(xent_status::XENT_SIZE, format!("{what} reaches beyond the address space"))
}

impl Memory {
    fn reads<T>(&mut self, what: &str, data: *const T, len: usize) -> Result<(), Failure> {
        let range = check(what, data, len)?;
        if self.written.iter().any(|other| overlap(other, &range)) {
            return Err(overlapping(what));
        }
        self.read.push(range);
        Ok(())
    }

    fn writes<T>(&mut self, what: &str, data: *const T, len: usize) -> Result<(), Failure> {
        let range = check(what, data, len)?;
        if self.written.iter().chain(&self.read).any(|other| overlap(other, &range)) {
            return Err(overlapping(what));
        }
        self.written.push(range);
        Ok(())
    }

    /// Lends values to be read.
    ///
    /// # Safety
    ///
    /// Unless `data` is refused, there are `len` values from it on, which nobody writes as long as the call takes.
    pub(crate) unsafe fn slice<'a, T>(
        &mut self,
        what: &str,
        data: *const T,
        len: usize,
    ) -> Result<&'a [T], Failure> {
        self.reads(what, data, len)?;
        if len == 0 {
            return Ok(&[]);
        }
        // SAFETY: not null, aligned, and within what a slice can be, which `reads` has checked; the rest is the caller's word,
        // and within this call nothing overlaps that is written.
        Ok(unsafe { core::slice::from_raw_parts(data, len) })
    }

    /// Lends values to be written.
    ///
    /// # Safety
    ///
    /// As [`slice`](Self::slice), and nobody reads the values as long as the call takes.
    pub(crate) unsafe fn slice_mut<'a, T>(
        &mut self,
        what: &str,
        data: *mut T,
        len: usize,
    ) -> Result<&'a mut [T], Failure> {
        self.writes(what, data, len)?;
        if len == 0 {
            return Ok(&mut []);
        }
        // SAFETY: as in `slice`, and `writes` has checked that nothing else of this call overlaps.
        Ok(unsafe { core::slice::from_raw_parts_mut(data, len) })
    }

    /// As [`slice_mut`](Self::slice_mut), for what is not wanted where it is NULL.
    ///
    /// # Safety
    ///
    /// As [`slice_mut`](Self::slice_mut).
    pub(crate) unsafe fn optional<'a, T>(
        &mut self,
        what: &str,
        data: *mut T,
        len: usize,
    ) -> Result<Option<&'a mut [T]>, Failure> {
        if data.is_null() {
            return Ok(None);
        }
        // SAFETY: the same promise.
        unsafe { self.slice_mut(what, data, len) }.map(Some)
    }

    /// Lends rows to be read.
    ///
    /// # Safety
    ///
    /// As [`slice`](Self::slice), from the first value to the last.
    pub(crate) unsafe fn rows<'a>(&mut self, what: &str, rows: xent_rows) -> Result<Rows<'a>, Failure> {
        // SAFETY: the same promise, in each of them.
        unsafe {
            match rows.dtype {
                XENT_F32 => self.rows_of::<f32>(what, rows),
                XENT_BF16 => self.rows_of::<bf16>(what, rows),
                XENT_F16 => self.rows_of::<f16>(what, rows),
                other => Err(unknown(what, other, VALUES)),
            }
        }
    }

    /// # Safety
    ///
    /// As [`rows`](Self::rows).
    unsafe fn rows_of<'a, T: Element>(&mut self, what: &str, rows: xent_rows) -> Result<Rows<'a>, Failure> {
        let Shape { len, row_stride, class_stride } = Shape::of(what, &rows)?;
        // SAFETY: the same promise.
        let values = unsafe { self.slice(what, rows.data.cast_const().cast::<T>(), len)? };
        Ok(if class_stride == 1 {
            Rows::with_stride(values, rows.rows, rows.classes, row_stride)?
        } else {
            Rows::with_strides(values, [1, rows.classes, rows.rows], [0, class_stride, row_stride])?
        })
    }

    /// Lends rows to be written.
    ///
    /// # Safety
    ///
    /// As [`slice_mut`](Self::slice_mut), from the first value to the last, what lies between rows included.
    pub(crate) unsafe fn rows_mut<'a>(
        &mut self,
        what: &str,
        rows: xent_rows,
    ) -> Result<RowsMut<'a>, Failure> {
        // SAFETY: the same promise, in each of them.
        unsafe {
            match rows.dtype {
                XENT_F32 => self.rows_mut_of::<f32>(what, rows),
                XENT_BF16 => self.rows_mut_of::<bf16>(what, rows),
                XENT_F16 => self.rows_mut_of::<f16>(what, rows),
                other => Err(unknown(what, other, VALUES)),
            }
        }
    }

    /// # Safety
    ///
    /// As [`rows_mut`](Self::rows_mut).
    unsafe fn rows_mut_of<'a, T: Element>(
        &mut self,
        what: &str,
        rows: xent_rows,
    ) -> Result<RowsMut<'a>, Failure> {
        let Shape { len, row_stride, class_stride } = Shape::of(what, &rows)?;
        // SAFETY: the same promise.
        let values = unsafe { self.slice_mut(what, rows.data.cast::<T>(), len)? };
        Ok(if class_stride == 1 {
            RowsMut::with_stride(values, rows.rows, rows.classes, row_stride)?
        } else {
            RowsMut::with_strides(values, [1, rows.classes, rows.rows], [0, class_stride, row_stride])?
        })
    }

    /// Lends labels.
    ///
    /// # Safety
    ///
    /// As [`slice`](Self::slice).
    pub(crate) unsafe fn labels<'a>(&mut self, labels: xent_labels) -> Result<Labels<'a>, Failure> {
        let xent_labels { data, dtype, len } = labels;
        // SAFETY: the same promise, in each of them.
        unsafe {
            match dtype {
                XENT_I32 => self.slice("labels", data.cast::<i32>(), len).map(Labels::from),
                XENT_I64 => self.slice("labels", data.cast::<i64>(), len).map(Labels::from),
                XENT_U32 => self.slice("labels", data.cast::<u32>(), len).map(Labels::from),
                _ => Err(unknown("labels", dtype, "XENT_I32, XENT_I64 or XENT_U32")),
            }
        }
    }
}

/// The types of values.
const VALUES: &str = "XENT_F32, XENT_BF16 or XENT_F16";

fn overlapping(what: &str) -> Failure {
    let message = format!("{what} overlaps with other memory of the call; expected memory of its own");
    Failure::new(xent_status::XENT_OVERLAP, message)
}

pub(crate) fn unknown(what: &str, given: u32, expected: &str) -> Failure {
    Failure::new(
        xent_status::XENT_INVALID,
        format!("{what}: the type {given} is unknown; expected {expected}"),
    )
}

/// Where rows lie, once what is usual has been filled in.
struct Shape {
    /// Values from the first to the last.
    len: usize,
    row_stride: usize,
    class_stride: usize,
}

impl Shape {
    fn of(what: &str, rows: &xent_rows) -> Result<Self, Failure> {
        let class_stride = rows.class_stride.max(1);
        let reach = |count: usize, stride: usize| count.saturating_sub(1).checked_mul(stride);
        let of_row = reach(rows.classes, class_stride).and_then(|last| last.checked_add(1));
        let of_row = of_row.ok_or_else(|| too_large(what))?;
        let row_stride = if rows.row_stride == 0 { of_row } else { rows.row_stride };
        let len = if rows.rows == 0 || rows.classes == 0 {
            0
        } else {
            let of_rows = reach(rows.rows, row_stride).and_then(|last| last.checked_add(of_row));
            of_rows.ok_or_else(|| too_large(what))?
        };
        Ok(Self { len, row_stride, class_stride })
    }
}

/// Reads a struct that the caller describes memory by.
///
/// # Safety
///
/// Unless it is refused, there is such a struct.
pub(crate) unsafe fn read<T: Copy>(what: &str, from: *const T) -> Result<T, Failure> {
    check(what, from, 1)?;
    // SAFETY: not null and aligned, which has been checked; the rest is the caller's word.
    Ok(unsafe { *from })
}
