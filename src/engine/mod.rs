//! From a call to kernels: compiled once, without lanes and without the formulas of terms.

pub(crate) mod call;
mod columns;
mod few;
mod into;
mod long;
mod maxima;
pub(crate) mod options;
pub(crate) mod parallel;
pub(crate) mod row_call;
mod rows;
mod scratch;
mod settle;
pub(crate) mod shards;
mod stream;
pub(crate) mod tokens;
pub(crate) mod total;
