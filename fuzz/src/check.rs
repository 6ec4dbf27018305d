//! Every way to the loss and the gradient of a batch, on every backend, against each other and the oracle.

use xent::{Backend, CrossEntropy, Error, Labels as Indices, Reduction, Rows, RowsMut, Summary, Targets};

use super::input::IGNORED;
use super::logits::Layout;
use super::oracle::Expected;
use super::same::{Fused, UNTOUCHED, assert_reduced, assert_same, untouched};

/// The labels of a batch.
pub enum Labels {
    Sparse(Vec<i64>),
    /// A distribution per row.
    Dense(Vec<Vec<f32>>),
}

/// A batch and how its loss is asked for.
pub struct Batch<'a> {
    pub layout: Layout,
    pub rows: Vec<Vec<f32>>,
    pub labels: Labels,
    pub loss: CrossEntropy<'a>,
    pub reduction: Reduction,
    /// The upstream gradient of each row.
    pub upstream: &'a [f32],
    /// Whether the loss was given a slice of them.
    pub per_row: bool,
}

/// What a call gave: one loss per row, and a gradient in the layout of the batch.
struct Outcome {
    losses: Vec<f32>,
    gradient: Vec<f32>,
    summary: Summary,
}

impl Batch<'_> {
    pub fn check(&self) {
        let logits = self.layout.buffer(f32::NAN, &self.rows);
        let dense = match &self.labels {
            Labels::Sparse(_) => Vec::new(),
            Labels::Dense(labels) => self.layout.buffer(f32::NAN, labels),
        };
        let view = self.layout.view(&logits).expect("the layout is one");
        let targets = match &self.labels {
            Labels::Sparse(labels) => Targets::from(labels),
            Labels::Dense(_) => Targets::from(self.layout.view(&dense).expect("the layout is one")),
        };
        let expected = self.expected();
        let mut fused = Fused::default();
        for backend in Backend::available() {
            let Some(outcome) = self.outcome(targets, view.with_backend(backend)) else { continue };
            self.assert_contract(backend, &outcome, &expected);
            self.assert_same_from_every_call(targets, view.with_backend(backend), &logits, &outcome);
            self.assert_same_alone(backend, &outcome);
            fused.assert(backend, "losses", &outcome.losses);
            fused.assert(backend, "gradient", &outcome.gradient);
        }
    }

    /// Why the batch must be refused, if it must.
    fn refusal(&self) -> Option<Error> {
        let Layout { rows, classes, .. } = self.layout;
        if let Labels::Sparse(labels) = &self.labels {
            let is_class = |label: i64| usize::try_from(label).is_ok_and(|label| label < classes);
            let bad = labels.iter().enumerate().find(|&(_, &label)| label != IGNORED && !is_class(label));
            if let Some((row, &label)) = bad {
                return Some(Error::LabelOutOfRange { row, label: label.into(), classes });
            }
        }
        (self.per_row && self.reduction != Reduction::None).then_some(Error::UpstreamPerRow { given: rows })
    }

    /// The losses and the gradient, `None` where they were refused as they must be.
    fn outcome(&self, targets: Targets<'_>, logits: Rows<'_>) -> Option<Outcome> {
        let mut losses = vec![UNTOUCHED; self.layout.rows];
        let mut gradient = self.layout.buffer(UNTOUCHED, &[]);
        let view = self.layout.view_mut(&mut gradient).expect("the layout is one");
        let result = self.loss.loss_and_gradient_into(targets, logits, &mut losses, view);
        if let Some(refusal) = self.refusal() {
            assert_eq!(result, Err(refusal));
            assert!(losses.iter().chain(&gradient).copied().all(untouched), "a refused call wrote");
            return None;
        }
        assert!(self.layout.between(&gradient).copied().all(untouched), "written between the rows");
        let summary = result.expect("nothing is wrong with the batch");
        Some(Outcome { losses, gradient, summary })
    }

    /// The rows that are not ignored.
    fn used(&self) -> usize {
        match &self.labels {
            Labels::Sparse(labels) => labels.iter().filter(|&&label| label != IGNORED).count(),
            Labels::Dense(labels) => labels.len(),
        }
    }

    /// The number of used rows as a divisor.
    fn count(&self) -> f64 {
        f64::from(u32::try_from(self.used()).expect("a few rows"))
    }

    /// What the oracle says of each row; nothing where the batch must be refused.
    fn expected(&self) -> Vec<Expected> {
        if self.refusal().is_some() {
            return Vec::new();
        }
        let divisor = if self.reduction == Reduction::Mean { self.count() } else { 1.0 };
        let row = |(row, (logits, &upstream)): (usize, (&Vec<f32>, &f32))| {
            let upstream = f64::from(upstream) / divisor;
            match &self.labels {
                Labels::Sparse(labels) => match usize::try_from(labels[row]) {
                    Ok(label) => Expected::sparse(label, logits, upstream),
                    Err(_) => Expected::nothing(logits.len()),
                },
                Labels::Dense(labels) => Expected::dense(&labels[row], logits, upstream),
            }
        };
        self.rows.iter().zip(self.upstream).enumerate().map(row).collect()
    }

    /// Asserts the bounds of the numeric contract, and what sums of results must be.
    fn assert_contract(&self, backend: Backend, outcome: &Outcome, expected: &[Expected]) {
        let gradients = self.layout.rows_of(&outcome.gradient);
        for (row, ((expected, &loss), gradient)) in
            expected.iter().zip(&outcome.losses).zip(gradients).enumerate()
        {
            expected.assert(backend, row, loss, gradient);
            if matches!(self.labels, Labels::Sparse(_)) {
                assert_no_sum(backend, row, gradient);
            }
        }
        let Summary { value, used_rows, .. } = outcome.summary;
        assert_eq!(used_rows, self.used());
        let divisor = match self.reduction {
            Reduction::Mean if used_rows == 0 => return assert!(value == 0.0 || value.is_nan()),
            Reduction::Mean => self.count(),
            _ => 1.0,
        };
        assert_reduced("summary", &outcome.losses, divisor, value);
    }

    /// Asserts that every call which yields a result yields the same bits.
    fn assert_same_from_every_call(
        &self,
        targets: Targets<'_>,
        logits: Rows<'_>,
        buffer: &[f32],
        outcome: &Outcome,
    ) {
        let loss = self.loss.loss(targets, logits).expect("it was accepted before");
        assert_same("losses alone", &loss.rows, &outcome.losses);

        let (forward, sums) = self.loss.forward(targets, logits).expect("it was accepted before");
        assert_same("losses of forward", &forward.rows, &outcome.losses);
        let gradient = self.loss.backward(targets, logits, &sums).expect("it was accepted before");
        let rows = self.layout.values(&outcome.gradient);
        assert_same("gradient of backward", &gradient, &rows);

        let overwrite = |call: &mut dyn FnMut(RowsMut<'_>) -> Result<(), Error>| {
            let mut buffer = buffer.to_vec();
            let view = self.layout.view_mut(&mut buffer).expect("the layout is one");
            call(view.with_backend(logits.backend().expect("chosen"))).expect("it was accepted before");
            self.layout.values(&buffer)
        };
        let mut losses = vec![UNTOUCHED; self.layout.rows];
        let in_place = overwrite(&mut |logits| {
            self.loss.loss_and_gradient_in_place(targets, logits, &mut losses).map(drop)
        });
        assert_same("losses in place", &losses, &outcome.losses);
        assert_same("gradient in place", &in_place, &rows);
        let in_place = overwrite(&mut |logits| self.loss.backward_in_place(targets, logits, &sums));
        assert_same("gradient of backward in place", &in_place, &rows);
    }

    /// Asserts that a row alone has the bits that it has in the batch.
    fn assert_same_alone(&self, backend: Backend, outcome: &Outcome) {
        let gradients = self.layout.rows_of(&outcome.gradient);
        for (row, (logits, gradient)) in self.rows.iter().zip(gradients).enumerate() {
            let classes = logits.len();
            let logits = Rows::new(logits, 1, classes).expect("one row").with_backend(backend);
            let targets = match &self.labels {
                Labels::Sparse(labels) => Indices::from(&labels[row..=row]).into(),
                Labels::Dense(labels) => Targets::from(Rows::new(&labels[row], 1, classes).expect("one row")),
            };
            let alone = CrossEntropy::new().ignore_index(IGNORED).upstream(self.upstream[row]);
            let (loss, of_one) = alone.loss_and_gradient(targets, logits).expect("it was accepted before");
            assert_same("loss of a row alone", &loss.rows, &outcome.losses[row..=row]);
            if self.reduction != Reduction::Mean {
                assert_same("gradient of a row alone", &of_one, gradient);
            }
        }
    }
}

/// Asserts that the gradient of a row sums to nothing, for which the oracle is not needed.
///
/// Each value may be off by 3 ULP, 5 without fused multiply-add, and an ULP is at most `2^-23` of it; or by
/// all of a number that is too small to be normal.
pub fn assert_no_sum(backend: Backend, row: usize, gradient: &[f32]) {
    if gradient.iter().all(|g| g.is_finite()) {
        let sum: f64 = gradient.iter().map(|&g| f64::from(g)).sum();
        let magnitude: f64 = gradient.iter().map(|&g| f64::from(g).abs()).sum();
        let flushed = f64::from(f32::MIN_POSITIVE) * 1200.0;
        let bound = 5.0 * f64::from(f32::EPSILON) * magnitude + flushed;
        assert!(sum.abs() <= bound, "{backend}, row {row}: a gradient sums to {sum:e}, at most {bound:e}");
    }
}
