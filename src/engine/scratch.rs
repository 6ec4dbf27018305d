//! What each thread keeps between calls, so that a call allocates nothing.

use crate::kernels::group::Group;
use crate::kernels::rows::RowSum;
use crate::simd::LANES;

/// Buffers that grow to what the largest call needed.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) tiles: Vec<[f32; LANES]>,
    pub(crate) groups: Vec<Group>,
    pub(crate) terms: Vec<f32>,
    pub(crate) sums: Vec<RowSum>,
}

impl Scratch {
    pub(crate) const fn new() -> Self {
        Self { tiles: Vec::new(), groups: Vec::new(), terms: Vec::new(), sums: Vec::new() }
    }
}
