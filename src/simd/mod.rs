//! Sixteen f32 lanes on every instruction set: the only folder that may say `unsafe`.
//!
//! [`Simd`] is a *capability token*: a zero-sized value that only detection can make. Vectors are
//! constructed through the token; operations on vectors need none, because a vector is itself the
//! proof that its instructions may run. That is why vectors are never `Default`, `Pod` or
//! `Zeroable`.
//!
//! Every backend has 16 logical lanes and one reduction tree, so the backends that fuse
//! multiply-add ([`Simd::FUSED`]) give the same bits.
//!
//! Everything below [`Simd::run`] is `#[inline(always)]`: a helper that is not inlined into the
//! `#[target_feature]` root is compiled without those features, and each of its intrinsics becomes a
//! function call.
//!
//! | operation | NaN |
//! |---|---|
//! | `a.max(b)` | `a > b ? a : b`: a NaN in either gives `b` |
//! | `a.zero_below(limit)` | NaN lanes stay NaN |
//! | `a.zero_where_zero(b)` | lanes with `b == 0` become +0, a NaN in `b` keeps `a` |
//! | `a.where_equal(b, ..)` | a NaN in either is unequal |

use core::ops::{Add, Mul, Sub};

#[cfg(feature = "ndarray")]
mod arrays;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod backend;
mod portable;
mod scalar;
pub(crate) mod strided;

pub use backend::Backend;
pub(crate) use backend::Token;

/// Logical lanes of every vector, on every backend.
pub(crate) const LANES: usize = 16;

/// An algorithm that runs under any backend. Its parameters are the fields of the type.
pub(crate) trait Kernel {
    type Output;

    /// The algorithm. Mark every implementation `#[inline(always)]`.
    fn eval<S: Simd>(self, simd: S) -> Self::Output;
}

/// The proof that a backend's instructions exist here, and the maker of its vectors.
pub(crate) trait Simd: Copy + Send + Sync {
    type Lanes: Lanes<Wide = Self::Wide>;
    type Wide: Wide;

    /// Whether [`Lanes::mul_add`] rounds once.
    const FUSED: bool;

    fn splat(self, value: f32) -> Self::Lanes;
    fn load(self, from: &[f32; LANES]) -> Self::Lanes;
    /// The first lanes from `from` (at most 16 values are taken), the others `pad`.
    fn load_partial(self, from: &[f32], pad: f32) -> Self::Lanes;
    /// Sixteen f64 zeros.
    fn wide_zero(self) -> Self::Wide;
    /// Asks for the cache line at an address, which need not be one of the process's.
    #[inline(always)]
    fn prefetch<T>(self, _at: *const T) {}
    /// Turns rows into columns.
    #[inline(always)]
    fn transpose(self, from: &[[f32; LANES]; LANES], to: &mut [[f32; LANES]; LANES]) {
        for (i, row) in from.iter().enumerate() {
            for (column, x) in to.iter_mut().zip(row) {
                column[i] = *x;
            }
        }
    }
    /// Runs the kernel with this backend's instructions enabled: the one crossing. It is never inlined.
    fn run<K: Kernel>(self, kernel: K) -> K::Output;
    /// Runs a closure, marked `#[inline(always)]`, as a function of its own with this backend's instructions:
    /// one copy for all the operations that need it.
    #[inline(always)]
    fn outline<R>(self, body: impl FnOnce() -> R) -> R {
        self.run(Outlined(body))
    }
}

/// A closure as a kernel.
struct Outlined<F>(F);

impl<R, F: FnOnce() -> R> Kernel for Outlined<F> {
    type Output = R;

    #[inline(always)]
    fn eval<S: Simd>(self, _simd: S) -> R {
        (self.0)()
    }
}

/// Sixteen f32.
pub(crate) trait Lanes: Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> {
    type Wide: Wide;

    /// `self * factor + addend`.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// `self * factor - subtrahend`.
    fn mul_sub(self, factor: Self, subtrahend: Self) -> Self;
    /// `self > other ? self : other`, lane by lane.
    fn max(self, other: Self) -> Self;
    /// The float whose bits are this one's shifted left by 23: an integer in the low bits becomes
    /// an exponent.
    fn low_bits_to_exponent(self) -> Self;
    /// +0 where `self < limit`.
    fn zero_below(self, limit: Self) -> Self;
    /// +0 where `other == 0`.
    fn zero_where_zero(self, other: Self) -> Self;
    /// `self == other ? equal : unequal`, lane by lane.
    fn where_equal(self, other: Self, equal: Self, unequal: Self) -> Self;
    /// The same vectors, all of them before anything that follows: keeps the compiler from working them off
    /// one after the other, where registers are few.
    #[inline(always)]
    fn in_step<const N: usize>(vectors: [Self; N]) -> [Self; N] {
        vectors
    }
    /// The same values as f64.
    fn widen(self) -> Self::Wide;
    fn store(self, to: &mut [f32; LANES]);

    /// Writes the first lanes over all of `to` (at most 16 values).
    #[inline(always)]
    fn store_partial(self, to: &mut [f32]) {
        let all = self.to_array();
        let n = to.len().min(LANES);
        to[..n].copy_from_slice(&all[..n]);
    }

    #[inline(always)]
    fn to_array(self) -> [f32; LANES] {
        let mut all = [0.0; LANES];
        self.store(&mut all);
        all
    }

    /// The largest lane, of lanes that are not NaN.
    #[inline(always)]
    fn reduce_max(self) -> f32 {
        let mut all = self.to_array();
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                let (a, b) = (all[i], all[i + width]);
                all[i] = if a > b { a } else { b };
            }
            width /= 2;
        }
        all[0]
    }
}

/// Sixteen f64: where sums are kept.
pub(crate) trait Wide: Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> {
    fn to_array(self) -> [f64; LANES];

    /// The sum of the lanes: halves are added until one is left, on every backend.
    #[inline(always)]
    fn reduce_add(self) -> f64 {
        let mut all = self.to_array();
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                all[i] += all[i + width];
            }
            width /= 2;
        }
        all[0]
    }
}
