//! Softmax, its logarithm, and log-sum-exp.
//!
//! Signatures are also given as text where a default is negative: PyO3 would show `...` for it.

use pyo3::prelude::*;
use xent::{CrossEntropy, Rows, RowsMut, Statistics};

use crate::array::{Array, Copied};
use crate::error::to_py;
use crate::options::{mapped, values};
use crate::output::Output;
use crate::threads::run;

/// An operation whose results have the shape of the logits, and the same without options over them.
struct Operation {
    into: fn(&CrossEntropy<'_>, Rows<'_>, RowsMut<'_>) -> Result<(), xent::Error>,
    in_place: fn(RowsMut<'_>) -> Result<(), xent::Error>,
}

impl Operation {
    fn run<'py>(
        &self,
        logits: &Bound<'py, PyAny>,
        axis: isize,
        soft_cap: Option<f64>,
        temperature: f64,
        out: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = logits.py();
        let options = mapped(CrossEntropy::new(), soft_cap, temperature).map_err(to_py)?;
        let logits = Array::new("logits", logits)?;
        let axis = logits.axis(axis)?;
        let mut out = Output::new::<f32>(py, "out", out, logits.shape())?;
        let mut copied = Copied::default();
        let view = if !out.array.is_same(&logits) {
            out.array.expect_apart(&logits)?;
            logits.rows(axis, &mut copied)?
        } else if options == CrossEntropy::new() {
            let over = out.array.rows_mut(axis)?;
            run(py, logits.len(), || (self.in_place)(over))?;
            return Ok(out.object);
        } else {
            logits.copied_rows(axis, &mut copied)?
        };
        let to = out.array.rows_mut(axis)?;
        run(py, logits.len(), || (self.into)(&options, view, to))?;
        Ok(out.object)
    }
}

/// Probabilities of the classes, which lie along an axis; after a soft cap and a temperature, if they are given. `out` may be
/// the logits themselves.
///
/// >>> xent.softmax(np.float32([0.0, 0.0]))
/// array([0.5, 0.5], dtype=float32)
#[pyfunction]
#[pyo3(signature = (logits, *, axis=-1, soft_cap=None, temperature=1.0, out=None),
    text_signature = "(logits, *, axis=-1, soft_cap=None, temperature=1.0, out=None)")]
pub(crate) fn softmax<'py>(
    logits: &Bound<'py, PyAny>,
    axis: isize,
    soft_cap: Option<f64>,
    temperature: f64,
    out: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let operation = Operation {
        into: |options, from, to| options.probabilities_into(from, to),
        in_place: xent::softmax_in_place,
    };
    operation.run(logits, axis, soft_cap, temperature, out)
}

/// The logarithms of the probabilities, as exact next to 0 as elsewhere. `out` may be the logits themselves.
///
/// >>> xent.log_softmax(np.float32([20.0, 0.0]))
/// array([-2.0611537e-09, -2.0000000e+01], dtype=float32)
#[pyfunction]
#[pyo3(signature = (logits, *, axis=-1, soft_cap=None, temperature=1.0, out=None),
    text_signature = "(logits, *, axis=-1, soft_cap=None, temperature=1.0, out=None)")]
pub(crate) fn log_softmax<'py>(
    logits: &Bound<'py, PyAny>,
    axis: isize,
    soft_cap: Option<f64>,
    temperature: f64,
    out: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let operation = Operation {
        into: |options, from, to| options.log_probabilities_into(from, to),
        in_place: xent::log_softmax_in_place,
    };
    operation.run(logits, axis, soft_cap, temperature, out)
}

/// `ln(sum(exp(x)))` along an axis, without overflow.
///
/// >>> xent.logsumexp(np.float32([1000.0, 1000.0]))
/// array(1000.69315, dtype=float32)
#[pyfunction]
#[pyo3(signature = (logits, *, axis=-1, soft_cap=None, temperature=1.0, out=None),
    text_signature = "(logits, *, axis=-1, soft_cap=None, temperature=1.0, out=None)")]
pub(crate) fn logsumexp<'py>(
    logits: &Bound<'py, PyAny>,
    axis: isize,
    soft_cap: Option<f64>,
    temperature: f64,
    out: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = mapped(CrossEntropy::new(), soft_cap, temperature).map_err(to_py)?;
    let py = logits.py();
    let logits = Array::new("logits", logits)?;
    let axis = logits.axis(axis)?;
    let mut out = Output::new::<f32>(py, "out", out, &logits.row_shape(axis))?;
    out.array.expect_apart(&logits)?;
    let mut copied = Copied::default();
    let view = logits.rows(axis, &mut copied)?;
    let to = out.array.values_mut::<f32>()?;
    run(py, values(&view), || {
        if options == CrossEntropy::new() {
            xent::log_sum_exp_into(view, to)
        } else {
            options.predictions_into(view, Statistics::new().log_sum_exp(to))
        }
    })?;
    Ok(out.object)
}
