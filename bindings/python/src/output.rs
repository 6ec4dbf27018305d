//! Where results go: the caller's arrays, or new ones of NumPy.

use numpy::{Element, PyArrayDyn, PyArrayMethods};
use pyo3::prelude::*;

use crate::array::{Array, Value};
use crate::error::to_py;

/// An array that results are written to, and the object that stands for it.
pub(crate) struct Output<'py> {
    pub(crate) array: Array<'py>,
    pub(crate) object: Bound<'py, PyAny>,
}

impl<'py> Output<'py> {
    /// The caller's array, which must have a shape, or a new one.
    pub(crate) fn new<T: Element + Value>(
        py: Python<'py>,
        what: &'static str,
        out: Option<Bound<'py, PyAny>>,
        shape: &[usize],
    ) -> PyResult<Self> {
        let Some(object) = out else { return Self::zeros::<T>(py, what, shape) };
        let mut array = Array::new(what, &object)?;
        array.expect_shape(shape)?;
        array.heed_buffer(&object)?;
        Ok(Self { array, object })
    }

    /// A new array.
    pub(crate) fn zeros<T: Element>(py: Python<'py>, what: &'static str, shape: &[usize]) -> PyResult<Self> {
        let len = shape.iter().fold(1, |n: usize, &len| n.saturating_mul(len));
        // NumPy's own failure would be a panic: the size is tried first, where it can be too large.
        if len > 1 << 20 {
            let tried = Vec::<T>::new().try_reserve_exact(len);
            tried.map_err(|_| to_py(xent::Error::OutOfMemory { values: len }))?;
        }
        let object = PyArrayDyn::<T>::zeros(py, shape, false);
        let array = Array::of_numpy(what, object.as_untyped())?;
        Ok(Self { array, object: object.into_any() })
    }
}
