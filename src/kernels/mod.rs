//! The only code that is compiled once for each backend: what is done with every logit.
//!
//! A kernel handles up to sixteen rows, or a few tiles of sixteen, and is generic over the lanes and nothing else. What
//! rows are, where they lie and what becomes of their results is data.

mod adder;
pub(crate) mod classes;
pub(crate) mod columns;
pub(crate) mod compare;
pub(crate) mod elements;
pub(crate) mod factors;
pub(crate) mod few;
pub(crate) mod finish;
pub(crate) mod gather;
pub(crate) mod gradient;
pub(crate) mod group;
pub(crate) mod group_rows;
pub(crate) mod leave_out;
pub(crate) mod likelihood;
mod logits;
pub(crate) mod map;
pub(crate) mod masses;
pub(crate) mod maximum;
mod pass;
pub(crate) mod row_losses;
pub(crate) mod rows;
mod tame;
pub(crate) mod tile_ends;
pub(crate) mod tiles;
pub(crate) mod tokens;
pub(crate) mod turns;
pub(crate) mod write;
pub(crate) mod write_tiles;

pub(crate) use crate::simd::Kernel;
