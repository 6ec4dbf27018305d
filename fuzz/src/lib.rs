//! From a few bytes to a call of the crate, and all that must hold of what it gives.
//!
//! Each fuzz target calls `check` of one of these inputs; so does a test of the main crate, which includes this
//! file and replays the committed corpus without a fuzzing engine.

mod axes;
mod check;
mod compare;
mod family;
mod input;
mod labels;
mod linear;
mod logits;
mod options;
mod oracle;
mod same;
mod sampling;
mod score;
mod shapes;
mod softmax;
mod tokens;
mod views;

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/common/comparison.rs"]
mod comparison;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/common/composite.rs"]
mod composite;
#[allow(dead_code, reason = "the example uses more of it")]
#[path = "../../examples/score/npy.rs"]
mod npy;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/common/npy_bytes.rs"]
mod npy_bytes;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/common/race.rs"]
mod race;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/common/reference.rs"]
mod reference;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/common/ulp.rs"]
mod ulp;
#[allow(dead_code, reason = "the example uses more of it")]
#[path = "../../examples/score/values.rs"]
mod values;

pub use axes::AxesInput;
pub use compare::ComparisonInput;
pub use family::FamilyInput;
pub use input::{DenseInput, SparseInput};
pub use labels::LabelsInput;
pub use linear::LinearInput;
pub use options::OptionsInput;
pub use sampling::SamplingInput;
pub use score::ScoreInput;
pub use shapes::ShapeInput;
pub use softmax::SoftmaxInput;
pub use tokens::TokensInput;
pub use views::ViewsInput;
