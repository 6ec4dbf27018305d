//! A call as data: what it reads, what it writes, and what becomes of each row.

use super::options::{Map, Outputs, Scale, Spread, Weights};
use crate::simd::strided::{Strided, StridedMut};
use crate::views::labels::RowLabels;

/// The logits: somewhere, or where results go.
pub(crate) enum Source<'a> {
    Shared(Strided<'a>),
    Over(StridedMut<'a>),
}

/// What is done with rows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// Losses of labels, gradients, statistics.
    Loss(LossWork),
    /// Probabilities.
    Softmax,
    /// Log-probabilities, times the scale.
    LogSoftmax,
    /// One logarithm per row.
    LogSumExp,
}

/// What a loss has beside labels and weights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LossWork {
    pub(crate) smoothing: Spread,
    pub(crate) z_loss: f64,
    /// Whether the gradient takes the masses to add up to 1.
    pub(crate) unit_mass: bool,
}

/// One call, or some of its rows.
pub(crate) struct Call<'a> {
    pub(crate) work: Work,
    pub(crate) logits: Source<'a>,
    /// Distributions.
    pub(crate) dense: Option<Strided<'a>>,
    /// Class indices.
    pub(crate) labels: Option<RowLabels<'a>>,
    /// Results elsewhere.
    pub(crate) results: Option<StridedMut<'a>>,
    pub(crate) map: Map<'a>,
    pub(crate) weights: Weights<'a>,
    pub(crate) scale: Scale<'a>,
    pub(crate) outputs: Outputs<'a>,
}

impl Source<'_> {
    pub(crate) fn share(&self) -> Strided<'_> {
        match self {
            Self::Shared(values) => *values,
            Self::Over(values) => values.share(),
        }
    }
}

impl<'a> Call<'a> {
    pub(crate) fn rows(&self) -> usize {
        self.logits.share().layout().rows
    }

    pub(crate) fn classes(&self) -> usize {
        self.logits.share().layout().classes
    }

    /// Whether results of rows × classes are written.
    pub(crate) fn writes(&self) -> bool {
        self.results.is_some() || matches!(self.logits, Source::Over(_))
    }

    /// Where they are.
    pub(crate) fn destination(&mut self) -> Option<&mut StridedMut<'a>> {
        match (&mut self.results, &mut self.logits) {
            (Some(results), _) => Some(results),
            (None, Source::Over(values)) => Some(values),
            (None, Source::Shared(_)) => None,
        }
    }

    /// The first `row` rows and the others.
    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        fn shared(values: Option<Strided<'_>>, row: usize) -> (Option<Strided<'_>>, Option<Strided<'_>>) {
            let rest = |values: Strided<'_>| values.layout().rows - row;
            values.map(|values| (values.part(0, row), values.part(row, rest(values)))).unzip()
        }
        let (logits, other_logits) = match self.logits {
            Source::Shared(values) => {
                let rest = values.layout().rows - row;
                (Source::Shared(values.part(0, row)), Source::Shared(values.part(row, rest)))
            }
            Source::Over(values) => {
                let (first, rest) = values.split_at(row);
                (Source::Over(first), Source::Over(rest))
            }
        };
        let (dense, other_dense) = shared(self.dense, row);
        let (labels, other_labels) = self.labels.map(|labels| labels.split_at(row)).unzip();
        let (results, other_results) = self.results.map(|results| results.split_at(row)).unzip();
        let classes = logits.share().layout().classes;
        let (map, other_map) = self.map.split_at(row, classes);
        let (weights, other_weights) = self.weights.split_at(row);
        let (scale, other_scale) = self.scale.split_at(row);
        let (outputs, other_outputs) = self.outputs.split_at(row);
        let work = self.work;
        (
            Self { work, logits, dense, labels, results, map, weights, scale, outputs },
            Self {
                work,
                logits: other_logits,
                dense: other_dense,
                labels: other_labels,
                results: other_results,
                map: other_map,
                weights: other_weights,
                scale: other_scale,
                outputs: other_outputs,
            },
        )
    }

    /// A row close to `near` where rows must be cut so that those of each view lie at one stride.
    pub(crate) fn seam(&self, near: usize) -> Option<usize> {
        let logits = self.logits.share().layout().seam(near);
        let dense = || self.dense.and_then(|dense| dense.layout().seam(near));
        let results = || self.results.as_ref().and_then(|results| results.layout().seam(near));
        logits.or_else(dense).or_else(results)
    }
}
