//! What the program that measures and its workers share.

#[path = "../../common/mod.rs"]
pub mod common;

#[cfg(target_arch = "x86_64")]
pub mod bound;

pub mod files;
