//! Mean squared error.

use super::{ElementLoss, ElementReduction, Options, Outputs, allocate, calls};
use crate::kernels::elements::Formula;
use crate::{Error, Rows, RowsMut};

/// The squared error `(x - t)^2`, and `2 (x - t)` for its gradient: what cross-entropy is compared with.
///
/// Inputs and targets are rows × classes.
///
/// ```
/// use xent::{ElementReduction, Rows, SquaredError};
///
/// let mean = SquaredError::new().reduction(ElementReduction::Mean);
/// let loss = mean.loss(Rows::new(&[1.0, 0.0], 1, 2)?, Rows::new(&[0.5, 0.5], 1, 2)?)?;
/// assert_eq!(loss.value, 0.25);
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SquaredError<'a> {
    options: Options<'a>,
}

calls!(SquaredError, "inputs");

impl SquaredError<'_> {
    fn run(&self, targets: Rows<'_>, inputs: Rows<'_>, outputs: Outputs<'_>) -> Result<f32, Error> {
        self.options.run((Formula::Squared, None), targets, inputs, outputs)
    }
}
