//! What losses of rows beside cross-entropy have in common: options, which are those of its `rows`, and calls.

/// The options and the calls of a loss with a method `run`, whose targets have this type.
macro_rules! row_calls {
    ($loss:ident, $targets:ident, $inputs:literal) => {
        impl<'a> $loss<'a> {
            /// How the losses of the rows become one number; a mean is over the rows that are not ignored.
            #[must_use]
            pub const fn reduction(self, reduction: Reduction) -> Self {
                Self { rows: self.rows.reduction(reduction), ..self }
            }

            /// One weight per class, as [`CrossEntropy::class_weights`]: that of a row's label multiplies its loss.
            ///
            /// # Errors
            ///
            /// [`Error::Option`] for a weight that is not finite.
            pub fn class_weights(self, weights: &'a [f32]) -> Result<Self, Error> {
                Ok(Self { rows: self.rows.class_weights(weights)?, ..self })
            }

            /// One weight per row, as [`CrossEntropy::row_weights`]: any finite number, also a negative one. A row of
            /// weight 0 is never read.
            ///
            /// # Errors
            ///
            /// [`Error::Option`] for a weight that is not finite.
            pub fn row_weights(self, weights: &'a [f32]) -> Result<Self, Error> {
                Ok(Self { rows: self.rows.row_weights(weights)?, ..self })
            }

            /// The integer label of rows to ignore, as [`CrossEntropy::ignore_index`].
            #[must_use]
            pub const fn ignore_index(self, label: i64) -> Self {
                Self { rows: self.rows.ignore_index(label), ..self }
            }

            /// The gradient of what is computed from the loss, as [`CrossEntropy::upstream`].
            #[must_use]
            pub fn upstream(self, upstream: impl Into<Upstream<'a>>) -> Self {
                Self { rows: self.rows.upstream(upstream), ..self }
            }

            /// The loss of each row, and what they add up to.
            ///
            /// # Errors
            ///
            /// As [`CrossEntropy::loss`].
            pub fn loss<'t>(&self, targets: impl Into<$targets<'t>>, inputs: Rows<'_>) -> Result<Loss, Error> {
                let mut rows = allocate(0.0, inputs.rows())?;
                let summary = self.loss_into(targets, inputs, &mut rows)?;
                Ok(Loss { rows, summary })
            }

            /// As [`loss`](Self::loss), into a slice of one loss per row.
            ///
            /// # Errors
            ///
            /// As [`CrossEntropy::loss`].
            pub fn loss_into<'t>(
                &self,
                targets: impl Into<$targets<'t>>,
                inputs: Rows<'_>,
                losses: &mut [f32],
            ) -> Result<Summary, Error> {
                self.run(targets.into(), inputs, losses, None)
            }

            #[doc = concat!("The loss, and its gradient with respect to the ", $inputs, ", rows after each other.")]
            ///
            /// # Errors
            ///
            /// As [`CrossEntropy::loss`].
            pub fn loss_and_gradient<'t>(
                &self,
                targets: impl Into<$targets<'t>>,
                inputs: Rows<'_>,
            ) -> Result<(Loss, Vec<f32>), Error> {
                let mut rows = allocate(0.0, inputs.rows())?;
                let mut gradient = allocate(0.0, inputs.rows() * inputs.classes())?;
                let into = RowsMut::new(&mut gradient, inputs.rows(), inputs.classes())?;
                let summary = self.loss_and_gradient_into(targets, inputs, &mut rows, into)?;
                Ok((Loss { rows, summary }, gradient))
            }

            /// As [`loss_and_gradient`](Self::loss_and_gradient), into a slice of one loss per row and a buffer of the same
            /// shape.
            ///
            /// # Errors
            ///
            /// As [`CrossEntropy::loss`].
            pub fn loss_and_gradient_into<'t>(
                &self,
                targets: impl Into<$targets<'t>>,
                inputs: Rows<'_>,
                losses: &mut [f32],
                gradient: RowsMut<'_>,
            ) -> Result<Summary, Error> {
                gradient.expect_shape("gradient", (inputs.rows(), inputs.classes()))?;
                self.run(targets.into(), inputs, losses, Some(gradient))
            }
        }
    };
}
pub(super) use row_calls;
