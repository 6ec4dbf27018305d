//! The rows of a call that count: those that are not ignored, and what there is one of per row for each of them.

use std::borrow::Cow;
use std::ops::Range;

use crate::engine::call::{Inputs, Source};
use crate::engine::options::Weights;
use crate::kernels::map::Mask;
use crate::numbers::log_sum_exp::weighed;
use crate::ops::cross_entropy::Valid;
use crate::simd::gemm::Matrix;
use crate::simd::strided::Strided;
use crate::views::labels::{Ignored, RowLabels};
use crate::{CrossEntropy, Error, Labels, LogSumExp, Upstream};

/// The label that rows have which are ignored but are not left out.
const IGNORED: i64 = -1;

/// The rows that the products are made of.
pub(super) struct Batch<'a> {
    loss: &'a CrossEntropy<'a>,
    valid: Valid<'a>,
    /// Which rows they are, where they are not all.
    kept: Option<Vec<usize>>,
    /// Whether each of them counts: class indices leave out those that do not, but distributions and masks of rows are not
    /// copied, so that such rows stay, with zeros as their features.
    counts: Option<Vec<bool>>,
    labels: Option<Vec<i64>>,
    weights: Option<Cow<'a, [f32]>>,
    upstream: Option<Cow<'a, [f32]>>,
    pub(super) rows: usize,
    pub(super) classes: usize,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        loss: &'a CrossEntropy<'a>,
        valid: &Valid<'a>,
        classes: usize,
        all_rows: usize,
    ) -> Self {
        let row_weights = loss.weights.rows;
        let counts = |row: usize| {
            row_weights.is_none_or(|weights| weights[row] != 0.0)
                && valid.labels.is_none_or(|labels| labels.is_used(row))
        };
        let all = (0..all_rows).all(counts);
        let leaves_out = !all && valid.labels.is_some() && !matches!(loss.map.mask, Mask::PerRow(_));
        let kept = leaves_out.then(|| (0..all_rows).filter(|row| counts(*row)).collect::<Vec<_>>());
        let rows = kept.as_ref().map_or(all_rows, Vec::len);
        let of_kept = |values: &'a [f32]| match &kept {
            Some(kept) => Cow::Owned(kept.iter().map(|&row| values[row]).collect()),
            None => Cow::Borrowed(values),
        };
        let weights = row_weights.map(of_kept);
        let upstream = match valid.scale.upstream {
            Upstream::Uniform(_) => None,
            Upstream::PerRow(values) => Some(of_kept(values)),
        };
        let labels = valid.labels.map(|labels| {
            let mut all = vec![IGNORED; rows];
            let mut next = 0;
            for (row, class) in labels.used_rows() {
                let to = match &kept {
                    Some(kept) if kept.get(next) != Some(&row) => continue,
                    Some(_) => next,
                    None => row,
                };
                all[to] = class.cast_signed() as i64;
                next += 1;
            }
            all
        });
        let counts = (!all && !leaves_out).then(|| (0..all_rows).map(counts).collect());
        Self { loss, valid: *valid, kept, counts, labels, weights, upstream, rows, classes }
    }

    /// Whether losses follow from one value per row that parts of it can be merged into.
    pub(super) fn merges(&self) -> bool {
        self.labels.is_some()
            && self.loss.smoothing.mass == 0.0
            && !matches!(self.loss.map.mask, Mask::PerRow(_))
    }

    /// Whether all rows are here, and count.
    pub(super) const fn is_whole(&self) -> bool {
        self.kept.is_none() && self.counts.is_none()
    }

    /// Which row of the call a row is.
    pub(super) fn row(&self, row: usize) -> usize {
        self.kept.as_ref().map_or(row, |kept| kept[row])
    }

    pub(super) fn counts(&self, row: usize) -> bool {
        self.counts.as_ref().is_none_or(|counts| counts[row])
    }

    /// The label of a row, which has one.
    pub(super) fn label(&self, row: usize) -> Option<usize> {
        self.labels.as_ref().and_then(|labels| usize::try_from(labels[row]).ok())
    }

    /// Whether features must be copied to be those of some of the rows.
    pub(super) fn copies(&self, x: Strided<'_>) -> bool {
        !self.is_whole() || Matrix::of(x).is_none()
    }

    /// The features of some of the rows, which are copied where they must be.
    pub(super) fn features<'b>(&self, x: Strided<'b>, rows: Range<usize>, room: &'b mut [f32]) -> Matrix<'b> {
        if let (true, Some(x)) = (self.is_whole(), Matrix::of(x)) {
            return x.part(rows);
        }
        let features = x.layout().classes;
        let room = &mut room[..rows.len() * features];
        for (row, to) in rows.clone().zip(room.chunks_mut(features)) {
            if !self.counts(row) {
                to.fill(0.0);
                continue;
            }
            for (feature, to) in to.iter_mut().enumerate() {
                *to = x.get(self.row(row), feature);
            }
        }
        Matrix::new(room, rows.len(), features)
    }

    /// What the engine reads for some of the rows, given their logits for all classes.
    pub(super) fn inputs<'b>(&'b self, rows: Range<usize>, logits: Source<'b>) -> Result<Inputs<'b>, Error> {
        let labels = match &self.labels {
            Some(labels) => {
                let labels = Labels::from(&labels[rows.clone()]);
                Some(RowLabels::new(labels, rows.len(), self.classes, Ignored::One(IGNORED))?)
            }
            None => None,
        };
        let dense = self.valid.dense.map(|dense| dense.part(rows.start, rows.len()));
        let mut inputs = self.loss.inputs(logits, &Valid { labels, dense, ..self.valid });
        inputs.weights = Weights { rows: part(self.weights.as_ref(), &rows), ..inputs.weights };
        if let Some(upstream) = part(self.upstream.as_ref(), &rows) {
            inputs.scale.upstream = Upstream::PerRow(upstream);
        }
        if let Mask::PerRow(masks) = inputs.map.mask {
            inputs.map.mask = Mask::PerRow(&masks[rows.start * self.classes..rows.end * self.classes]);
        }
        Ok(inputs)
    }

    /// The loss of a row, given what parts of it were merged into, before it is rounded.
    pub(super) fn loss_of(&self, row: usize, sum: LogSumExp) -> f64 {
        if sum.is_empty() {
            return if self.loss.zero_for_empty_rows() { 0.0 } else { f64::NAN };
        }
        let of_label = sum.loss().filter(|_| sum.max < f32::INFINITY).unwrap_or(f64::NAN);
        let of_class = self.loss.weights.of_class(self.label(row).unwrap_or(usize::MAX));
        let squared = if self.loss.z_loss == 0.0 { 0.0 } else { self.loss.z_loss * sum.to_f64().powi(2) };
        let of_row = self.weights.as_ref().map_or(1.0, |weights| weights[row].into());
        weighed(of_row, weighed(of_class, of_label) + squared)
    }

    /// The classes that take part, of some of them.
    pub(super) fn mask(&self, classes: Range<usize>) -> Mask<'_> {
        match self.loss.map.mask {
            Mask::Shared(mask) => Mask::Shared(&mask[classes]),
            other => other,
        }
    }

    pub(super) const fn loss(&self) -> &'a CrossEntropy<'a> {
        self.loss
    }
}

fn part<'b>(values: Option<&'b Cow<'_, [f32]>>, rows: &Range<usize>) -> Option<&'b [f32]> {
    values.map(|values| &values[rows.clone()])
}
