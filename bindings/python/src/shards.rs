//! The loss of rows whose classes are shared by processes. What they exchange is in Python: one all-gather.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use xent::{PartialRow, Shard, Upstream};

use crate::array::{Array, Copied};
use crate::error::to_py;
use crate::loss::{Scratch, upstream_of};
use crate::options::{Options, values};
use crate::threads::run;

/// The first class that is here, how many there are everywhere, and the options of the loss: ignored label, reduction, smoothing.
#[derive(FromPyObject)]
pub(crate) struct Place(usize, usize, i64, String, f64);

impl Place {
    fn options(&self) -> Options<'_> {
        let Self(_, _, ignore_index, reduction, label_smoothing) = self;
        let (ignore_index, label_smoothing) = (*ignore_index, *label_smoothing);
        Options { reduction, ignore_index, label_smoothing, ..Options::default() }
    }

    /// The shard, of a loss with an upstream gradient.
    fn shard<'u>(&self, upstream: impl Into<Upstream<'u>>) -> PyResult<Shard<'u>> {
        let Self(offset, total, ..) = *self;
        let loss = self.options().loss(None)?.upstream(upstream);
        Shard::new(offset, total).and_then(|shard| shard.with_loss(loss)).map_err(to_py)
    }
}

/// Rows of all shards, merged: what the backward pass needs of each, 32 bytes.
#[pyclass(frozen, module = "xent._core")]
pub(crate) struct Merged(Vec<PartialRow>);

#[pymethods]
impl Merged {
    /// Bytes that are kept.
    #[getter]
    fn nbytes(&self) -> usize {
        size_of_val(&self.0[..])
    }
}

/// How many values of a row are sent of a shard with so many classes, for the bits of the row with all classes.
#[pyfunction]
pub(crate) fn shard_runs(classes: usize) -> usize {
    Shard::parts(classes)
}

/// What is known here of each row: four integers of 64 bits for each, in one run of all rows or in several.
#[pyfunction]
pub(crate) fn shard_partials<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    labels: &Bound<'py, PyAny>,
    place: Place,
    out: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let (shard, logits) = (place.shard(1.0)?, Array::of_dlpack("logits", logits)?);
    let labels = Array::of_dlpack("labels", labels)?;
    let axis = logits.axis(-1)?;
    labels.expect_shape(&logits.row_shape(axis))?;
    let mut out = Array::of_dlpack("out", out)?;
    let (mut copied, mut copied_labels) = (Copied::default(), Copied::default());
    let (labels, view) = (labels.labels(&mut copied_labels)?, logits.rows(axis, &mut copied)?);
    let partials = bytemuck::try_cast_slice_mut(out.values_mut::<i64>()?).map_err(not_rows)?;
    run(py, values(&view), || shard.partials_into(labels, view, partials))
}

/// Merges what all shards know, and writes the loss: one number, or one per row.
#[pyfunction]
pub(crate) fn shard_forward<'py>(
    py: Python<'py>,
    gathered: &Bound<'py, PyAny>,
    labels: &Bound<'py, PyAny>,
    place: Place,
    out: &Bound<'py, PyAny>,
) -> PyResult<Merged> {
    let (shard, labels) = (place.shard(1.0)?, Array::of_dlpack("labels", labels)?);
    let (gathered, mut out) = (Array::of_dlpack("partial rows", gathered)?, Array::of_dlpack("out", out)?);
    let (mut copied, mut copied_labels) = (Copied::default(), Copied::default());
    let gathered = bytemuck::try_cast_slice(gathered.values::<i64>(&mut copied)?).map_err(not_rows)?;
    let rows = labels.len();
    let labels = labels.labels(&mut copied_labels)?;
    let is_reduced = place.options().is_reduced();
    let out = out.values_mut::<f32>()?;
    let mut own = Scratch::new(if is_reduced { rows } else { 0 })?;
    let losses = if is_reduced { own.losses() } else { &mut *out };
    let (merged, summary) = run(py, gathered.len(), || {
        let mut merged = vec![PartialRow::EMPTY; rows];
        Shard::merge(gathered, &mut merged)?;
        let summary = shard.losses_into(labels, &merged, losses)?;
        Ok((merged, summary))
    })?;
    if is_reduced {
        out.fill(summary.value);
    }
    Ok(Merged(merged))
}

/// Writes the gradient of the classes that are here.
#[pyfunction]
pub(crate) fn shard_gradient<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    labels: &Bound<'py, PyAny>,
    place: Place,
    merged: &Bound<'py, Merged>,
    upstream: &Bound<'py, PyAny>,
    out: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let (logits, labels) = (Array::of_dlpack("logits", logits)?, Array::of_dlpack("labels", labels)?);
    let upstream = Array::of_dlpack("upstream gradient", upstream)?;
    let mut out = Array::of_dlpack("gradient", out)?;
    let axis = logits.axis(-1)?;
    let (mut copied, mut copied_labels, mut copied_upstream) =
        (Copied::default(), Copied::default(), Copied::default());
    let (labels, view) = (labels.labels(&mut copied_labels)?, logits.rows(axis, &mut copied)?);
    let shard = place.shard(upstream_of(&place.options(), &upstream, &mut copied_upstream)?)?;
    let (gradient, merged) = (out.rows_mut(axis)?, &merged.get().0);
    run(py, values(&view), || shard.gradient_into(labels, view, merged, gradient))
}

fn not_rows(error: bytemuck::PodCastError) -> PyErr {
    PyValueError::new_err(format!("the integers are no partial rows of 32 bytes: {error}"))
}
