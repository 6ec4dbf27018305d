//! What each thread keeps between calls, so that a call allocates nothing.

use super::rows::Care;
use super::settle::Masses;
use super::tokens::Run;
use crate::kernels::columns::ColumnSums;
use crate::kernels::group::Group;
use crate::kernels::rows::RowSum;
use crate::kernels::tile_ends::TileMass;
use crate::kernels::tiles::Sums as TileSums;
use crate::numbers::spread::Spread;
use crate::simd::LANES;

/// Buffers that grow to what the largest call needed.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) tiles: Vec<[f32; LANES]>,
    /// The same of labels that are distributions, and what they weigh.
    pub(crate) label_tiles: Vec<[f32; LANES]>,
    pub(crate) tile_masses: Vec<TileMass>,
    pub(crate) tile_sums: Vec<TileSums>,
    /// The classes of the largest logits of tiles.
    pub(crate) largest: Vec<[usize; LANES]>,
    pub(crate) groups: Vec<Group>,
    pub(crate) spare: Vec<Group>,
    /// Terms of a group of rows.
    pub(crate) terms: Vec<f32>,
    /// Rows that do not lie as kernels read them, or whose logits are mapped.
    pub(crate) lines: Vec<f32>,
    /// The same of labels that are distributions.
    pub(crate) labels: Vec<f32>,
    /// Results on their way to rows that do not lie as kernels write them.
    pub(crate) results: Vec<f32>,
    /// Slopes of a soft cap.
    pub(crate) slopes: Vec<[f64; LANES]>,
    /// A row of 16 bits that is read again, as f32.
    pub(crate) line: Vec<f32>,
    /// Sums of the rows of a group, and of the parts of a long row.
    pub(crate) sums: Vec<RowSum>,
    pub(crate) parts: Vec<RowSum>,
    pub(crate) column_sums: Vec<ColumnSums>,
    pub(crate) masses: Vec<Masses>,
    /// What is large in a row, of each thread that reads a part of it, and the sums of its parts.
    pub(crate) runs: Vec<Run>,
    pub(crate) spreads: Vec<Spread>,
    /// What care the rows before asked for: those of the next piece of a call are mostly like them.
    pub(super) care: Care,
}
