//! Two sets of logits compared, such as those of a model and of a smaller one that learns from it.

use super::{CrossEntropy, Upstream, allocate, checked, expect_rows};
use crate::engine::call::Source;
use crate::engine::options::Scale;
use crate::engine::parallel;
use crate::engine::row_call::{Comparing, RowCall, RowWork};
use crate::simd::strided::StridedMut;
use crate::views::labels::RowLabels;
use crate::views::rows::Execution;
use crate::{Error, IntoLabels, Labels, Rows, RowsMut};

/// How far the distributions of two sets of logits are from each other, row by row: the Kullback-Leibler divergence both ways,
/// the Jensen-Shannon divergence, whether both have the same largest class, what became of the label's log-probability, and the
/// gradient of the first divergence.
///
/// A *reference* has the distribution `p = softmax(a / T)`, and the logits that are compared with it `q = softmax(b / T)`: a model
/// and its quantised form, or a teacher and a student. All of it is in nats, computed in f64 and rounded once. Divergences are
/// at most 1 ULP off, or 10⁻²⁴, also where the two are so near to each other that a difference of cross-entropy and entropy would
/// have no digit left; and exactly 0 for rows of the same logits. Each row comes from memory once.
///
/// | a row | has |
/// |---|---|
/// | with a NaN or `+inf`, or of nothing but `-inf`, in either | divergences and a gradient of NaN |
/// | with a class of `-inf` in both, or masked | no part of it in anything, and a gradient of 0 there |
/// | with a class of `-inf` in the logits alone | `KL(p\|\|q)` of `+inf`; in the reference alone `KL(q\|\|p)` of `+inf`. The others, and the gradient, are finite |
/// | with a label that is [ignored](Self::ignore_index) | divergences and a gradient of 0, and is never read |
///
/// Source of the formulas: Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network" (2015), section 2; Lin,
/// "Divergence measures based on the Shannon entropy" (1991).
///
/// ```
/// use xent::{Comparison, LogitComparison, Rows};
///
/// let full = Rows::new(&[2.0, 1.0, 0.0, 0.0, 3.0, 0.1], 2, 3)?;
/// let quantised = Rows::new(&[2.0, 1.0, 0.0, 3.0, 0.0, 0.1], 2, 3)?;
/// let (mut kl, mut same, mut change) = ([0.0; 2], [false; 2], [0.0; 2]);
/// let wanted = Comparison::new().kl(&mut kl).same_argmax(&mut same).labels(&[0_u8, 1]).label_change(&mut change);
/// LogitComparison::new().compare_into(full, quantised, wanted)?;
/// assert_eq!((kl[0], same, change), (0.0, [true, false], [0.0, -3.0]));
/// assert!((kl[1] - 2.580_207).abs() < 1e-5);
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LogitComparison<'a> {
    options: CrossEntropy<'a>,
    squared: bool,
}

/// What [`LogitComparison::compare_into`] writes: a buffer of one value per row for each thing that is wanted.
#[derive(Debug, Default)]
#[must_use]
pub struct Comparison<'a> {
    kl: Option<&'a mut [f32]>,
    reverse_kl: Option<&'a mut [f32]>,
    jensen_shannon: Option<&'a mut [f32]>,
    same_argmax: Option<&'a mut [bool]>,
    labels: Option<Labels<'a>>,
    change: Option<&'a mut [f32]>,
}

impl<'a> Comparison<'a> {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// `KL(p||q) = sum p_i ln(p_i / q_i)`, the divergence of the logits from the reference: what distillation minimises, and what
    /// is printed of quantised models.
    pub fn kl(self, to: &'a mut [f32]) -> Self {
        Self { kl: Some(to), ..self }
    }

    /// `KL(q||p) = sum q_i ln(q_i / p_i)`.
    pub fn reverse_kl(self, to: &'a mut [f32]) -> Self {
        Self { reverse_kl: Some(to), ..self }
    }

    /// `(KL(p||m) + KL(q||m)) / 2` for `m = (p + q) / 2`: from 0 to ln 2, and finite for every two distributions.
    pub fn jensen_shannon(self, to: &'a mut [f32]) -> Self {
        Self { jensen_shannon: Some(to), ..self }
    }

    /// Whether both rows have their largest logit in the same class, the first of equal ones; or their first NaN. Classes that are
    /// masked do not count.
    pub fn same_argmax(self, to: &'a mut [bool]) -> Self {
        Self { same_argmax: Some(to), ..self }
    }

    /// The label of each row, for its [change](Self::label_change), and for rows to be [ignored](LogitComparison::ignore_index).
    pub fn labels(self, labels: impl IntoLabels<'a>) -> Self {
        Self { labels: Some(labels.into_labels()), ..self }
    }

    /// `ln q_y - ln p_y` for the label `y`: positive where the logits give it more probability than the reference does. It is at
    /// most 1 ULP off, or 10⁻¹² of the larger of 1 and the difference of the logits, where that is more. NaN for a label that takes
    /// no part in either.
    pub fn label_change(self, to: &'a mut [f32]) -> Self {
        Self { change: Some(to), ..self }
    }
}

impl<'a> LogitComparison<'a> {
    /// No temperature, no mask, no row ignored.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Divides both sets of logits. What is divided is not rounded.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless `temperature` is a positive number, and its inverse one that an f32 can hold.
    pub fn temperature(self, temperature: f64) -> Result<Self, Error> {
        Ok(Self { options: self.options.temperature(temperature)?, ..self })
    }

    /// Whether the divergences and the gradient are multiplied by the square of the temperature. A gradient falls with it;
    /// multiplied, it has the same scale at every temperature, and so the same weight beside a loss of labels.
    #[must_use]
    pub const fn times_squared_temperature(self, squared: bool) -> Self {
        Self { squared, ..self }
    }

    /// Takes classes out of both rows: those that are `false`, as [`CrossEntropy::class_mask`].
    #[must_use]
    pub const fn class_mask(self, mask: &'a [bool]) -> Self {
        Self { options: self.options.class_mask(mask), ..self }
    }

    /// As [`class_mask`](Self::class_mask), with a mask for each row, rows × classes.
    #[must_use]
    pub const fn row_class_masks(self, masks: &'a [bool]) -> Self {
        Self { options: self.options.row_class_masks(masks), ..self }
    }

    /// The label of rows that are not read, such as padding.
    #[must_use]
    pub const fn ignore_index(self, label: i64) -> Self {
        Self { options: self.options.ignore_index(label), ..self }
    }

    /// What gradients are multiplied by, one number or one per row, as [`CrossEntropy::upstream`]: `1 / rows` for a mean.
    #[must_use]
    pub fn upstream(self, upstream: impl Into<Upstream<'a>>) -> Self {
        Self { options: self.options.upstream(upstream), ..self }
    }

    /// `KL(p||q)` of each row.
    ///
    /// # Errors
    ///
    /// As [`compare_into`](Self::compare_into), and [`Error::OutOfMemory`].
    ///
    /// ```
    /// use xent::{LogitComparison, Rows};
    ///
    /// let (p, q) = (Rows::new(&[0.0, 0.0], 1, 2)?, Rows::new(&[0.0, 1e-6], 1, 2)?);
    /// assert_eq!(LogitComparison::new().kl(p, q)?, [1.25e-13]); // (1e-6)² / 8
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn kl(&self, reference: Rows<'_>, logits: Rows<'_>) -> Result<Vec<f32>, Error> {
        let mut kl = allocate(0.0, logits.rows())?;
        self.compare_into(reference, logits, Comparison::new().kl(&mut kl))?;
        Ok(kl)
    }

    /// Compares logits with a reference of the same shape, and writes what is wanted.
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`], [`Error::RowCount`], [`Error::OptionLength`], [`Error::LabelOutOfRange`],
    /// [`Error::UnknownBackend`] and [`Error::UnavailableBackend`]; [`Error::NeedsLabels`] for the change of no label.
    pub fn compare_into(
        &self,
        reference: Rows<'_>,
        logits: Rows<'_>,
        wanted: Comparison<'_>,
    ) -> Result<(), Error> {
        let (shape, execution) = ((logits.rows(), logits.classes()), logits.execution());
        self.run(reference, Source::Shared(logits.values()), None, shape, execution, wanted)
    }

    /// As [`compare_into`](Self::compare_into), with the gradient of `KL(p||q)` with respect to the logits, `u (q_i - p_i) / T` for the
    /// [upstream gradient](Self::upstream) `u`, into a buffer of their shape. It is at most 1 ULP off, or, where
    /// both probabilities are next to each other, 10⁻¹² of the larger one.
    ///
    /// # Errors
    ///
    /// As [`compare_into`](Self::compare_into).
    ///
    /// ```
    /// use xent::{Comparison, LogitComparison, Rows, RowsMut};
    ///
    /// let (teacher, student) = (Rows::new(&[4.0, 0.0], 1, 2)?, Rows::new(&[0.0, 0.0], 1, 2)?);
    /// let (mut losses, mut gradient) = ([0.0], [0.0; 2]);
    /// let distillation = LogitComparison::new().temperature(2.0)?.times_squared_temperature(true);
    /// let wanted = Comparison::new().kl(&mut losses);
    /// distillation.compare_and_gradient_into(teacher, student, wanted, RowsMut::new(&mut gradient, 1, 2)?)?;
    /// assert!((losses[0] - 1.311_253).abs() < 1e-6 && (gradient[0] + 0.761_594_2).abs() < 1e-6);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn compare_and_gradient_into(
        &self,
        reference: Rows<'_>,
        logits: Rows<'_>,
        wanted: Comparison<'_>,
        gradient: RowsMut<'_>,
    ) -> Result<(), Error> {
        let (shape, execution) = ((logits.rows(), logits.classes()), logits.execution());
        gradient.expect_shape("gradient", shape)?;
        let results = Some(gradient.into_values());
        self.run(reference, Source::Shared(logits.values()), results, shape, execution, wanted)
    }

    /// As [`compare_and_gradient_into`](Self::compare_and_gradient_into), with the gradient over the logits.
    ///
    /// # Errors
    ///
    /// As [`compare_into`](Self::compare_into).
    pub fn compare_and_gradient_in_place(
        &self,
        reference: Rows<'_>,
        logits: RowsMut<'_>,
        wanted: Comparison<'_>,
    ) -> Result<(), Error> {
        let (shape, execution) = ((logits.rows(), logits.classes()), logits.execution());
        self.run(reference, Source::Over(logits.into_values()), None, shape, execution, wanted)
    }

    fn run(
        &self,
        reference: Rows<'_>,
        inputs: Source<'_>,
        results: Option<StridedMut<'_>>,
        (rows, classes): (usize, usize),
        execution: Execution,
        wanted: Comparison<'_>,
    ) -> Result<(), Error> {
        let Self { options, squared } = self;
        reference.expect_shape("reference", (rows, classes))?;
        options.expect_lengths(rows, classes)?;
        if let Upstream::PerRow(values) = options.upstream {
            expect_rows("upstream gradients", values.len(), rows)?;
        }
        let Comparison { kl, reverse_kl, jensen_shannon, same_argmax, labels, change } = wanted;
        if change.is_some() && labels.is_none() {
            return Err(Error::NeedsLabels { what: "changes of log-probabilities" });
        }
        let labels =
            labels.map(|labels| RowLabels::new(labels, rows, classes, options.ignored)).transpose()?;
        let scale = options.map.scale;
        let factor = if *squared { 1.0 / (scale * scale) } else { 1.0 };
        let compare = Comparing {
            scale,
            factor,
            mask: options.map.mask,
            forward: checked("divergences", kl, rows)?,
            reverse: checked("reverse divergences", reverse_kl, rows)?,
            jensen_shannon: checked("Jensen-Shannon divergences", jensen_shannon, rows)?,
            same_argmax: checked("same argmax", same_argmax, rows)?,
            change: checked("changes of log-probabilities", change, rows)?,
        };
        let call = RowCall {
            second: Some(reference.values()),
            results,
            labels,
            scale: Scale { upstream: options.upstream, constant: factor },
            compare,
            ..RowCall::new(RowWork::Compare, inputs)
        };
        parallel::run(call, execution).map(drop)
    }
}
