//! A call as data: what it reads, what it writes, and what becomes of each row.

use super::options::{Outputs, Scale, Weights, set};
use crate::kernels::group::{Group, NO_LABEL};
use crate::kernels::map::{Map, Mask};
use crate::numbers::factor::TOO_LARGE;
use crate::numbers::smoothing::Spread;
use crate::simd::LANES;
use crate::simd::strided::{Ahead, Strided, StridedMut};
use crate::views::labels::RowLabels;

/// The logits: somewhere, or where results go.
pub(crate) enum Source<'a> {
    Shared(Strided<'a>),
    Over(StridedMut<'a>),
}

/// What is done with rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Work {
    /// Losses of labels, gradients, statistics.
    Loss(LossWork),
    /// Probabilities.
    Softmax,
    /// Log-probabilities.
    LogSoftmax,
    /// The gradient with respect to labels: log-probabilities times the scale, and times what labels are made of.
    LabelGradient(Spread),
    /// The entropies of rows, and their gradients.
    Entropy,
    /// One logarithm per row.
    LogSumExp,
}

/// What a loss has beside labels and weights.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct LossWork {
    pub(crate) smoothing: Spread,
    pub(crate) z_loss: f64,
    /// Whether the gradient takes the masses of distributions to add up to 1.
    pub(crate) unit_mass: bool,
}

/// What a call reads.
pub(crate) struct Inputs<'a> {
    pub(crate) work: Work,
    pub(crate) logits: Source<'a>,
    /// Distributions.
    pub(crate) dense: Option<Strided<'a>>,
    /// Class indices.
    pub(crate) labels: Option<RowLabels<'a>>,
    pub(crate) map: Map<'a>,
    pub(crate) weights: Weights<'a>,
    pub(crate) scale: Scale<'a>,
    /// Whether rows without any logit but -inf have losses, gradients and probabilities of 0.
    pub(crate) empty_is_zero: bool,
}

/// One call, or some of its rows.
pub(crate) struct Call<'a> {
    pub(crate) inputs: Inputs<'a>,
    /// Results elsewhere.
    pub(crate) results: Option<StridedMut<'a>>,
    pub(crate) outputs: Outputs<'a>,
    /// The rows of the whole call.
    pub(crate) all_rows: usize,
}

impl Source<'_> {
    pub(crate) fn share(&self) -> Strided<'_> {
        match self {
            Self::Shared(values) => *values,
            Self::Over(values) => values.share(),
        }
    }

    pub(super) fn split_at(self, row: usize) -> (Self, Self) {
        match self {
            Self::Shared(values) => {
                let rest = values.layout().rows - row;
                (Self::Shared(values.part(0, row)), Self::Shared(values.part(row, rest)))
            }
            Self::Over(values) => {
                let (first, rest) = values.split_at(row);
                (Self::Over(first), Self::Over(rest))
            }
        }
    }
}

/// The first rows of a view, and the others.
pub(crate) fn split(values: Option<Strided<'_>>, row: usize) -> (Option<Strided<'_>>, Option<Strided<'_>>) {
    values.map(|values| (values.part(0, row), values.part(row, values.layout().rows - row))).unzip()
}

impl<'a> Inputs<'a> {
    /// Logits for some work, without options.
    pub(crate) fn new(work: Work, logits: Source<'a>) -> Self {
        Self {
            work,
            logits,
            dense: None,
            labels: None,
            map: Map::default(),
            weights: Weights::default(),
            scale: Scale::ONE,
            empty_is_zero: false,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.logits.share().layout().rows
    }

    pub(crate) fn classes(&self) -> usize {
        self.logits.share().layout().classes
    }

    /// What a loss has beside labels and weights.
    pub(crate) fn loss(&self) -> LossWork {
        if let Work::Loss(loss) = self.work { loss } else { LossWork::default() }
    }

    /// Whether results may be multiplied by what is too large for them to be written as they mostly are.
    pub(super) fn may_be_large(&self) -> bool {
        let largest =
            |values: &[f32]| values.iter().fold(0.0_f32, |max, x| if x.abs() > max { x.abs() } else { max });
        let of = |weights: Option<&[f32]>| weights.map_or(1.0, |weights| f64::from(largest(weights)));
        // A z-loss's slope is twice a log-sum-exp, which of ordinary rows is less than a hundred.
        let slope = of(self.weights.classes) + 256.0 * self.loss().z_loss;
        let product = self.scale.largest().abs() * of(self.weights.rows) * slope;
        product.is_nan() || product > TOO_LARGE
    }

    /// Whether labels are made: because dense ones are not those that are given, or of class indices.
    pub(crate) fn makes_labels(&self) -> bool {
        let smooth = self.loss().smoothing.mass > 0.0;
        if self.dense.is_some() {
            smooth || self.weights.classes.is_some() || self.map.mask != Mask::None
        } else {
            smooth && self.labels.is_some()
        }
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let classes = self.classes();
        let Self { work, logits, dense, labels, map, weights, scale, empty_is_zero } = self;
        let (logits, other_logits) = logits.split_at(row);
        let (dense, other_dense) = split(dense, row);
        let (labels, other_labels) = labels.map(|labels| labels.split_at(row)).unzip();
        let (map, other_map) = map.split_at(row, classes);
        let (weights, other_weights) = weights.split_at(row);
        let (scale, other_scale) = scale.split_at(row);
        (
            Self { work, logits, dense, labels, map, weights, scale, empty_is_zero },
            Self {
                work,
                logits: other_logits,
                dense: other_dense,
                labels: other_labels,
                map: other_map,
                weights: other_weights,
                scale: other_scale,
                empty_is_zero,
            },
        )
    }
}

impl<'a> Call<'a> {
    pub(crate) fn new(inputs: Inputs<'a>, results: Option<StridedMut<'a>>, outputs: Outputs<'a>) -> Self {
        let all_rows = inputs.rows();
        Self { inputs, results, outputs, all_rows }
    }

    /// Whether results of rows × classes are written.
    pub(crate) fn writes(&self) -> bool {
        self.results.is_some() || matches!(self.inputs.logits, Source::Over(_))
    }

    /// Where they are.
    pub(crate) fn destination(&mut self) -> Option<&mut StridedMut<'a>> {
        match (&mut self.results, &mut self.inputs.logits) {
            (Some(results), _) => Some(results),
            (None, Source::Over(values)) => Some(values),
            (None, Source::Shared(_)) => None,
        }
    }

    /// From a class of the results to the next.
    pub(crate) fn destination_step(&self) -> usize {
        match (&self.results, &self.inputs.logits) {
            (Some(results), _) => results.layout().class_step,
            (None, logits) => logits.share().layout().class_step,
        }
    }

    /// Whether results are slices of f32.
    pub(crate) fn writes_slices(&self) -> bool {
        match (&self.results, &self.inputs.logits) {
            (Some(results), _) => results.are_slices(),
            (None, logits) => logits.share().are_slices(),
        }
    }

    /// Whether everything that is asked for follows from the sums of rows, which are not saved.
    pub(crate) fn is_simple(&self) -> bool {
        self.follows_from_sums() && self.outputs.are_losses() && self.inputs.work != Work::LogSumExp
    }

    /// Whether everything that is asked for follows from the sums of rows, of almost all rows, as they are given.
    pub(crate) fn follows_from_sums(&self) -> bool {
        self.follows_from_made_sums() && self.inputs.map.is_none() && !self.inputs.makes_labels()
    }

    /// Whether everything that is asked for follows from the sums of rows, of almost all rows, once logits are mapped, and labels made
    /// of class indices.
    pub(crate) fn follows_from_made_sums(&self) -> bool {
        let Inputs { work, dense, labels, .. } = &self.inputs;
        let of_sums = match work {
            Work::Loss(_) => labels.is_some(),
            Work::Softmax => true,
            Work::LogSumExp => return true,
            Work::LogSoftmax | Work::LabelGradient(_) | Work::Entropy => false,
        };
        of_sums
            && dense.is_none()
            && self.outputs.write_only_losses()
            && !(self.writes() && self.inputs.may_be_large())
    }

    /// The first `row` rows and the others.
    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        let (inputs, other_inputs) = self.inputs.split_at(row);
        let (results, other_results) = self.results.map(|results| results.split_at(row)).unzip();
        let (outputs, other_outputs) = self.outputs.split_at(row);
        let all_rows = self.all_rows;
        (
            Self { inputs, results, outputs, all_rows },
            Self { inputs: other_inputs, results: other_results, outputs: other_outputs, all_rows },
        )
    }

    /// A row close to `near` where rows must be cut so that those of each view lie at one stride.
    pub(crate) fn seam(&self, near: usize) -> Option<usize> {
        let logits = self.inputs.logits.share().layout().seam(near);
        let dense = || self.inputs.dense.and_then(|dense| dense.layout().seam(near));
        let results = || self.results.as_ref().and_then(|results| results.layout().seam(near));
        logits.or_else(dense).or_else(results)
    }

    /// Fills a group with rows from `first` on that are not ignored, and gives the row after them. What ignored rows have
    /// is written at once.
    pub(crate) fn collect(&mut self, first: usize, group: &mut Group, at_once: usize) -> usize {
        let (rows, was) = (self.inputs.rows(), group.len);
        group.shallow = false;
        let ignores = self.inputs.labels.as_ref().is_some_and(RowLabels::may_ignore);
        let next = if ignores || self.inputs.weights.rows.is_some() {
            self.choose(first, group, at_once)
        } else {
            group.len = (rows - first).min(at_once);
            for (i, row) in group.rows.iter_mut().enumerate() {
                *row = first + i;
            }
            match &self.inputs.labels {
                Some(labels) => labels.classes(first, &mut group.labels[..group.len]),
                None => group.labels = [NO_LABEL; LANES],
            }
            first + group.len
        };
        let Inputs { weights, scale, .. } = &self.inputs;
        if was != group.len || !weights.is_none() || !scale.is_uniform() {
            for i in 0..group.len {
                let (row, label) = (group.rows[i], group.labels[i]);
                group.weight[i] = weights.of(row, label);
                group.scale[i] = scale.of(row) * group.weight[i];
                group.inverse_scale[i] = 1.0 / group.scale[i].abs();
            }
        }
        group.shorten(group.len);
        next
    }

    /// As [`collect`](Self::collect), of several groups; with how many have any rows.
    pub(crate) fn collect_groups(&mut self, mut first: usize, groups: &mut [Group]) -> (usize, usize) {
        let (rows, mut used) = (self.inputs.rows(), 0);
        while first < rows && used < groups.len() {
            first = self.collect(first, &mut groups[used], LANES);
            used += usize::from(groups[used].len > 0);
        }
        (first, used)
    }

    /// What is wanted after the sums of some groups: where their results go, and the logits of as many groups from the next row on.
    pub(crate) fn ahead(&self, first: usize, next: usize, groups: usize) -> [Ahead; 2] {
        let results = self.results.as_ref().map(|to| to.share().ahead(first, groups));
        [results.unwrap_or(Ahead::NOTHING), self.inputs.logits.share().ahead(next, groups)]
    }

    /// As [`collect`](Self::collect), row by row.
    fn choose(&mut self, first: usize, group: &mut Group, at_once: usize) -> usize {
        let (mut row, rows) = (first, self.inputs.rows());
        group.len = 0;
        while row < rows && group.len < at_once {
            let some = (rows - row).min(at_once - group.len);
            let mut own = [0; LANES];
            let Inputs { labels, weights, .. } = &self.inputs;
            if let Some(labels) = labels {
                labels.classes(row, &mut own[..some]);
            }
            let (labelled, weights) = (labels.is_some(), weights.rows);
            for label in &own[..some] {
                if *label == NO_LABEL || weights.is_some_and(|weights| weights[row] == 0.0) {
                    self.ignore(row);
                } else {
                    let label = if labelled { *label } else { NO_LABEL };
                    (group.rows[group.len], group.labels[group.len]) = (row, label);
                    group.len += 1;
                }
                row += 1;
            }
        }
        row
    }

    /// Writes what a row has that is ignored: its results are 0.
    pub(super) fn ignore(&mut self, row: usize) {
        self.outputs.ignore(row);
        let classes = self.inputs.classes();
        if let Some(to) = self.destination() {
            if to.are_slices() {
                to.row_mut(row).fill(0.0);
            } else {
                for class in 0..classes {
                    to.set(row, class, 0.0);
                }
            }
        }
    }
}

impl Outputs<'_> {
    /// Writes the losses of a group.
    pub(crate) fn put_losses(&mut self, group: &Group) {
        let losses = &mut *self.losses;
        if losses.is_empty() {
            return;
        }
        let first = group.rows[0];
        if let (LANES, true, Some(to)) =
            (group.len, group.rows[LANES - 1] == first + LANES - 1, losses[first..].first_chunk_mut())
        {
            *to = group.results;
        } else {
            for i in 0..group.len {
                set(losses, group.rows[i], group.results[i]);
            }
        }
    }
}
