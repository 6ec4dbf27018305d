//! Classes as the bits of f32, and what takes one of them out of sixteen.

use crate::simd::{LANES, Lanes, Simd};

/// Classes of a step: four arrays of sixteen.
pub(crate) const STEP: usize = 4 * LANES;

/// A class as the bits of an f32, to be compared with [`NUMBERS`] and the like: those of none where it is no class.
#[inline(always)]
pub(super) fn class_bits(class: usize) -> f32 {
    f32::from_bits(u32::try_from(class).unwrap_or(u32::MAX))
}

/// Logits with -inf where their class is the label, given as bits.
#[inline(always)]
pub(super) fn leave_out<S: Simd>(simd: S, x: S::Lanes, class: S::Lanes, label: S::Lanes) -> S::Lanes {
    let none = simd.splat(f32::NEG_INFINITY);
    let kept = none.zero_where_same(class, label);
    x.zero_where_same(class, label).or(none.zero_where_same(kept, none))
}

/// The bits of 0 to 63.
pub(super) static NUMBERS: [[f32; LANES]; 4] = {
    let mut numbers = [[0.0; LANES]; 4];
    let (mut i, mut bits) = (0, 0);
    while i < STEP {
        numbers[i / LANES][i % LANES] = f32::from_bits(bits);
        (i, bits) = (i + 1, bits + 1);
    }
    numbers
};

/// Bits for the classes of a step, set of the first so many.
#[inline(always)]
pub(super) fn first(len: usize) -> &'static [[f32; LANES]] {
    static BITS: [f32; 2 * STEP] = {
        let mut bits = [0.0; 2 * STEP];
        let mut i = 0;
        while i < STEP {
            bits[i] = f32::from_bits(u32::MAX);
            i += 1;
        }
        bits
    };
    BITS[STEP - len.min(STEP)..].as_chunks().0
}

/// Bits for the classes of a step, all set but those of a class, or of none of them.
#[inline(always)]
pub(super) fn kept(class: usize) -> &'static [[f32; LANES]] {
    static BITS: [f32; 2 * STEP] = {
        let mut bits = [f32::from_bits(u32::MAX); 2 * STEP];
        bits[STEP] = 0.0;
        bits
    };
    BITS[STEP - class.min(STEP)..].as_chunks().0
}
