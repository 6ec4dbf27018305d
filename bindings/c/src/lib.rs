//! Softmax cross-entropy for C: see `include/xent.h`, which is made of this.
//!
//! Every function validates its pointers before it reads or writes anything, answers with a status, and lets no panic out. What
//! it cannot see is whether memory is there: each says how much of it, and that is all that callers vouch for.

mod calls;
mod memory;
mod options;
mod status;

pub use calls::*;
pub use memory::{xent_labels, xent_rows, xent_summary};
pub use options::*;
pub use status::{xent_last_error, xent_status};

/// Incremented where a program that was compiled against an older header would no longer work.
pub const XENT_ABI_VERSION: u32 = 1;

/// Logits and results of 32 bits: `float`.
pub const XENT_F32: u32 = 0;
/// bfloat16: the upper 16 bits of a float. Logits are widened as they are read, which is exact; results are rounded.
pub const XENT_BF16: u32 = 1;
/// IEEE half precision, as `_Float16`: as `XENT_BF16`.
pub const XENT_F16: u32 = 2;

/// Labels of type `int32_t`.
pub const XENT_I32: u32 = 0;
/// Labels of type `int64_t`.
pub const XENT_I64: u32 = 1;
/// Labels of type `uint32_t`.
pub const XENT_U32: u32 = 2;

/// Losses are not reduced to one number; the summary has their sum.
pub const XENT_REDUCTION_NONE: u32 = 0;
/// The sum of losses.
pub const XENT_REDUCTION_SUM: u32 = 1;
/// Their mean over rows that are not ignored.
pub const XENT_REDUCTION_MEAN: u32 = 2;

/// Smoothing gives to all classes, the label's too.
pub const XENT_SMOOTHING_UNIFORM: u32 = 0;
/// Smoothing gives to the other classes alone.
pub const XENT_SMOOTHING_OTHERS: u32 = 1;

/// The ABI version of the library that runs: compare it with `XENT_ABI_VERSION`, which is that of the header.
#[unsafe(no_mangle)]
pub extern "C" fn xent_abi_version() -> u32 {
    XENT_ABI_VERSION
}

/// The version of the library, `"0.1.0"`. The string is never freed.
#[unsafe(no_mangle)]
pub extern "C" fn xent_version() -> *const core::ffi::c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
