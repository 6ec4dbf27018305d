//! From a few bytes to a batch of logits and labels, and all that must hold of its loss and gradient.
//!
//! The fuzz targets call [`SparseInput::check`] and [`DenseInput::check`]; so does a test of the main crate,
//! which includes this file and replays the committed corpus without a fuzzing engine.

mod check;
mod input;
mod logits;
mod oracle;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/common/reference.rs"]
mod reference;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/common/ulp.rs"]
mod ulp;

pub use input::{DenseInput, SparseInput};
