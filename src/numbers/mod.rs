//! The numbers that everything is made of: exponentials, sums, their logarithms, and the factors of results. Nothing here
//! imports what is built on it.

pub(crate) mod ends;
pub(crate) mod exp;
pub(crate) mod factor;
pub(crate) mod log_sum_exp;
pub(crate) mod math;
mod partial_row;
pub(crate) mod philox;
pub(crate) mod race;
pub(crate) mod smoothing;
pub(crate) mod spread;
pub(crate) mod tanh;
pub(crate) mod top;
