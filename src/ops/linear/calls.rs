//! The calls: validate completely, run in tiles or in chunks, and give each row what it has.

use super::batch::Batch;
use super::chunks::{self, PerRow};
use super::{Linear, LinearCrossEntropy, LinearGradients, LinearResults, tiles};
use crate::engine::options::Sums;
use crate::engine::parallel;
use crate::engine::total::Total;
use crate::numbers::factor::narrow_normal;
use crate::ops::cross_entropy::summarise;
use crate::ops::{allocate, expect_rows};
use crate::simd::LANES;
use crate::simd::gemm::Matrix;
use crate::{Error, IntoTargets, LogSumExp, Loss, Summary, Targets, Upstream};

impl LinearCrossEntropy<'_> {
    /// The loss of each row, and what they add up to, with the L2 term.
    ///
    /// # Errors
    ///
    /// Those of [`CrossEntropy::loss`](crate::CrossEntropy::loss); [`Error::Workspace`] where the workspace does not hold what a call needs.
    pub fn loss<'t>(&self, targets: impl IntoTargets<'t>, linear: Linear<'_>) -> Result<Loss, Error> {
        let mut rows = allocate(0.0, linear.x.rows())?;
        let results = LinearResults::new().losses(&mut rows);
        let summary = self.forward_into(targets, linear, results)?;
        Ok(Loss { rows, summary })
    }

    /// The loss of each row, and what a later [`backward_into`](Self::backward_into) needs: 32 bytes per row.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn forward<'t>(
        &self,
        targets: impl IntoTargets<'t>,
        linear: Linear<'_>,
    ) -> Result<(Loss, Vec<LogSumExp>), Error> {
        let mut rows = allocate(0.0, linear.x.rows())?;
        let mut saved = allocate(LogSumExp::EMPTY, linear.x.rows())?;
        let results = LinearResults::new().losses(&mut rows).saved(&mut saved);
        let summary = self.forward_into(targets, linear, results)?;
        Ok((Loss { rows, summary }, saved))
    }

    /// The loss, and what is asked for of each row.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss), and [`Error::RowCount`] for slices of another length.
    ///
    /// ```
    /// use xent::{Linear, LinearCrossEntropy, LinearResults, Rows};
    ///
    /// let linear = Linear::new(Rows::new(&[1.0, -1.0], 2, 1)?, Rows::new(&[2.0, 3.0], 2, 1)?)?;
    /// let (mut argmax, mut correct) = ([0; 2], [false; 2]);
    /// let results = LinearResults::new().argmax(&mut argmax).correct(&mut correct);
    /// LinearCrossEntropy::default().forward_into(&[0_u8, 0], linear, results)?;
    /// assert_eq!((argmax, correct), ([1, 0], [false, true]));
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn forward_into<'t>(
        &self,
        targets: impl IntoTargets<'t>,
        linear: Linear<'_>,
        results: LinearResults<'_>,
    ) -> Result<Summary, Error> {
        self.run(targets.into_targets(), linear, results, None)
    }

    /// The loss, what is asked for of each row, and gradients of the reduced loss, with the L2 term.
    ///
    /// # Errors
    ///
    /// As [`forward_into`](Self::forward_into); [`Error::ShapeMismatch`], [`Error::OptionLength`] and
    /// [`Error::UnevenRows`] for gradients that do not fit.
    pub fn loss_and_gradients_into<'t>(
        &self,
        targets: impl IntoTargets<'t>,
        linear: Linear<'_>,
        results: LinearResults<'_>,
        gradients: LinearGradients<'_>,
    ) -> Result<Summary, Error> {
        self.run(targets.into_targets(), linear, results, Some(gradients))
    }

    /// The gradients alone, from what [`forward`](Self::forward) saved. The logits are made once more.
    ///
    /// # Errors
    ///
    /// As [`loss_and_gradients_into`](Self::loss_and_gradients_into), and [`Error::EmptySum`] where a row that counts has a sum
    /// over nothing.
    ///
    /// ```
    /// use xent::{Linear, LinearCrossEntropy, LinearGradients, Rows, RowsMut};
    ///
    /// let linear = Linear::new(Rows::new(&[1.0], 1, 1)?, Rows::new(&[2.0, 2.0], 2, 1)?)?;
    /// let (loss, mut gradient) = (LinearCrossEntropy::default(), [0.0; 2]);
    /// let (_, saved) = loss.forward(&[0_u8], linear)?;
    /// let gradients = LinearGradients::new().weights(RowsMut::new(&mut gradient, 2, 1)?);
    /// loss.backward_into(&[0_u8], linear, &saved, gradients)?;
    /// assert_eq!(gradient, [-0.5, 0.5]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn backward_into<'t>(
        &self,
        targets: impl IntoTargets<'t>,
        linear: Linear<'_>,
        saved: &[LogSumExp],
        gradients: LinearGradients<'_>,
    ) -> Result<(), Error> {
        let (rows, classes) = (linear.x.rows(), linear.weights.rows());
        expect_rows("log-sum-exps", saved.len(), rows)?;
        gradients.validate(&linear)?;
        parallel::token(linear.x.backend())?;
        let targets = Some(targets.into_targets());
        let batch =
            Batch::new(&self.loss, &self.loss.validate(targets, rows, classes, Some(saved))?, classes, rows);
        let mut own = allocate(LogSumExp::EMPTY, batch.rows)?;
        for (row, to) in own.iter_mut().enumerate() {
            *to = saved[batch.row(row)];
        }
        let per_row = PerRow { losses: &mut [], sums: Sums::Saved(&own) };
        chunks::run(&linear, &batch, self.workspace, per_row, self.l2_slope(), gradients).map(drop)
    }

    fn run(
        &self,
        targets: Targets<'_>,
        linear: Linear<'_>,
        results: LinearResults<'_>,
        gradients: Option<LinearGradients<'_>>,
    ) -> Result<Summary, Error> {
        let (rows, classes) = (linear.x.rows(), linear.weights.rows());
        for (what, given) in [
            ("losses", results.losses.as_ref().map(|to| to.len())),
            ("log-sum-exps", results.saved.as_ref().map(|to| to.len())),
            ("argmax", results.argmax.as_ref().map(|to| to.len())),
            ("correct", results.correct.as_ref().map(|to| to.len())),
        ] {
            given.map_or(Ok(()), |given| expect_rows(what, given, rows))?;
        }
        if let Some(gradients) = &gradients {
            gradients.validate(&linear)?;
        }
        parallel::token(linear.x.backend())?;
        let valid = self.loss.validate(Some(targets), rows, classes, None)?;
        let totals = valid.totals;
        let batch = Batch::new(&self.loss, &valid, classes, rows);
        let mut losses = allocate(0.0, batch.rows)?;
        let mut sums = allocate(LogSumExp::EMPTY, batch.rows)?;
        let total = if gradients.is_none() && batch.merges() {
            tiles::run(&linear, &batch, self.workspace, &mut sums)?;
            let mut total = Total::default();
            for (row, to) in losses.iter_mut().enumerate() {
                let loss = batch.loss_of(row, sums[row]);
                // Not -0.
                *to = narrow_normal(loss + 0.0);
                total = total.plus(loss);
            }
            total
        } else {
            let wants_sums = results.saved.is_some() || results.argmax.is_some() || results.correct.is_some();
            let of_rows = if wants_sums { Sums::Save(&mut sums) } else { Sums::Discard };
            let per_row = PerRow { losses: &mut losses, sums: of_rows };
            let gradients = gradients.unwrap_or_default();
            chunks::run(&linear, &batch, self.workspace, per_row, self.l2_slope(), gradients)?
        };
        let mut summary = summarise(total, &losses, totals, &self.loss);
        if self.l2 != 0.0 {
            summary.value =
                narrow_normal(f64::from(summary.value) + self.l2 * sum_of_squares(linear.weights));
        }
        results.put(&batch, &losses, &sums);
        Ok(summary)
    }

    /// What the L2 term's gradient multiplies weights by.
    fn l2_slope(&self) -> f64 {
        let upstream = match self.loss.upstream {
            Upstream::Uniform(upstream) => upstream.into(),
            Upstream::PerRow(_) => 1.0,
        };
        2.0 * self.l2 * upstream
    }
}

impl LinearResults<'_> {
    /// Gives each row of the call what it has.
    fn put(mut self, batch: &Batch<'_>, losses: &[f32], sums: &[LogSumExp]) {
        if !batch.is_whole() {
            self.losses.iter_mut().for_each(|to| to.fill(0.0));
            self.saved.iter_mut().for_each(|to| to.fill(LogSumExp::EMPTY));
            self.argmax.iter_mut().for_each(|to| to.fill(usize::MAX));
            self.correct.iter_mut().for_each(|to| to.fill(false));
        }
        for i in (0..batch.rows).filter(|i| batch.counts(*i)) {
            let (row, sum) = (batch.row(i), sums[i]);
            if let Some(to) = &mut self.losses {
                to[row] = losses[i];
            }
            if let Some(to) = &mut self.saved {
                to[row] = sum;
            }
            if let Some(to) = &mut self.argmax {
                to[row] = sum.argmax as usize;
            }
            if let Some(to) = &mut self.correct {
                to[row] = batch.label(i) == Some(sum.argmax as usize) && !sum.max.is_nan();
            }
        }
    }
}

/// The sum of the squares of all values, in f64.
fn sum_of_squares(values: Matrix<'_>) -> f64 {
    // By rows, or by columns where those are slices.
    let values = if values.rows() > 0 && values.row(0).is_none() { values.transposed() } else { values };
    let mut sums = [0.0; LANES];
    for row in 0..values.rows() {
        if let Some(row) = values.row(row) {
            for part in row.chunks(LANES) {
                for (sum, value) in sums.iter_mut().zip(part) {
                    *sum += f64::from(*value) * f64::from(*value);
                }
            }
        } else {
            sums[0] += (0..values.columns()).map(|i| f64::from(values.get(row, i)).powi(2)).sum::<f64>();
        }
    }
    sums.iter().sum()
}
