//! Row maximum and argmax.

use super::{allocate, expect_rows};
use crate::engine::call::Source;
use crate::engine::parallel;
use crate::engine::row_call::{RowCall, RowWork};
use crate::{Error, Rows};

/// The largest logit of each row; NaN if the row holds one.
///
/// Takes logits of rows × classes, gives one value per row.
///
/// # Errors
///
/// [`Error::UnknownBackend`], [`Error::UnavailableBackend`] and [`Error::OutOfMemory`].
///
/// ```
/// use xent::{Rows, row_max};
///
/// assert_eq!(row_max(Rows::new(&[1.0, 3.0, -1.0, -2.0], 2, 2)?)?, [3.0, -1.0]);
/// # Ok::<(), xent::Error>(())
/// ```
pub fn row_max(logits: Rows<'_>) -> Result<Vec<f32>, Error> {
    let mut results = allocate(0.0, logits.rows())?;
    row_max_into(logits, &mut results)?;
    Ok(results)
}

/// As [`row_max`], into a slice of one value per row.
///
/// # Errors
///
/// [`Error::RowCount`], [`Error::UnknownBackend`] and [`Error::UnavailableBackend`].
pub fn row_max_into(logits: Rows<'_>, results: &mut [f32]) -> Result<(), Error> {
    expect_rows("results", results.len(), logits.rows())?;
    let call = RowCall::new(RowWork::Maximum, Source::Shared(logits.values()));
    parallel::run(RowCall { values: results, ..call }, logits.execution()).map(drop)
}

/// The class with the largest logit of each row: the first of equal ones. In a row that holds NaN, the
/// first NaN, as in `NumPy`, so that [`row_max`] is always the logit at this class.
///
/// Takes logits of rows × classes, gives one class index per row.
///
/// # Errors
///
/// [`Error::UnknownBackend`], [`Error::UnavailableBackend`] and [`Error::OutOfMemory`].
///
/// ```
/// use xent::{Rows, argmax};
///
/// assert_eq!(argmax(Rows::new(&[1.0, 3.0, 3.0, -2.0, -9.0, -2.0], 2, 3)?)?, [1, 0]);
/// # Ok::<(), xent::Error>(())
/// ```
pub fn argmax(logits: Rows<'_>) -> Result<Vec<usize>, Error> {
    let mut results = allocate(0, logits.rows())?;
    argmax_into(logits, &mut results)?;
    Ok(results)
}

/// As [`argmax`], into a slice of one index per row.
///
/// # Errors
///
/// [`Error::RowCount`], [`Error::UnknownBackend`] and [`Error::UnavailableBackend`].
pub fn argmax_into(logits: Rows<'_>, results: &mut [usize]) -> Result<(), Error> {
    expect_rows("results", results.len(), logits.rows())?;
    let call = RowCall::new(RowWork::Maximum, Source::Shared(logits.values()));
    parallel::run(RowCall { indices: results, ..call }, logits.execution()).map(drop)
}
