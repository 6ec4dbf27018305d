//! The options of a loss, as Python gives them, and what it is compared with.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use xent::{CrossEntropy, Reduction, Rows, Smoothing, Targets};

use crate::array::{Array, Copied};
use crate::error::to_py;

/// Options that are numbers and names.
#[derive(Clone, Copy)]
pub(crate) struct Options<'a> {
    pub(crate) reduction: &'a str,
    pub(crate) ignore_index: i64,
    pub(crate) label_smoothing: f64,
    pub(crate) z_loss: f64,
    pub(crate) soft_cap: Option<f64>,
    pub(crate) temperature: f64,
}

impl Default for Options<'_> {
    fn default() -> Self {
        let (reduction, ignore_index, label_smoothing) = ("mean", -100, 0.0);
        Self { reduction, ignore_index, label_smoothing, z_loss: 0.0, soft_cap: None, temperature: 1.0 }
    }
}

impl Options<'_> {
    /// The loss with these options and weights of classes, in PyTorch's conventions.
    pub(crate) fn loss<'w>(&self, weight: Option<&'w [f32]>) -> PyResult<CrossEntropy<'w>> {
        let reduction = match self.reduction {
            "none" => Reduction::None,
            "sum" => Reduction::Sum,
            "mean" => Reduction::Mean,
            other => {
                return Err(PyValueError::new_err(format!(
                    "the reduction is {other:?}; expected \"none\", \"sum\" or \"mean\""
                )));
            }
        };
        let loss = || {
            let mut loss = CrossEntropy::pytorch().reduction(reduction).ignore_index(self.ignore_index);
            if let Some(weight) = weight {
                loss = loss.class_weights(weight)?;
            }
            loss = loss.label_smoothing(self.label_smoothing, Smoothing::Uniform)?.z_loss(self.z_loss)?;
            mapped(loss, self.soft_cap, self.temperature)
        };
        loss().map_err(to_py)
    }

    /// Whether the loss is one number.
    pub(crate) fn is_reduced(&self) -> bool {
        self.reduction != "none"
    }
}

/// With a soft cap and a temperature.
pub(crate) fn mapped(
    mut loss: CrossEntropy<'_>,
    soft_cap: Option<f64>,
    temperature: f64,
) -> Result<CrossEntropy<'_>, xent::Error> {
    if let Some(cap) = soft_cap {
        loss = loss.soft_cap(cap)?;
    }
    #[expect(clippy::float_cmp, reason = "the number that changes nothing")]
    if temperature != 1.0 {
        loss = loss.temperature(temperature)?;
    }
    Ok(loss)
}

/// Arrays that a loss reads beside the logits.
pub(crate) struct Compared<'py> {
    labels: Array<'py>,
    weight: Option<Array<'py>>,
}

/// Copies of them, where they cannot be viewed.
#[derive(Default)]
pub(crate) struct ComparedCopies {
    indices: Copied<u64>,
    distributions: Copied<f32>,
    weight: Copied<f32>,
}

impl<'py> Compared<'py> {
    /// Labels for logits of a shape, with the classes along an axis.
    pub(crate) fn new(
        labels: Array<'py>,
        weight: Option<Array<'py>>,
        logits: &[usize],
        axis: usize,
    ) -> PyResult<Self> {
        if labels.is_float() {
            labels.expect_shape(logits)?;
        } else {
            labels.expect_shape(&[&logits[..axis], &logits[axis + 1..]].concat())?;
        }
        if let Some(weight) = &weight {
            weight.expect_shape(&logits[axis..=axis])?;
        }
        Ok(Self { labels, weight })
    }

    /// What is read, as views.
    pub(crate) fn views<'a>(
        &'a self,
        axis: usize,
        copies: &'a mut ComparedCopies,
    ) -> PyResult<(Targets<'a>, Option<&'a [f32]>)> {
        let targets = if self.labels.is_float() {
            Targets::Dense(self.labels.rows(axis, &mut copies.distributions)?)
        } else {
            Targets::Sparse(self.labels.labels(&mut copies.indices)?)
        };
        let weight = self.weight.as_ref().map(|weight| weight.floats(&mut copies.weight)).transpose()?;
        Ok((targets, weight))
    }

    /// An error if an array that is written to shares memory with what is read.
    pub(crate) fn expect_apart(&self, out: &Array<'_>) -> PyResult<()> {
        out.expect_apart(&self.labels)?;
        self.weight.iter().try_for_each(|weight| out.expect_apart(weight))
    }
}

/// The number of values of rows.
pub(crate) fn values(rows: &Rows<'_>) -> usize {
    rows.rows().saturating_mul(rows.classes())
}
