//! The same bits, with `==`: from every backend that fuses multiply-add, from any number of threads, for a
//! row wherever it stands, and from every path that yields a result (NaN counts as equal to NaN).
//!
//! Every result here comes through `common::paths`, which compares its paths: allocating, into a buffer, in
//! place; the loss alone, with its gradient, in two passes.

#[path = "../common/mod.rs"]
mod common;

mod backends;
mod case;
mod committed;
mod paths;
mod rows;
mod threads;
