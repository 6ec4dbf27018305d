//! Random inputs. Lengths, contents and layouts are proptest values, so that they shrink; the values of a
//! row come from a recipe and a seed, so that long rows are cheap.

mod rows;
mod targets;

pub use rows::*;
pub use targets::*;
