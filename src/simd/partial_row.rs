//! What is sent of a row from one machine to others, as plain memory. What it means is in `numbers`.
#![allow(unsafe_code, reason = "memory of this type may be read and written as bytes")]

use bytemuck::{Pod, Zeroable};

/// What a [`Shard`](crate::Shard) knows of some classes of a row, or of all of them once parts have been [merged](Self::merge):
/// 32 bytes that are sent as they lie.
///
/// It is [`bytemuck::Pod`], so that `bytemuck::cast_slice` makes bytes of a slice, or `u64`, and back without a copy. Machines
/// that exchange them have one byte order. Bytes of another origin make no sound program unsound, but wrong results.
///
/// It holds the sum of the terms of all classes but the label's, the label's logit where it is here, the largest logit and its
/// class, and, for label smoothing, how many classes take part and how far their logits are below the largest.
///
/// ```
/// use xent::{PartialRow, Rows, Shard};
///
/// let row = Shard::new(0, 3)?.partials(&[2_u8], Rows::new(&[1.0, 2.0, 3.0], 1, 3)?)?[0];
/// assert_eq!(row.log_sum_exp().value(), 3.407_606); // ln(e + e^2 + e^3)
/// assert_eq!(row.largest(), Some((3.0, 2)));
/// assert_eq!(bytemuck::bytes_of(&row).len(), 32);
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct PartialRow {
    /// The sum without the label, in units of the reference.
    pub(crate) rest: f64,
    /// The sum of what the logits of all classes that take part are below `max`; 0 where labels are not smoothed.
    pub(crate) distance: f64,
    /// The logit of the label; -inf where it is not here.
    pub(crate) logit: f32,
    /// The largest logit, and its class, counted from the first of all shards.
    pub(crate) max: f32,
    pub(crate) argmax: u32,
    /// Two bits, and how many classes take part: see `numbers/partial_row.rs`.
    pub(crate) flags: u32,
}

// SAFETY: all fields are numbers for which zero bits are a value.
unsafe impl Zeroable for PartialRow {}
// SAFETY: `repr(C)`, all fields are numbers of which every pattern of bits is a value, and they fill the type: two of eight
// bytes and four of four, as the assertion below has it, leave no padding.
unsafe impl Pod for PartialRow {}

const _: () = assert!(size_of::<PartialRow>() == 32 && align_of::<PartialRow>() <= 8);
