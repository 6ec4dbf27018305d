//! Every variant of `Error`, reached from the public API: its numbers, its message, and that nothing has
//! been written to any output when one is returned.

#[path = "../common/mod.rs"]
mod common;
mod labels;
mod shapes;
mod traits;
mod untouched;
mod views;
