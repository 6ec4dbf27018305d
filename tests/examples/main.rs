//! The examples, run as users run them.

#[path = "../common/mod.rs"]
mod common;

mod classifier;
mod digits;
mod score;
mod score_errors;
mod score_npy;
mod score_pieces;
mod server;
mod soak;
