//! Sixteen f32 lanes on every instruction set: the only folder that may say `unsafe`.
//!
//! [`Simd`] is a *capability token*: a zero-sized value that only detection can make. Vectors are
//! constructed through the token; operations on vectors need none, because a vector is itself the
//! proof that its instructions may run. That is why vectors are never `Default`, `Pod` or
//! `Zeroable`.
//!
//! Memory is seen as arrays of sixteen f32 on every backend. Such an array is one vector with
//! AVX-512 and two with AVX2: [`Simd::PARTS`] says how many, and loads and stores are given the
//! number of the part. Sums are kept lane by lane and added by one tree, so the backends that fuse
//! multiply-add ([`Simd::FUSED`]) give the same bits.
//!
//! Everything below [`Simd::run`] is `#[inline(always)]`: a helper that is not inlined into the
//! `#[target_feature]` root is compiled without those features, and each of its intrinsics becomes a
//! function call.
//!
//! | operation | NaN |
//! |---|---|
//! | `a.max(b)` | `a > b ? a : b`: a NaN in either gives `b` |
//! | `a.zero_below(b, limit)` | lanes where `b < limit` become +0, a NaN in `b` keeps `a` |
//! | `a.zero_where_zero(b)` | lanes with `b == 0` become +0, a NaN in `b` keeps `a` |

use core::hint::black_box;
use core::ops::{Add, Div, Mul, Range, Sub};

#[cfg(feature = "ndarray")]
pub(crate) mod arrays;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod backend;
mod doubles;
#[cfg(feature = "linear")]
pub(crate) mod gemm;
pub(crate) mod half;
mod partial_row;
mod portable;
mod scalar;
pub(crate) mod strided;
pub(crate) mod tile;
#[cfg(target_arch = "x86_64")]
mod x86;

use half::Half;

pub use backend::Backend;
pub(crate) use backend::Token;
pub use partial_row::PartialRow;
use tile::{TileRows, TileRowsMut};

/// Lanes of an array of memory, on every backend.
pub(crate) const LANES: usize = 16;

/// An algorithm that runs under any backend. Its parameters are the fields of the type.
pub(crate) trait Kernel {
    type Output;

    /// Whether it computes with vectors of f32. One that does not, but with f64 or not at all, gives the same bits in about the same
    /// time on every backend whose instructions the compiler may use anywhere, and is compiled once for them.
    const VECTORS: bool = true;

    /// The algorithm. Mark every implementation `#[inline(always)]`.
    fn eval<S: Simd>(self, simd: S) -> Self::Output;
}

/// The proof that a backend's instructions exist here, and the maker of its vectors.
pub(crate) trait Simd: Copy + Send + Sync {
    type Lanes: Lanes;
    type Wide: Wide;
    /// Eight entries to choose from.
    type Table: Copy;

    /// Whether [`Lanes::mul_add`] rounds once.
    const FUSED: bool;
    /// Whether a loop is compiled once, with all that some of its rows need, and not once for those that need less: this
    /// backend runs where no other can, and speed is not what its code is spent on.
    const SMALL: bool = false;
    /// Vectors that sixteen lanes take.
    const PARTS: usize;
    /// Vectors that sixteen f64 take.
    const WIDE_PARTS: usize;

    /// The numbers of the vectors that sixteen lanes take: hidden from the compiler where code is to be small. It would write out
    /// each loop over them sixteen times.
    #[inline(always)]
    fn parts(self) -> Range<usize> {
        0..if Self::SMALL { black_box(Self::PARTS) } else { Self::PARTS }
    }
    /// As [`parts`](Self::parts), of sixteen f64.
    #[inline(always)]
    fn wide_parts(self) -> Range<usize> {
        0..if Self::SMALL { black_box(Self::WIDE_PARTS) } else { Self::WIDE_PARTS }
    }
    fn splat(self, value: f32) -> Self::Lanes;
    /// A part of sixteen values.
    fn load(self, from: &[f32; LANES], part: usize) -> Self::Lanes;
    /// A part of four times sixteen values, one by one: a loop would forget how many there are.
    #[inline(always)]
    fn load_step(self, from: &[[f32; LANES]; 4], part: usize) -> [Self::Lanes; 4] {
        [
            self.load(&from[0], part),
            self.load(&from[1], part),
            self.load(&from[2], part),
            self.load(&from[3], part),
        ]
    }
    /// The same reference, one of two that has been chosen. A compiler that sees the choice makes it anew for each vector that is
    /// loaded from there.
    #[inline(always)]
    fn chosen<T>(self, one: &T) -> &T {
        one
    }
    /// As [`load_step`](Self::load_step), the other way.
    #[inline(always)]
    fn store_step(self, values: [Self::Lanes; 4], to: &mut [[f32; LANES]; 4], part: usize) {
        let ([a, b, c, d], [to_a, to_b, to_c, to_d]) = (values, to);
        a.store(to_a, part);
        b.store(to_b, part);
        c.store(to_c, part);
        d.store(to_d, part);
    }
    /// A part of up to sixteen values, `pad` in lanes past the end of the slice.
    fn load_tail(self, from: &[f32], part: usize, pad: f32) -> Self::Lanes;
    fn splat_wide(self, value: f64) -> Self::Wide;
    /// A part of sixteen values.
    fn load_wide(self, from: &[f64; LANES], part: usize) -> Self::Wide;
    /// A part of sixteen values, as f64.
    fn widen(self, from: &[f32; LANES], part: usize) -> Self::Wide;
    /// A part of sixteen values of 16 bits, as f32.
    fn widen_half(self, half: Half, from: &[u16; LANES], part: usize) -> Self::Lanes;
    /// A part of four times sixteen such values.
    #[inline(always)]
    fn widen_step(self, half: Half, from: &[[u16; LANES]; 4], part: usize) -> [Self::Lanes; 4] {
        [
            self.widen_half(half, &from[0], part),
            self.widen_half(half, &from[1], part),
            self.widen_half(half, &from[2], part),
            self.widen_half(half, &from[3], part),
        ]
    }
    fn table(self, entries: &[f32; 8]) -> Self::Table;
    /// The entries that the low three bits of the lanes choose.
    fn pick(self, table: Self::Table, index: Self::Lanes) -> Self::Lanes;
    /// Asks for the cache line at an address, which need not be one of the process's.
    #[inline(always)]
    fn prefetch<T>(self, _at: *const T) {}
    /// As [`prefetch`](Self::prefetch), not into the nearest cache but into the next.
    #[inline(always)]
    fn prefetch_near<T>(self, _at: *const T) {}
    /// Makes non-temporal stores visible to other threads.
    #[inline(always)]
    fn fence(self) {}
    /// The sum of two times sixteen lanes in f64: each pair first, then halves until one is left.
    #[inline(always)]
    fn sum_lanes(self, high: &[f32; LANES], low: &[f32; LANES]) -> f64 {
        let mut all = [0.0; LANES];
        for i in 0..LANES {
            all[i] = f64::from(high[i]) + f64::from(low[i]);
        }
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                all[i] += all[i + width];
            }
            width /= 2;
        }
        all[0]
    }
    /// Turns sixteen rows into one array per class.
    #[inline(always)]
    fn turn_in(self, rows: &TileRows<'_>, to: &mut [[f32; LANES]]) {
        rows.turn_in(to);
    }
    /// Turns arrays of one class each into sixteen rows.
    #[inline(always)]
    fn turn_out(self, from: &[[f32; LANES]], rows: &mut TileRowsMut<'_>) {
        rows.turn_out(from);
    }
    /// Runs the kernel with this backend's instructions enabled: the one crossing. It is never inlined.
    fn run<K: Kernel>(self, kernel: K) -> K::Output;
}

/// A vector of f64: a part of what there is one of for each of sixteen rows.
pub(crate) trait Wide:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// `self > other ? self : other`, lane by lane.
    fn max(self, other: Self) -> Self;
    /// The bits that both have.
    fn and(self, other: Self) -> Self;
    /// The bits of both.
    fn or(self, other: Self) -> Self;
    /// As [`Lanes::in_step`].
    #[inline(always)]
    fn in_step<const N: usize>(vectors: [Self; N]) -> [Self; N] {
        vectors
    }
    /// The numbers whose bits are the sums of both as integers, which wrap.
    fn add_bits(self, other: Self) -> Self;
    /// The numbers whose bits are the differences of both as integers, which wrap.
    fn sub_bits(self, other: Self) -> Self;
    /// The bits that one of both has.
    fn xor(self, other: Self) -> Self;
    /// The numbers whose bits are the products of both's low halves as integers.
    fn mul_low(self, other: Self) -> Self;
    /// The numbers whose bits are these shifted left.
    fn shift_left<const N: i32>(self) -> Self;
    /// The numbers whose bits are these shifted right.
    fn shift_right<const N: i32>(self) -> Self;
    fn store(self, to: &mut [f64; LANES], part: usize);
    /// The f32 whose bits are the low halves.
    fn store_low(self, to: &mut [f32; LANES], part: usize);
    /// The values rounded to f32.
    fn narrow(self, to: &mut [f32; LANES], part: usize);
}

/// One vector: a part of sixteen f32.
pub(crate) trait Lanes: Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> {
    /// `self * factor + addend`.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// `self > other ? self : other`, lane by lane.
    fn max(self, other: Self) -> Self;
    /// `self < other ? self : other`, lane by lane.
    fn min(self, other: Self) -> Self;
    /// The bits that both have.
    fn and(self, other: Self) -> Self;
    /// The bits of both.
    fn or(self, other: Self) -> Self;
    /// The float whose bits are this one's shifted left.
    fn shift_left<const N: i32>(self) -> Self;
    /// The float whose bits are the sum of both as integers, which wraps.
    fn add_bits(self, other: Self) -> Self;
    /// The float whose bits are the difference of both as integers, which wraps.
    fn sub_bits(self, other: Self) -> Self;
    /// +0 where `other < limit`.
    fn zero_below(self, other: Self, limit: Self) -> Self;
    /// [`add_bits`](Self::add_bits), and +0 where `other < limit`.
    #[inline(always)]
    fn add_bits_or_zero(self, bits: Self, other: Self, limit: Self) -> Self {
        self.add_bits(bits).zero_below(other, limit)
    }
    /// +0 where `other == 0`.
    fn zero_where_zero(self, other: Self) -> Self;
    /// The float whose bits are this one's as an integer, one more where `other > limit`.
    fn count_above(self, other: Self, limit: Self) -> Self;
    /// A bit for each lane that is above a limit, the first lane's the lowest.
    fn above(self, limit: Self) -> u32;
    /// +0 where the bits of two others are the same.
    fn zero_where_same(self, a: Self, b: Self) -> Self;
    /// The same vectors, all of them before anything that follows: keeps the compiler from working them off
    /// one after the other, where the processor cannot look far enough ahead.
    #[inline(always)]
    fn in_step<const N: usize>(vectors: [Self; N]) -> [Self; N] {
        vectors
    }
    fn store(self, to: &mut [f32; LANES], part: usize);
    /// Stores the nearest values of 16 bits, of two as near the even one.
    fn store_half(self, half: Half, to: &mut [u16; LANES], part: usize);
    /// Writes a part of up to sixteen values, as far as the slice goes.
    fn store_tail(self, to: &mut [f32], part: usize);
    /// Stores past the caches where the array is aligned to a cache line.
    #[inline(always)]
    fn stream(self, to: &mut [f32; LANES], part: usize) {
        self.store(to, part);
    }
}
