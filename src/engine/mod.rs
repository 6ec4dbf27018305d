//! From a call to kernels: compiled once, without lanes and without formulas.

pub(crate) mod call;
pub(crate) mod few;
pub(crate) mod many;
pub(crate) mod options;
pub(crate) mod parallel;
pub(crate) mod scratch;
