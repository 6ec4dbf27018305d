//! The loss and its gradient.

use std::cell::Cell;
use std::thread::LocalKey;

use pyo3::prelude::*;
use pyo3::types::PyFloat;
use xent::{CrossEntropy, LogSumExp, Rows, Summary, Targets, Upstream};

use crate::array::{Array, Copied};
use crate::error::to_py;
use crate::options::{Compared, ComparedCopies, Options, values};
use crate::output::Output;
use crate::threads::run;

/// A number, or the losses of rows.
fn reduced<'py>(py: Python<'py>, losses: Option<Output<'py>>, summary: Summary) -> Bound<'py, PyAny> {
    losses.map_or_else(|| PyFloat::new(py, summary.value.into()).into_any(), |losses| losses.object)
}

thread_local! {
    /// What the calls of a thread need for a while, kept for its next one: memory that is new costs more than what is done with it.
    static SCRATCH: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
    static SUMS: Cell<Vec<LogSumExp>> = const { Cell::new(Vec::new()) };
}

/// The most bytes that a thread keeps of each.
const KEPT: usize = 16 << 20;

/// So many values, to be written over.
fn reused<T: Clone>(kept: &'static LocalKey<Cell<Vec<T>>>, len: usize, value: T) -> PyResult<Vec<T>> {
    let mut values = kept.take();
    values.truncate(len);
    let more = values.try_reserve_exact(len - values.len());
    more.map_err(|_| to_py(xent::Error::OutOfMemory { values: len }))?;
    values.resize(len, value);
    Ok(values)
}

/// Keeps values for the next call, unless there are too many.
fn keep<T>(kept: &'static LocalKey<Cell<Vec<T>>>, values: Vec<T>) {
    if values.capacity() * size_of::<T>() <= KEPT {
        // At the end of the thread there is nothing to keep them in.
        let _ = kept.try_with(|kept| kept.set(values));
    }
}

/// Losses that are only added up.
pub(crate) struct Scratch(Vec<f32>);

impl Scratch {
    pub(crate) fn new(rows: usize) -> PyResult<Self> {
        Ok(Self(if rows == 0 { Vec::new() } else { reused(&SCRATCH, rows, 0.0)? }))
    }

    pub(crate) fn losses(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            keep(&SCRATCH, std::mem::take(&mut self.0));
        }
    }
}

/// Softmax cross-entropy of logits, floats of 32 or 16 bits, with their classes along an axis: in nats.
///
/// Labels are class indices, integers of any type in the shape of the logits without that axis; or distributions, floats in
/// the shape of the logits. Options are those of PyTorch's `cross_entropy`, and `z_loss`, a factor of the squared log-sum-exp
/// that is added; `soft_cap`, which makes `cap * tanh(x / cap)` of each logit; and `temperature`, which divides it.
///
/// Gives a number, or with `reduction="none"` the losses of rows, written to `out` if it is given.
///
/// >>> xent.cross_entropy(np.float32([[20.0, 0.0]]), np.array([0]))
/// 2.061153668790212e-09
#[pyfunction]
#[pyo3(signature = (logits, labels, *, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean", z_loss=0.0,
    soft_cap=None, temperature=1.0, axis=-1, out=None),
    text_signature = "(logits, labels, *, weight=None, ignore_index=-100, label_smoothing=0.0, reduction='mean', z_loss=0.0, \
    soft_cap=None, temperature=1.0, axis=-1, out=None)")]
#[expect(clippy::too_many_arguments, reason = "they are Python's keywords")]
pub(crate) fn cross_entropy<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    labels: &Bound<'py, PyAny>,
    weight: Option<&Bound<'py, PyAny>>,
    ignore_index: i64,
    label_smoothing: f64,
    reduction: &str,
    z_loss: f64,
    soft_cap: Option<f64>,
    temperature: f64,
    axis: isize,
    out: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = Options { reduction, ignore_index, label_smoothing, z_loss, soft_cap, temperature };
    let Pass { logits, compared, axis } = Pass::new(Array::new, logits, labels, weight, axis)?;
    let (mut copied, mut copies) = (Copied::default(), ComparedCopies::default());
    let view = logits.rows(axis, &mut copied)?;
    let (targets, weight) = compared.views(axis, &mut copies)?;
    let loss = options.loss(weight)?;
    let mut losses = None;
    let mut own = Scratch::new(if options.is_reduced() { view.rows() } else { 0 })?;
    let to = if options.is_reduced() {
        if out.is_some() {
            return Err(pyo3::exceptions::PyValueError::new_err(
                "out is an array for losses, and a reduced loss is a number; expected reduction=\"none\" with out",
            ));
        }
        own.losses()
    } else {
        let to = losses.insert(Output::new::<f32>(py, "out", out, &logits.row_shape(axis))?);
        to.array.expect_apart(&logits)?;
        compared.expect_apart(&to.array)?;
        to.array.values_mut::<f32>()?
    };
    let summary = run(py, values(&view), || loss.loss_into(targets, view, to))?;
    Ok(reduced(py, losses, summary))
}

/// As `cross_entropy`, with the gradient with respect to the logits: a new array, or `out`, which may be the logits themselves.
/// Without a reduction it is the gradient of the sum of the losses.
///
/// >>> xent.loss_and_grad(np.float32([[0.0, 0.0]]), np.array([0]))
/// (0.6931471824645996, array([[-0.5,  0.5]], dtype=float32))
#[pyfunction]
#[pyo3(signature = (logits, labels, *, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean", z_loss=0.0,
    soft_cap=None, temperature=1.0, axis=-1, out=None),
    text_signature = "(logits, labels, *, weight=None, ignore_index=-100, label_smoothing=0.0, reduction='mean', z_loss=0.0, \
    soft_cap=None, temperature=1.0, axis=-1, out=None)")]
#[expect(clippy::too_many_arguments, reason = "they are Python's keywords")]
pub(crate) fn loss_and_grad<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    labels: &Bound<'py, PyAny>,
    weight: Option<&Bound<'py, PyAny>>,
    ignore_index: i64,
    label_smoothing: f64,
    reduction: &str,
    z_loss: f64,
    soft_cap: Option<f64>,
    temperature: f64,
    axis: isize,
    out: Option<Bound<'py, PyAny>>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let options = Options { reduction, ignore_index, label_smoothing, z_loss, soft_cap, temperature };
    let Pass { logits, compared, axis } = Pass::new(Array::new, logits, labels, weight, axis)?;
    let mut gradient = Output::new::<f32>(py, "out", out, logits.shape())?;
    let in_place = gradient.array.is_same(&logits);
    if !in_place {
        gradient.array.expect_apart(&logits)?;
    }
    compared.expect_apart(&gradient.array)?;
    let (mut copied, mut copies) = (Copied::default(), ComparedCopies::default());
    let (targets, weight) = compared.views(axis, &mut copies)?;
    let loss = options.loss(weight)?;
    let row_shape = logits.row_shape(axis);
    let (mut losses, rows) = (None, row_shape.iter().product());
    let mut own = Scratch::new(if options.is_reduced() { rows } else { 0 })?;
    let to = if options.is_reduced() {
        own.losses()
    } else {
        losses.insert(Output::zeros::<f32>(py, "losses", &row_shape)?).array.values_mut::<f32>()?
    };
    let count = logits.len();
    let summary = if in_place {
        let over = gradient.array.rows_mut(axis)?;
        run(py, count, || loss.loss_and_gradient_in_place(targets, over, to))?
    } else {
        let view = logits.rows(axis, &mut copied)?;
        let gradient = gradient.array.rows_mut(axis)?;
        run(py, count, || loss.loss_and_gradient_into(targets, view, to, gradient))?
    };
    Ok((reduced(py, losses, summary), gradient.object))
}

/// What a backward pass needs of each row: 32 bytes.
#[pyclass(frozen, module = "xent._core")]
pub(crate) struct Saved(pub(crate) Vec<LogSumExp>);

#[pymethods]
impl Saved {
    /// Bytes that are kept.
    #[getter]
    fn nbytes(&self) -> usize {
        size_of_val(&self.0[..])
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        keep(&SUMS, std::mem::take(&mut self.0));
    }
}

/// Sums to be saved.
pub(crate) fn sums(rows: usize) -> PyResult<Vec<LogSumExp>> {
    reused(&SUMS, rows, LogSumExp::EMPTY)
}

/// The forward pass of an autograd function: writes the loss, one number or one per row, and gives what is saved.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "they are those of PyTorch's function")]
pub(crate) fn forward<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    labels: &Bound<'py, PyAny>,
    weight: Option<&Bound<'py, PyAny>>,
    ignore_index: i64,
    reduction: &str,
    label_smoothing: f64,
    axis: usize,
    out: &Bound<'py, PyAny>,
    save: bool,
) -> PyResult<Option<Saved>> {
    let pass = Pass::new(Array::of_dlpack, logits, labels, weight, axis.try_into()?)?;
    let mut out = Array::of_dlpack("out", out)?;
    let options = Options { reduction, ignore_index, label_smoothing, ..Options::default() };
    let (mut copied, mut copies) = (Copied::default(), ComparedCopies::default());
    let (loss, targets, view) = pass.views(&options, &mut copied, &mut copies)?;
    let mut saved = save.then(|| sums(view.rows())).transpose()?.map(Saved);
    let out = out.values_mut::<f32>()?;
    let mut own = Scratch::new(if options.is_reduced() { view.rows() } else { 0 })?;
    let losses = if options.is_reduced() { own.losses() } else { &mut *out };
    let summary = run(py, values(&view), || match &mut saved {
        Some(Saved(saved)) => loss.forward_into(targets, view, losses, saved),
        None => loss.loss_into(targets, view, losses),
    })?;
    if options.is_reduced() {
        out.fill(summary.value);
    }
    Ok(saved)
}

/// The backward pass: writes the gradients of logits, and of labels that are distributions, where they are wanted. Where nothing was
/// saved the rows are summed once more; the bits are the same.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "they are those of PyTorch's function")]
pub(crate) fn backward<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    labels: &Bound<'py, PyAny>,
    weight: Option<&Bound<'py, PyAny>>,
    ignore_index: i64,
    reduction: &str,
    label_smoothing: f64,
    axis: usize,
    saved: Option<&Bound<'py, Saved>>,
    upstream: &Bound<'py, PyAny>,
    out: Option<&Bound<'py, PyAny>>,
    labels_out: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    let pass = Pass::new(Array::of_dlpack, logits, labels, weight, axis.try_into()?)?;
    let upstream = Array::of_dlpack("upstream gradient", upstream)?;
    let options = Options { reduction, ignore_index, label_smoothing, ..Options::default() };
    let (mut copied, mut copies, mut copied_upstream) =
        (Copied::default(), ComparedCopies::default(), Copied::default());
    let (loss, targets, view) = pass.views(&options, &mut copied, &mut copies)?;
    let loss = loss.upstream(upstream_of(&options, &upstream, &mut copied_upstream)?);
    if let Some(out) = out {
        let mut out = Array::of_dlpack("gradient", out)?;
        let gradient = out.rows_mut(axis)?;
        let saved = saved.map(Bound::get);
        let mut own = Scratch::new(if saved.is_none() { view.rows() } else { 0 })?;
        let losses = own.losses();
        run(py, values(&view), || match saved {
            Some(Saved(sums)) => loss.backward_into(targets, view, sums, gradient),
            None => loss.loss_and_gradient_into(targets, view, losses, gradient).map(drop),
        })?;
    }
    if let Some(out) = labels_out {
        let mut out = Array::of_dlpack("gradient of the labels", out)?;
        let gradient = out.rows_mut(axis)?;
        run(py, values(&view), || loss.label_gradient_into(view, gradient))?;
    }
    Ok(())
}

/// One number for a reduced loss, one per row for others.
pub(crate) fn upstream_of<'a>(
    options: &Options<'_>,
    array: &'a Array<'_>,
    copied: &'a mut Copied<f32>,
) -> PyResult<Upstream<'a>> {
    let values = array.floats(copied)?;
    Ok(if options.is_reduced() { values.first().copied().unwrap_or(0.0).into() } else { values.into() })
}

/// What a pass reads.
struct Pass<'py> {
    logits: Array<'py>,
    compared: Compared<'py>,
    axis: usize,
}

impl<'py> Pass<'py> {
    /// Of objects that `array` reads: [`Array::new`], or [`Array::of_dlpack`] for tensors, whether or not they require a
    /// gradient.
    fn new(
        array: impl Fn(&'static str, &Bound<'py, PyAny>) -> PyResult<Array<'py>>,
        logits: &Bound<'py, PyAny>,
        labels: &Bound<'py, PyAny>,
        weight: Option<&Bound<'py, PyAny>>,
        axis: isize,
    ) -> PyResult<Self> {
        let logits = array("logits", logits)?;
        let axis = logits.axis(axis)?;
        let labels = array("labels", labels)?;
        let weight = weight.map(|weight| array("class weights", weight)).transpose()?;
        let compared = Compared::new(labels, weight, logits.shape(), axis)?;
        Ok(Self { logits, compared, axis })
    }

    fn views<'a>(
        &'a self,
        options: &Options<'_>,
        copied: &'a mut Copied<f32>,
        copies: &'a mut ComparedCopies,
    ) -> PyResult<(CrossEntropy<'a>, Targets<'a>, Rows<'a>)> {
        let view = self.logits.rows(self.axis, copied)?;
        let (targets, weight) = self.compared.views(self.axis, copies)?;
        Ok((options.loss(weight)?, targets, view))
    }
}
