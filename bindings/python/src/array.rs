//! Arrays of the caller's, of whatever library they are, as views of memory. What is `unsafe` in this package is here.

use dlpark::ffi::{DLDataType, DLDataTypeCode, DLDeviceType};
use dlpark::python::consumer::exchange::ExchangeApi;
use dlpark::python::{ImportedDlpack, from_dlpack};
use dlpark::{DlpackElement, DlpackFlags, TensorRef};
use half::{bf16, f16};
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods, npyffi};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::{intern, types::PyMemoryView};
use xent::{Labels, Rows, RowsMut};

use crate::error::to_py;
use crate::threads::is_alone;

/// The place and the layout of an array, and what keeps its memory.
pub(crate) struct Array<'py> {
    what: &'static str,
    data: *mut u8,
    dtype: DLDataType,
    shape: Vec<usize>,
    /// In bytes.
    strides: Vec<isize>,
    is_writable: bool,
    owner: Owner<'py>,
}

/// Dropped with the array, and nothing else.
#[expect(dead_code, reason = "what they hold is kept, not read")]
enum Owner<'py> {
    Object(Bound<'py, PyAny>),
    Imported(ImportedDlpack),
}

/// Values of a copy, where an array cannot be viewed as it lies.
#[derive(Default)]
pub(crate) struct Copied<T>(Vec<T>);

/// What a type of values is in Rust.
pub(crate) trait Value: Copy + DlpackElement {}

impl<T: Copy + DlpackElement> Value for T {}

impl<'py> Array<'py> {
    /// An array that is called `what` in errors: of NumPy, with DLPack, or with the buffer protocol.
    pub(crate) fn new(what: &'static str, object: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(array) = object.cast::<PyUntypedArray>() {
            return Self::of_numpy(what, array);
        }
        if object.hasattr(intern!(object.py(), "__dlpack__"))? {
            let grad = object.getattr_opt(intern!(object.py(), "requires_grad"))?;
            if grad.is_some_and(|grad| grad.is_truthy().unwrap_or(true)) {
                return Err(PyTypeError::new_err(format!(
                    "the {what} requires a gradient, which would be lost here; expected a detached tensor, or a call of xent.torch"
                )));
            }
            return Self::of_dlpack(what, object);
        }
        let Ok(buffer) = PyMemoryView::from(object) else {
            return Err(PyTypeError::new_err(format!(
                "the {what} is of type {}; expected an array with DLPack or the buffer protocol",
                object.get_type().name()?
            )));
        };
        let array = object.py().import(intern!(object.py(), "numpy"))?.call_method1("asarray", (buffer,))?;
        Self::of_numpy(what, array.cast::<PyUntypedArray>()?)
    }

    /// One that may be absent.
    pub(crate) fn option(what: &'static str, object: Option<&Bound<'py, PyAny>>) -> PyResult<Option<Self>> {
        object.map(|object| Self::new(what, object)).transpose()
    }

    pub(crate) fn of_numpy(what: &'static str, array: &Bound<'py, PyUntypedArray>) -> PyResult<Self> {
        let descr = array.dtype();
        let code = match descr.kind() {
            b'f' => DLDataTypeCode::FLOAT,
            b'i' => DLDataTypeCode::INT,
            b'u' => DLDataTypeCode::UINT,
            b'b' => DLDataTypeCode::BOOL,
            b'c' => DLDataTypeCode::COMPLEX,
            // The types of ml_dtypes.
            b'V' if descr.typeobj().name()? == "bfloat16" => DLDataTypeCode::BFLOAT,
            _ => DLDataTypeCode(u8::MAX),
        };
        if code.0 == u8::MAX || descr.is_native_byteorder() == Some(false) {
            return Err(wrong_type(
                what,
                &descr.str()?.to_string(),
                &format!("{FLOATS}, or integers for labels"),
            ));
        }
        let bits = u8::try_from(descr.itemsize() * 8).unwrap_or(u8::MAX);
        // SAFETY: it is an array, and the reference that is kept below keeps its memory.
        let fields = unsafe { &*array.as_array_ptr() };
        // SAFETY: as above; the fields are read, and the array is not changed.
        let fields = unsafe { &*npyffi::_PyArray_GET_ITEM_DATA(fields) };
        Ok(Self {
            what,
            data: fields.data.cast(),
            dtype: DLDataType::scalar(code, bits),
            shape: array.shape().to_vec(),
            strides: array.strides().to_vec(),
            is_writable: fields.flags & npyffi::NPY_ARRAY_WRITEABLE != 0,
            owner: Owner::Object(array.clone().into_any()),
        })
    }

    /// An array with DLPack, also where it requires a gradient.
    pub(crate) fn of_dlpack(what: &'static str, object: &Bound<'py, PyAny>) -> PyResult<Self> {
        let bad = |error: String| PyTypeError::new_err(format!("the {what} cannot be imported: {error}"));
        // PyTorch lends what others hand over, at a fraction of the time. The object that lends is kept.
        if let Some(lender) = ExchangeApi::from_object(object.as_borrowed())?
            && let Ok(lent) = lender.with_tensor_view_no_sync(object.as_borrowed(), |tensor, _| {
                // SAFETY: the lender says that this describes the object, which is alive.
                let tensor = unsafe { TensorRef::from_raw(tensor) }.map_err(|e| bad(e.to_string()))?;
                Self::of_tensor(what, &tensor, true, Owner::Object(object.clone()))
            })
        {
            return lent;
        }
        let imported = from_dlpack(object.as_borrowed(), None, None).map_err(|e| bad(e.to_string()))?;
        let is_writable = !imported.flags().contains(DlpackFlags::READ_ONLY);
        let tensor = imported.validate().map_err(|e| bad(e.to_string()))?;
        let lent = Self::of_tensor(what, &tensor, is_writable, Owner::Object(object.clone()))?;
        Ok(Self { owner: Owner::Imported(imported), ..lent })
    }

    /// What a tensor says of itself.
    fn of_tensor(
        what: &'static str,
        tensor: &TensorRef<'_>,
        is_writable: bool,
        owner: Owner<'py>,
    ) -> PyResult<Self> {
        let bad = |error: String| PyTypeError::new_err(format!("the {what} cannot be imported: {error}"));
        if tensor.device().device_type != DLDeviceType::CPU {
            return Err(bad("it is not in the memory of the CPU".into()));
        }
        let dtype = tensor.dtype();
        let strides = tensor.strides_or_compact().map_err(|e| bad(e.to_string()))?;
        // SAFETY: what is made of the pointer is checked for every view.
        let data = unsafe { tensor.offset_bytes_ptr() }.map_err(|e| bad(e.to_string()))?;
        let size = dtype.element_size() as i64;
        Ok(Self {
            what,
            data: data.cast_mut(),
            dtype,
            shape: tensor.shape().iter().map(|&len| len as usize).collect(),
            // A stride that nothing lies at can be any number.
            strides: strides.iter().map(|stride| stride.saturating_mul(size) as isize).collect(),
            is_writable,
            owner,
        })
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of values; `usize::MAX` where they cannot be counted.
    pub(crate) fn len(&self) -> usize {
        if self.shape.contains(&0) {
            0
        } else {
            self.shape.iter().fold(1, |n: usize, &len| n.saturating_mul(len))
        }
    }

    pub(crate) fn is_float(&self) -> bool {
        matches!(self.dtype.code, DLDataTypeCode::FLOAT | DLDataTypeCode::BFLOAT)
    }

    /// An error unless values are of type `T`.
    fn expect_type<T: Value>(&self) -> PyResult<()> {
        if self.dtype.is::<T>() {
            return Ok(());
        }
        Err(self.wrong_type(&name(T::DTYPE)))
    }

    fn wrong_type(&self, expected: &str) -> PyErr {
        wrong_type(self.what, &name(self.dtype), expected)
    }

    pub(crate) fn expect_shape(&self, expected: &[usize]) -> PyResult<()> {
        if self.shape == expected {
            return Ok(());
        }
        let Self { what, shape, .. } = self;
        Err(PyValueError::new_err(format!("the {what} has shape {shape:?}; expected {expected:?}")))
    }

    /// An axis, which may count from the end.
    pub(crate) fn axis(&self, axis: isize) -> PyResult<usize> {
        let axes = self.shape.len();
        let counted = if axis < 0 { axis.checked_add_unsigned(axes) } else { Some(axis) };
        let counted = counted.and_then(|axis| usize::try_from(axis).ok()).filter(|&axis| axis < axes);
        counted.ok_or_else(|| {
            let what = self.what;
            PyValueError::new_err(format!(
                "the {what} has {axes} axes; expected axis {axis} to be one of them"
            ))
        })
    }

    /// The shape of what there is one of for each row.
    pub(crate) fn row_shape(&self, axis: usize) -> Vec<usize> {
        let mut shape = self.shape.clone();
        shape.remove(axis);
        shape
    }

    /// Outer × classes × inner values and their strides in values, where the array lies so: at strides that are not negative,
    /// its axes but that of the classes in two evenly spaced groups, its values aligned.
    fn lies(&self, axis: usize) -> Option<([usize; 3], [usize; 3])> {
        let size = self.dtype.element_size();
        if self.data.align_offset(size) != 0 {
            return None;
        }
        let in_values = |axis: usize| {
            let bytes = if self.shape[axis] > 1 { usize::try_from(self.strides[axis]).ok()? } else { 0 };
            (bytes % size == 0).then_some(bytes / size)
        };
        let (mut groups, mut count) = ([(1_usize, 0_usize); 2], 0_usize);
        for row_axis in (0..self.shape.len()).filter(|&other| other != axis && self.shape[other] != 1) {
            let (len, stride) = (self.shape[row_axis], in_values(row_axis)?);
            match count.checked_sub(1).map(|last| &mut groups[last]) {
                Some((before, far)) if Some(*far) == len.checked_mul(stride) => {
                    (*before, *far) = (before.checked_mul(len)?, stride);
                }
                _ if count == 2 => return None,
                _ => {
                    groups[count] = (len, stride);
                    count += 1;
                }
            }
        }
        let [(outer, outer_stride), (inner, stride)] = groups;
        Some(([outer, self.shape[axis], inner], [outer_stride, in_values(axis)?, stride]))
    }

    /// As [`lies`](Self::lies), with the number of values from the first to the last; no value where there is none.
    fn extent(&self, axis: usize) -> Option<([usize; 3], [usize; 3], usize)> {
        if self.shape.contains(&0) {
            let rows = self.row_shape(axis);
            let rows = if rows.contains(&0) {
                0
            } else {
                rows.iter().fold(1, |n: usize, &len| n.saturating_mul(len))
            };
            return Some(([rows, self.shape[axis], 1], [self.shape[axis], 1, 1], 0));
        }
        let (shape, strides) = self.lies(axis)?;
        let mut span = 1_usize;
        for (len, stride) in shape.into_iter().zip(strides) {
            span = (len - 1).checked_mul(stride).and_then(|far| span.checked_add(far))?;
        }
        span.checked_mul(self.dtype.element_size()).filter(|&bytes| isize::try_from(bytes).is_ok())?;
        Some((shape, strides, span))
    }

    /// The values as rows, with the classes along an axis: as they lie, or of a copy where they cannot be viewed so.
    pub(crate) fn rows<'a>(&'a self, axis: usize, copied: &'a mut Copied<f32>) -> PyResult<Rows<'a>> {
        let Some((shape, strides, span)) = self.extent(axis) else { return self.copied_rows(axis, copied) };
        // SAFETY: the caller says that values lie at these strides from the pointer on, of which `span` is the last; they are
        // aligned, of this type, and in memory that is kept. That nobody writes to them meanwhile is asked of callers, in README.
        let rows = match self.dtype {
            dtype if dtype.is::<f32>() => {
                Rows::with_strides(unsafe { slice(self.data.cast::<f32>(), span) }, shape, strides)
            }
            dtype if dtype.is::<bf16>() => {
                Rows::with_strides(unsafe { slice(self.data.cast::<bf16>(), span) }, shape, strides)
            }
            dtype if dtype.is::<f16>() => {
                Rows::with_strides(unsafe { slice(self.data.cast::<f16>(), span) }, shape, strides)
            }
            _ => return Err(self.wrong_type(FLOATS)),
        };
        on_threads(rows)
    }

    /// As [`rows`](Self::rows), of a copy.
    pub(crate) fn copied_rows<'a>(&self, axis: usize, copied: &'a mut Copied<f32>) -> PyResult<Rows<'a>> {
        *copied = self.widened()?;
        on_threads(Rows::along_axis(&copied.0, &self.shape, axis))
    }

    /// The values as rows that results are written to.
    pub(crate) fn rows_mut(&mut self, axis: usize) -> PyResult<RowsMut<'_>> {
        self.expect_writable()?;
        let Some((shape, strides, span)) = self.extent(axis) else {
            let Self { what, shape, strides, .. } = self;
            return Err(PyValueError::new_err(format!(
                "the {what} of shape {shape:?} at strides of {strides:?} bytes cannot be written to as it lies; expected aligned values at \
                 strides that are not negative, and axes that follow each other to be evenly spaced"
            )));
        };
        // SAFETY: as for `rows`; that no input is written over has been checked by `expect_apart`.
        let rows = match self.dtype {
            dtype if dtype.is::<bf16>() => {
                RowsMut::with_strides(unsafe { slice_mut(self.data.cast::<bf16>(), span) }, shape, strides)
            }
            dtype if dtype.is::<f16>() => {
                RowsMut::with_strides(unsafe { slice_mut(self.data.cast::<f16>(), span) }, shape, strides)
            }
            dtype if dtype.is::<f32>() => {
                RowsMut::with_strides(unsafe { slice_mut(self.data.cast::<f32>(), span) }, shape, strides)
            }
            _ => return Err(self.wrong_type(FLOATS)),
        };
        let rows = rows.map_err(to_py)?;
        Ok(if is_alone() { rows.on_this_thread() } else { rows })
    }

    /// All values after each other, in row-major order.
    pub(crate) fn values<'a, T: Value>(&'a self, copied: &'a mut Copied<T>) -> PyResult<&'a [T]> {
        self.expect_type::<T>()?;
        if self.is_contiguous() {
            // SAFETY: as for `rows`.
            return Ok(unsafe { slice(self.data.cast::<T>(), self.len()) });
        }
        *copied = self.copy(|value: T| value)?;
        Ok(&copied.0)
    }

    /// As [`values`](Self::values), of whatever type of floats they are: as f32.
    pub(crate) fn floats<'a>(&'a self, copied: &'a mut Copied<f32>) -> PyResult<&'a [f32]> {
        if self.dtype.is::<f32>() {
            return self.values(copied);
        }
        *copied = self.widened()?;
        Ok(&copied.0)
    }

    /// A copy as f32, in row-major order.
    fn widened(&self) -> PyResult<Copied<f32>> {
        match self.dtype {
            dtype if dtype.is::<f32>() => self.copy(|value: f32| value),
            dtype if dtype.is::<bf16>() => self.copy(bf16::to_f32),
            dtype if dtype.is::<f16>() => self.copy(f16::to_f32),
            _ => Err(self.wrong_type(FLOATS)),
        }
    }

    /// As [`values`](Self::values), to be written to.
    pub(crate) fn values_mut<T: Value>(&mut self) -> PyResult<&mut [T]> {
        self.expect_type::<T>()?;
        self.expect_writable()?;
        if !self.is_contiguous() {
            let Self { what, shape, strides, .. } = self;
            return Err(PyValueError::new_err(format!(
                "the {what} of shape {shape:?} has strides of {strides:?} bytes; expected values that follow each other"
            )));
        }
        let len = self.len();
        // SAFETY: as for `rows_mut`.
        Ok(unsafe { slice_mut(self.data.cast::<T>(), len) })
    }

    /// Integers as labels, of whatever type they are.
    pub(crate) fn labels<'a>(&'a self, copied: &'a mut Copied<u64>) -> PyResult<Labels<'a>> {
        macro_rules! labels {
            ($($type:ty),+) => {$(
                if self.dtype.is::<$type>() {
                    if self.is_contiguous() {
                        // SAFETY: as for `rows`.
                        return Ok(Labels::from(unsafe { slice(self.data.cast::<$type>(), self.len()) }));
                    }
                    // Of a negative number its 64 bits: of the same sign as i64.
                    *copied = self.copy(|value: $type| value as u64)?;
                    let unsigned = <$type>::MIN == 0;
                    // SAFETY: u64 and i64 have one layout.
                    let signed = unsafe { slice(copied.0.as_ptr().cast::<i64>(), copied.0.len()) };
                    return Ok(if unsigned { Labels::from(&copied.0) } else { Labels::from(signed) });
                }
            )+};
        }
        labels!(i64, i32, u8, u32, u16, u64, i16, i8);
        Err(self.wrong_type(&format!("integers, or {FLOATS} for distributions")))
    }

    /// The first and the last byte of all values, but for those of nothing.
    fn bytes(&self) -> Option<(usize, usize)> {
        let (mut first, mut last) = (self.data.addr(), self.data.addr());
        for (&len, &stride) in self.shape.iter().zip(&self.strides) {
            let far = stride.saturating_mul(isize::try_from(len).unwrap_or(isize::MAX).checked_sub(1)?);
            let end = if far < 0 { &mut first } else { &mut last };
            *end = end.saturating_add_signed(far);
        }
        (!self.shape.contains(&0)).then(|| (first, last.saturating_add(self.dtype.element_size() - 1)))
    }

    /// An error if this array, which is written to, shares memory with one that is read.
    pub(crate) fn expect_apart(&self, read: &Array<'_>) -> PyResult<()> {
        match (self.bytes(), read.bytes()) {
            (Some((first, last)), Some((read_first, read_last)))
                if first <= read_last && read_first <= last =>
            {
                Err(PyValueError::new_err(format!(
                    "the {} shares memory with the {}; expected memory of its own, or exactly that of the logits",
                    self.what, read.what
                )))
            }
            _ => Ok(()),
        }
    }

    /// Whether both are the same values in the same order.
    pub(crate) fn is_same(&self, other: &Array<'_>) -> bool {
        self.data == other.data
            && self.dtype == other.dtype
            && self.shape == other.shape
            && self.strides == other.strides
    }

    fn is_contiguous(&self) -> bool {
        let (mut expected, size) = (Some(1), self.dtype.element_size());
        let mut lies = self.data.align_offset(size) == 0;
        for (&len, &stride) in self.shape.iter().zip(&self.strides).rev() {
            let bytes = expected.and_then(|values: usize| values.checked_mul(size));
            lies &= len == 1 || usize::try_from(stride).ok() == bytes;
            expected = expected.and_then(|values| values.checked_mul(len));
        }
        self.shape.contains(&0) || (lies && expected.is_some())
    }

    /// Has what the buffer protocol says of being written to count as well: the arrays of JAX are read-only by it, and not by DLPack.
    pub(crate) fn heed_buffer(&mut self, object: &Bound<'py, PyAny>) -> PyResult<()> {
        if let (Owner::Imported(_), Ok(buffer)) = (&self.owner, PyMemoryView::from(object)) {
            self.is_writable &= !buffer.getattr(intern!(object.py(), "readonly"))?.is_truthy()?;
        }
        Ok(())
    }

    fn expect_writable(&self) -> PyResult<()> {
        if self.is_writable {
            return Ok(());
        }
        Err(PyValueError::new_err(format!(
            "the {} is read-only; expected an array that can be written to",
            self.what
        )))
    }

    /// What is made of all values in row-major order, wherever they lie.
    fn copy<T: Value, U>(&self, made: impl Fn(T) -> U) -> PyResult<Copied<U>> {
        let (len, mut values) = (self.len(), Vec::new());
        values.try_reserve_exact(len).map_err(|_| to_py(xent::Error::OutOfMemory { values: len }))?;
        let mut index = vec![0_usize; self.shape.len()];
        let mut offset = 0_isize;
        for _ in 0..len {
            // SAFETY: each index is within the shape, and the caller says that a value of this type, which is checked by the
            // caller of this function, lies there, aligned or not.
            values.push(made(unsafe { self.data.offset(offset).cast::<T>().read_unaligned() }));
            for (axis, at) in index.iter_mut().enumerate().rev() {
                *at += 1;
                offset += self.strides[axis];
                if *at < self.shape[axis] {
                    break;
                }
                offset -= self.strides[axis] * *at as isize;
                *at = 0;
            }
        }
        Ok(Copied(values))
    }
}

/// Types that rows can be of.
const FLOATS: &str = "float32, float16 or bfloat16";

/// # Safety
///
/// As `std::slice::from_raw_parts` where there are values; the pointer of none can be any.
unsafe fn slice<'a, T>(data: *const T, len: usize) -> &'a [T] {
    // SAFETY: the caller's.
    if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data, len) } }
}

/// # Safety
///
/// As [`slice`], and nobody else has the values.
unsafe fn slice_mut<'a, T>(data: *mut T, len: usize) -> &'a mut [T] {
    // SAFETY: the caller's.
    if len == 0 { &mut [] } else { unsafe { std::slice::from_raw_parts_mut(data, len) } }
}

/// Rows for a call on this thread, where there is no other.
fn on_threads(rows: Result<Rows<'_>, xent::Error>) -> PyResult<Rows<'_>> {
    let rows = rows.map_err(to_py)?;
    Ok(if is_alone() { rows.on_this_thread() } else { rows })
}

fn wrong_type(what: &str, given: &str, expected: &str) -> PyErr {
    PyTypeError::new_err(format!("the {what} has values of type {given}; expected {expected}"))
}

fn name(dtype: DLDataType) -> String {
    let code = match dtype.code {
        DLDataTypeCode::FLOAT => "float",
        DLDataTypeCode::BFLOAT => "bfloat",
        DLDataTypeCode::INT => "int",
        DLDataTypeCode::UINT => "uint",
        DLDataTypeCode::COMPLEX => "complex",
        DLDataTypeCode::BOOL => return "bool".into(),
        DLDataTypeCode(code) => return format!("DLPack's {code} of {} bits", dtype.bits),
    };
    format!("{code}{}", dtype.bits)
}
