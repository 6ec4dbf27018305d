//! The loss of rows whose classes are shared by machines: one value of 32 bytes per row is all that they exchange.

use super::cross_entropy::{Totals, Valid, summarise};
use super::{allocate, allocated, expect_rows};
use crate::engine::call::{Call, Source};
use crate::engine::options::{Outputs, Sums};
use crate::engine::parallel;
use crate::engine::shards::{PART, ShardCall};
use crate::kernels::map::{Map, Mask};
use crate::simd::strided::StridedMut;
use crate::views::labels::RowLabels;
use crate::views::rows::Execution;
use crate::{Backend, CrossEntropy, Error, IntoLabels, Labels, Loss, PartialRow, Rows, RowsMut, Summary};

/// Some of the classes of rows whose other classes are elsewhere: on other machines, or in other processes.
///
/// Each rank reads the logits of its classes once, with the labels of all rows ([`partials`](Self::partials)), and has 32 bytes
/// for each row. All ranks gather those of all others, in **one** collective, and merge them in the order of classes
/// ([`merge`](Self::merge)). Losses ([`losses`](Self::losses)) and the gradient of the classes at hand
/// ([`gradient_into`](Self::gradient_into)) follow from that without another message, and are the same on all ranks. Labels
/// are classes of all shards: that one is on another shard is no error.
///
/// **Options** are those of [`CrossEntropy`], z-loss and label smoothing included. Class weights are those of all classes, masks
/// those of the classes at hand. Distributions as labels, and class weights together with label smoothing, are left out.
///
/// **Bits.** Rows of more than 63 classes are summed in parts of [`Shard::PART`] = 16,384. Where each shard but the last has a multiple
/// of that, and [as many values per row](Self::parts) as parts, the losses and gradients are, bit for bit, those of
/// [`CrossEntropy`] with all classes on one machine, also where each rank has another number of threads. Shards of up to 16,384 classes have one
/// part, and so send 32 bytes. With one value for several parts, and elsewhere, results are within the bounds of the numeric contract, and
/// the same on all ranks. Not the bits, but the bounds, are promised of losses of smoothed labels, of rows whose largest logit is
/// beyond ±264, and of losses below 1e-30.
///
/// Formula: `lse(x) = lse(lse(shard 0), lse(shard 1), ...)`, with the label's term apart. Shoeybi et al., "Megatron-LM" (2019),
/// section 3, takes three reductions for it: of the largest logit, of the label's logit and of the sum.
///
/// ```
/// use xent::{CrossEntropy, PartialRow, Rows, RowsMut, Shard};
///
/// // Two rows of five classes: three on one machine, two on another.
/// let labels = [4_i64, 0];
/// let (here, there) = ([1.0, 2.0, 3.0, 0.5, 0.0, 0.0], [-1.0, 2.5, 1.0, 1.0]);
/// let (here, there) = (Rows::new(&here, 2, 3)?, Rows::new(&there, 2, 2)?);
/// let (first, second) = (Shard::new(0, 5)?, Shard::new(3, 5)?);
///
/// // Each machine reads its classes; an all-gather puts what they know of rows one after another.
/// let gathered = [first.partials(&labels, here)?, second.partials(&labels, there)?].concat();
/// let mut merged = [PartialRow::EMPTY; 2];
/// Shard::merge(&gathered, &mut merged)?;
///
/// // All have the losses; the second machine has the gradient of its two classes.
/// let loss = second.losses(&labels, &merged)?;
/// let mut gradient = [0.0; 4];
/// second.gradient_into(&labels, there, &merged, RowsMut::new(&mut gradient, 2, 2)?)?;
///
/// let whole = [1.0, 2.0, 3.0, -1.0, 2.5, 0.5, 0.0, 0.0, 1.0, 1.0];
/// let (expected, of_all) = CrossEntropy::new().loss_and_gradient(&labels, Rows::new(&whole, 2, 5)?)?;
/// assert!(loss.rows.iter().zip(expected.rows).all(|(a, b)| (a - b).abs() < 1e-6));
/// assert!(gradient[..2].iter().zip(&of_all[3..5]).all(|(a, b)| (a - b).abs() < 1e-6));
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shard<'a> {
    first: usize,
    total: usize,
    loss: CrossEntropy<'a>,
    execution: Execution,
}

impl Shard<'_> {
    /// Classes of a part: shards that begin at multiples of it give the bits of whole rows.
    pub const PART: usize = PART;

    /// A shard whose first class is `class_offset` of `total_classes`. How many it has is up to the logits.
    ///
    /// # Errors
    ///
    /// [`Error::ShardOutOfRange`] where the offset is beyond the classes, or these are more than [`PartialRow::MAX_CLASSES`].
    pub fn new(class_offset: usize, total_classes: usize) -> Result<Self, Error> {
        let (first, total) = (class_offset, total_classes);
        let shard = Self { first, total, loss: CrossEntropy::new(), execution: Execution::default() };
        shard.until(0).map(|_| shard)
    }

    /// The same shard, of a loss with options: the same ones on all ranks.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] for label smoothing together with class weights.
    pub fn with_loss(self, loss: CrossEntropy<'_>) -> Result<Shard<'_>, Error> {
        if loss.smoothing.mass > 0.0 && loss.weights.classes.is_some() {
            let (given, expected) = (loss.smoothing.mass.to_string(), "0 in shards with class weights");
            return Err(Error::Option { what: "label smoothing", index: None, given, expected });
        }
        let Self { first, total, execution, .. } = self;
        Ok(Shard { first, total, loss, execution })
    }

    /// The same shard, whose losses are computed on a backend. Where there are logits, theirs counts.
    #[must_use]
    pub const fn with_backend(self, backend: Backend) -> Self {
        let execution = Execution { backend: Some(backend), ..self.execution };
        Self { execution, ..self }
    }

    /// How many values of a row of `classes` make sure of the bits of a whole row: one for each [`PART`](Self::PART) of them.
    #[must_use]
    pub const fn parts(classes: usize) -> usize {
        if classes == 0 { 1 } else { classes.div_ceil(PART) }
    }

    /// What is known of each row: one value per row, after which those of second parts follow, and so on:
    /// [`parts`](Self::parts) times rows of them.
    ///
    /// # Errors
    ///
    /// [`Error::ShardOutOfRange`] where the logits have more classes than are left after the offset; [`Error::RowCount`],
    /// [`Error::LabelOutOfRange`] for labels that no shard has, [`Error::OptionLength`], [`Error::UnknownBackend`],
    /// [`Error::UnavailableBackend`] and [`Error::OutOfMemory`].
    pub fn partials<'t>(
        &self,
        labels: impl IntoLabels<'t>,
        logits: Rows<'_>,
    ) -> Result<Vec<PartialRow>, Error> {
        let mut partials = allocate(PartialRow::EMPTY, logits.rows() * Self::parts(logits.classes()))?;
        self.partials_into(labels, logits, &mut partials)?;
        Ok(partials)
    }

    /// As [`partials`](Self::partials), into a slice of one value per row, or of more, one run of rows after another: as many
    /// runs as the shard with the most classes has parts, where all ranks are to send as much. The last run has all parts that
    /// are left, and runs without any have [`PartialRow::EMPTY`]. Of one value per row nothing is allocated, of more a list of
    /// the runs.
    ///
    /// # Errors
    ///
    /// As [`partials`](Self::partials), and [`Error::RowCount`] unless there are as many values as one or more times the rows.
    pub fn partials_into<'t>(
        &self,
        labels: impl IntoLabels<'t>,
        logits: Rows<'_>,
        partials: &mut [PartialRow],
    ) -> Result<(), Error> {
        let (rows, classes) = (logits.rows(), logits.classes());
        let valid = self.validate(labels.into_labels(), rows, Some(classes))?;
        expect_runs(partials.len(), rows)?;
        let Some(labels) = valid.labels.filter(|_| rows > 0) else { return Ok(()) };
        let (to, others) = partials.split_at_mut(rows);
        let call = ShardCall {
            logits: logits.values(),
            labels,
            map: self.loss.map,
            weights: self.loss.weights.rows,
            first: self.first,
            total: self.total,
            counts: self.loss.smoothing.mass > 0.0,
            to,
            others: others.chunks_mut(rows).collect(),
        };
        parallel::run(call, logits.execution()).map(drop)
    }

    /// Merges what all ranks know of rows, one after another in the order of their classes, as an all-gather leaves it: any
    /// number of runs of one value per row.
    ///
    /// # Errors
    ///
    /// [`Error::RowCount`] unless there are as many values as one or more times the rows.
    pub fn merge(gathered: &[PartialRow], merged: &mut [PartialRow]) -> Result<(), Error> {
        let rows = merged.len();
        expect_runs(gathered.len(), rows)?;
        merged.fill(PartialRow::EMPTY);
        // Run by run: no merging waits for the one before.
        for run in gathered.chunks(rows.max(1)) {
            for (to, part) in merged.iter_mut().zip(run) {
                *to = to.merge(*part);
            }
        }
        Ok(())
    }

    /// The loss of each row, and what they add up to, from what has been merged.
    ///
    /// # Errors
    ///
    /// As [`losses_into`](Self::losses_into), and [`Error::OutOfMemory`].
    pub fn losses<'t>(&self, labels: impl IntoLabels<'t>, merged: &[PartialRow]) -> Result<Loss, Error> {
        let mut rows = allocate(0.0, merged.len())?;
        let summary = self.losses_into(labels, merged, &mut rows)?;
        Ok(Loss { rows, summary })
    }

    /// As [`losses`](Self::losses), into a slice of one loss per row.
    ///
    /// # Errors
    ///
    /// [`Error::RowCount`], [`Error::LabelOutOfRange`], [`Error::OptionLength`], [`Error::EmptySum`] where a row that counts has
    /// been merged of nothing, [`Error::LabelNotMerged`] where no shard has its label, [`Error::UpstreamPerRow`],
    /// [`Error::UnknownBackend`] and [`Error::UnavailableBackend`].
    pub fn losses_into<'t>(
        &self,
        labels: impl IntoLabels<'t>,
        merged: &[PartialRow],
        losses: &mut [f32],
    ) -> Result<Summary, Error> {
        let rows = merged.len();
        let valid = self.validate(labels.into_labels(), rows, None)?;
        expect_rows("losses", losses.len(), rows)?;
        self.expect_labels(&valid, merged)?;
        // Nobody reads these logits; there is one for each row.
        let nothing = Rows::with_stride(&[0.0], rows, 1, 0)?;
        let mut loss = self.loss;
        loss.map = Map::default();
        let mut inputs = loss.inputs(Source::Shared(nothing.values()), &valid);
        inputs.weights.first = self.first;
        let outputs = Outputs { losses: &mut *losses, sums: Sums::Merged(merged), ..Outputs::default() };
        let total = parallel::run(Call::new(inputs, None, outputs), self.execution)?;
        Ok(summarise(total, losses, valid.totals, &self.loss))
    }

    /// The gradient of the loss with respect to the logits at hand, in their shape, rows after each other.
    ///
    /// # Errors
    ///
    /// As [`gradient_into`](Self::gradient_into), and [`Error::OutOfMemory`].
    pub fn gradient<'t>(
        &self,
        labels: impl IntoLabels<'t>,
        logits: Rows<'_>,
        merged: &[PartialRow],
    ) -> Result<Vec<f32>, Error> {
        allocated(logits, |gradient| self.gradient_into(labels, logits, merged, gradient))
    }

    /// As [`gradient`](Self::gradient), into a buffer of the logits' shape.
    ///
    /// # Errors
    ///
    /// As [`losses_into`](Self::losses_into) and [`partials`](Self::partials), and [`Error::ShapeMismatch`].
    pub fn gradient_into<'t>(
        &self,
        labels: impl IntoLabels<'t>,
        logits: Rows<'_>,
        merged: &[PartialRow],
        gradient: RowsMut<'_>,
    ) -> Result<(), Error> {
        gradient.expect_shape("gradient", (logits.rows(), logits.classes()))?;
        let (source, results) = (Source::Shared(logits.values()), Some(gradient.into_values()));
        self.run_gradient(labels.into_labels(), source, results, merged, logits.execution())
    }

    /// As [`gradient`](Self::gradient), over the logits.
    ///
    /// # Errors
    ///
    /// As [`losses_into`](Self::losses_into) and [`partials`](Self::partials).
    pub fn gradient_in_place<'t>(
        &self,
        labels: impl IntoLabels<'t>,
        logits: RowsMut<'_>,
        merged: &[PartialRow],
    ) -> Result<(), Error> {
        let execution = logits.execution();
        self.run_gradient(labels.into_labels(), Source::Over(logits.into_values()), None, merged, execution)
    }

    fn run_gradient(
        &self,
        labels: Labels<'_>,
        logits: Source<'_>,
        results: Option<StridedMut<'_>>,
        merged: &[PartialRow],
        execution: Execution,
    ) -> Result<(), Error> {
        let layout = *logits.share().layout();
        let valid = self.validate(labels, layout.rows, Some(layout.classes))?;
        expect_rows("partial rows", merged.len(), layout.rows)?;
        self.expect_labels(&valid, merged)?;
        let mut inputs = self.loss.inputs(logits, &valid);
        inputs.weights.first = self.first;
        let outputs = Outputs { sums: Sums::Merged(merged), ..Outputs::default() };
        parallel::run(Call::new(inputs, results, outputs), execution).map(drop)
    }

    /// The class after the last of so many.
    fn until(&self, classes: usize) -> Result<usize, Error> {
        let Self { first, total, .. } = *self;
        let until = first.checked_add(classes).filter(|until| *until <= total);
        let fits = total <= PartialRow::MAX_CLASSES;
        until.filter(|_| fits).ok_or(Error::ShardOutOfRange { first, classes, total })
    }

    /// Validates labels and options, where so many classes are at hand.
    fn validate<'t>(
        &'t self,
        labels: Labels<'t>,
        rows: usize,
        classes: Option<usize>,
    ) -> Result<Valid<'t>, Error> {
        let until = self.until(classes.unwrap_or_default())?;
        // Masks are of the classes at hand, weights of all.
        let loss = &self.loss;
        let (mut weighted, mut masked) = (*loss, CrossEntropy::new());
        weighted.map.mask = Mask::None;
        weighted.expect_lengths(rows, self.total)?;
        if let Some(classes) = classes {
            masked.map = loss.map;
            masked.expect_lengths(rows, classes)?;
        }
        let labels = RowLabels::new(labels, rows, self.total, loss.ignored)?;
        let totals: Totals = loss.totals(rows, &labels);
        let scale = loss.scale(totals)?.times(loss.map.scale);
        Ok(Valid { labels: Some(labels.of_shard(self.first, until)), dense: None, totals, scale })
    }

    /// An error unless each row that counts has a sum over something, and its label's logit.
    fn expect_labels(&self, valid: &Valid<'_>, merged: &[PartialRow]) -> Result<(), Error> {
        let counts = |row: usize| {
            self.loss.weights.rows.is_none_or(|weights| weights[row] != 0.0)
                && valid.labels.is_none_or(|labels| labels.is_used(row))
        };
        for (row, of) in merged.iter().enumerate() {
            if !of.has_label() && counts(row) {
                let nothing = of.is_of_nothing();
                return Err(if nothing { Error::EmptySum { row } } else { Error::LabelNotMerged { row } });
            }
        }
        Ok(())
    }
}

/// An error unless there is one value per row, or several runs of them.
const fn expect_runs(given: usize, rows: usize) -> Result<(), Error> {
    let whole = if rows == 0 { given == 0 } else { given >= rows && given.is_multiple_of(rows) };
    if whole { Ok(()) } else { Err(Error::RowCount { what: "partial rows", given, expected: rows }) }
}
