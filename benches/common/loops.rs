//! Loops compiled for an instruction set: what the limits are made of.

#![allow(unsafe_code, reason = "calls into code for detected instruction sets, and non-temporal stores")]

use xent::Backend;

/// A loop that the compiler vectorises for the instruction set it is run on.
pub trait Loop {
    type Output;
    /// Must be inlined, to be compiled with the features of its caller.
    fn run(self) -> Self::Output;
}

/// Runs a loop with the instructions of a backend; other than AVX-512 and AVX2 means the target's.
pub fn run_on<L: Loop>(backend: Backend, body: L) -> L::Output {
    assert!(backend.is_available(), "{backend} is not available");
    match backend {
        // SAFETY: the backend is available, so the CPU has AVX-512 F.
        #[cfg(target_arch = "x86_64")]
        Backend::Avx512 => unsafe { run_avx512(body) },
        // SAFETY: the backend is available, so the CPU has AVX2 and FMA.
        #[cfg(target_arch = "x86_64")]
        Backend::Avx2 => unsafe { run_avx2(body) },
        _ => body.run(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn run_avx512<L: Loop>(body: L) -> L::Output {
    body.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<L: Loop>(body: L) -> L::Output {
    body.run()
}

type Vector = [f32; 16];

/// The sum of all values with four accumulators: in order, or from four regions at once, which some
/// memory systems serve faster.
pub struct Read<'a> {
    pub data: &'a [f32],
    pub regions: bool,
}

impl Loop for Read<'_> {
    type Output = f32;

    #[inline(always)]
    fn run(self) -> f32 {
        let (quads, rest) = self.data.as_chunks::<64>();
        let mut sums = [[0.0; 16]; 4];
        if self.regions {
            let quarter = quads.len() / 4;
            let (a, bcd) = quads.split_at(quarter);
            let (b, cd) = bcd.split_at(quarter);
            let (c, d) = cd.split_at(quarter);
            for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(&d[..quarter]) {
                for quad in [a, b, c, d] {
                    add(&mut sums, quad);
                }
            }
            for quad in &d[quarter..] {
                add(&mut sums, quad);
            }
        } else {
            for quad in quads {
                add(&mut sums, quad);
            }
        }
        sums.as_flattened().iter().sum::<f32>() + rest.iter().sum::<f32>()
    }
}

#[inline(always)]
fn add(sums: &mut [Vector; 4], quad: &[f32; 64]) {
    for (sum, x) in sums.as_flattened_mut().iter_mut().zip(quad) {
        *sum += x;
    }
}

/// `y = a x`, which is a copy that the compiler cannot make a call of `memcpy`.
pub struct ScaleInto<'a> {
    pub from: &'a [f32],
    pub to: &'a mut [f32],
    pub factor: f32,
}

impl Loop for ScaleInto<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (to, from) in self.to.iter_mut().zip(self.from) {
            *to = from * self.factor;
        }
    }
}

/// `z = x + y`.
pub struct Add<'a> {
    pub a: &'a [f32],
    pub b: &'a [f32],
    pub to: &'a mut [f32],
}

impl Loop for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for ((to, a), b) in self.to.iter_mut().zip(self.a).zip(self.b) {
            *to = a + b;
        }
    }
}

/// `x = a x`.
pub struct Scale<'a> {
    pub data: &'a mut [f32],
    pub factor: f32,
}

impl Loop for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for x in self.data {
            *x *= self.factor;
        }
    }
}

/// The sum of `e^x` and nothing else: no maximum, no blocks, no care for results out of range. The
/// arithmetic of an exponential that is right to about one ULP: reduction in two steps, degree 6.
pub struct SumExp<'a> {
    pub data: &'a [f32],
}

impl Loop for SumExp<'_> {
    type Output = f32;

    #[inline(always)]
    fn run(self) -> f32 {
        let (quads, rest) = self.data.as_chunks::<64>();
        let mut sums = [[0.0; 16]; 4];
        for quad in quads {
            add(&mut sums, &quad.map(exp));
        }
        sums.as_flattened().iter().sum::<f32>() + rest.iter().map(|&x| exp(x)).sum::<f32>()
    }
}

/// `e^x` where that is a normal number. `x = n ln 2 + r`, and Taylor's polynomial in `r`: its cost is
/// what counts here, not its last bit.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // 1.5 * 2^23 + 127: the sum holds n and the exponent bias in its low bits.
    const ROUNDER: f32 = 12_582_912.0 + 127.0;
    // ln 2 as a short number, whose product with n is exact, and the rest.
    const HIGH: f32 = 0.693_359_4;
    const LOW: f32 = -2.121_944_4e-4;
    let shifted = x.mul_add(core::f32::consts::LOG2_E, ROUNDER);
    let n = shifted - ROUNDER;
    let r = n.mul_add(-LOW, n.mul_add(-HIGH, x));
    let p = (1.0_f32 / 720.0).mul_add(r, 1.0 / 120.0).mul_add(r, 1.0 / 24.0);
    let p = p.mul_add(r, 1.0 / 6.0).mul_add(r, 0.5).mul_add(r, 1.0).mul_add(r, 1.0);
    p * f32::from_bits(shifted.to_bits() << 23)
}

/// A copy whose stores go around the caches.
#[cfg(target_arch = "x86_64")]
pub fn copy_non_temporal(from: &[f32], to: &mut [f32]) {
    use core::arch::x86_64::{_mm_loadu_ps, _mm_sfence, _mm_stream_ps};

    assert_eq!(from.len(), to.len());
    // Non-temporal stores need alignment.
    let head = to.as_ptr().align_offset(16).min(to.len());
    let (from_head, from) = from.split_at(head);
    let (to_head, to) = to.split_at_mut(head);
    to_head.copy_from_slice(from_head);
    let (from, from_tail) = from.as_chunks::<4>();
    let (to, to_tail) = to.as_chunks_mut::<4>();
    for (from, to) in from.iter().zip(to) {
        // SAFETY: both are arrays of four f32, and `to` starts at a multiple of 16 bytes.
        unsafe { _mm_stream_ps(to.as_mut_ptr(), _mm_loadu_ps(from.as_ptr())) };
    }
    to_tail.copy_from_slice(from_tail);
    // SAFETY: every x86-64 CPU has SSE.
    unsafe { _mm_sfence() };
}

/// A copy whose stores go around the caches, where stable Rust has them.
#[cfg(not(target_arch = "x86_64"))]
pub fn copy_non_temporal(from: &[f32], to: &mut [f32]) {
    to.copy_from_slice(from);
}
