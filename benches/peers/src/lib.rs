//! What the program that measures and its workers share.

#[path = "../../common/mod.rs"]
pub mod common;

pub mod files;
