//! Log-sum-exp.

use super::{allocate, expect_rows};
use crate::engine::call::{Call, Inputs, LossWork, Source, Work};
use crate::engine::options::{Outputs, Sums};
use crate::engine::parallel;
use crate::{Error, LogSumExp, Rows};

/// The log-sum-exp of each row: `ln sum_j e^(x_j)`.
///
/// Takes logits of rows × classes, gives one value per row. A row that holds NaN gives NaN, else one
/// that holds `+inf` gives `+inf`, and one of nothing but `-inf` gives `-inf`. At most 3 ULP off; near
/// zero, of the larger of the result and the row's largest logit.
///
/// # Errors
///
/// [`Error::UnknownBackend`], [`Error::UnavailableBackend`] and [`Error::OutOfMemory`].
///
/// ```
/// use xent::{Rows, log_sum_exp};
///
/// let lse = log_sum_exp(Rows::new(&[1e8, 1e8, 0.0, 0.0], 2, 2)?)?;
/// assert_eq!(lse, [1e8, core::f32::consts::LN_2]);
/// # Ok::<(), xent::Error>(())
/// ```
pub fn log_sum_exp(logits: Rows<'_>) -> Result<Vec<f32>, Error> {
    let mut results = allocate(0.0, logits.rows())?;
    log_sum_exp_into(logits, &mut results)?;
    Ok(results)
}

/// As [`log_sum_exp`], into a slice of one value per row.
///
/// # Errors
///
/// [`Error::RowCount`], [`Error::UnknownBackend`] and [`Error::UnavailableBackend`].
pub fn log_sum_exp_into(logits: Rows<'_>, results: &mut [f32]) -> Result<(), Error> {
    expect_rows("results", results.len(), logits.rows())?;
    let inputs = Inputs::new(Work::LogSumExp, Source::Shared(logits.values()));
    let outputs = Outputs { log_sum_exp: results, ..Outputs::default() };
    parallel::run(Call::new(inputs, None, outputs), logits.execution()).map(drop)
}

impl LogSumExp {
    /// The sum over one run of logits, not evaluated: NaN, `+inf` and `-inf` as for [`log_sum_exp`].
    ///
    /// # Errors
    ///
    /// [`Error::UnknownBackend`] and [`Error::UnavailableBackend`].
    pub fn of(logits: &[f32]) -> Result<Self, Error> {
        let mut results = [Self::EMPTY];
        if !logits.is_empty() {
            let logits = Rows::new(logits, 1, logits.len())?;
            let inputs = Inputs::new(Work::Loss(LossWork::default()), Source::Shared(logits.values()));
            let outputs = Outputs { sums: Sums::Save(&mut results), ..Outputs::default() };
            parallel::run(Call::new(inputs, None, outputs), logits.execution())?;
        }
        Ok(results[0])
    }
}
