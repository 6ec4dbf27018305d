//! What operations promise, against the f64 references of `tests/common`, on every backend: one crate, so that it is linked once.

#[path = "../common/mod.rs"]
mod common;

mod accuracy;
mod accuracy_loss;
mod comparison;
mod entropy;
mod family;
mod found;
mod gradients;
mod half;
mod linear;
mod linear_errors;
mod ndarray;
mod options;
mod oracle;
mod sampling;
mod shards;
mod speech;
mod statistics;
mod token_log_probs;
mod witnesses;
