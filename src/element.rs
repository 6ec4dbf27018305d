//! The types that logits can have. Kernels compute in f32 whatever it is.

use crate::simd::{LANES, Simd};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
}

/// A type that logits can have in memory: `f32`.
///
/// The trait is sealed: its methods speak of the crate's vectors.
#[expect(private_bounds, reason = "sealed: the methods are for the kernels alone")]
pub trait Element: Lanewise + sealed::Sealed {}

impl Element for f32 {}

/// How an element gets in and out of lanes.
pub(crate) trait Lanewise: Copy + Send + Sync + 'static {
    fn to_f32(self) -> f32;
    fn load<S: Simd>(simd: S, from: &[Self; LANES]) -> S::Lanes;
    /// Lanes past the end of the slice are -inf.
    fn load_partial<S: Simd>(simd: S, from: &[Self]) -> S::Lanes;
}

impl Lanewise for f32 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }

    #[inline(always)]
    fn load<S: Simd>(simd: S, from: &[Self; LANES]) -> S::Lanes {
        simd.load(from)
    }

    #[inline(always)]
    fn load_partial<S: Simd>(simd: S, from: &[Self]) -> S::Lanes {
        simd.load_partial(from, Self::NEG_INFINITY)
    }
}
