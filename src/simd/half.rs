//! What the values of a view are, as data: f32, or numbers of 16 bits, which kernels widen as they load and narrow as they
//! store.

use super::{Kernel, LANES, Lanes, Simd};

/// The type of a view's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(unreachable_pub, reason = "named by a sealed trait")]
pub enum Element {
    F32,
    Half(Half),
}

impl Element {
    /// Bytes of a value.
    #[inline(always)]
    pub(crate) const fn size(self) -> usize {
        match self {
            Self::F32 => size_of::<f32>(),
            Self::Half(_) => size_of::<u16>(),
        }
    }

    #[cfg(feature = "linear")]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            #[cfg(feature = "half")]
            Self::Half(Half::Bf16) => "bf16",
            #[cfg(feature = "half")]
            Self::Half(Half::F16) => "f16",
        }
    }
}

/// A type of 16 bits. There is none without the feature, and then no code for any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(unreachable_pub, reason = "named by a sealed trait")]
pub enum Half {
    #[cfg(feature = "half")]
    Bf16,
    #[cfg(feature = "half")]
    F16,
}

#[cfg_attr(not(feature = "half"), expect(unused_variables, reason = "there is no type of 16 bits"))]
impl Half {
    /// The number that has these bits. Every number of either type is one of f32. (Out of line, as kernels would hold dozens
    /// of copies.)
    #[inline(never)]
    pub(crate) fn widen(self, bits: u16) -> f32 {
        self.widened(bits)
    }

    /// As [`widen`](Self::widen), of four.
    #[inline(never)]
    pub(super) fn widen_four(self, bits: [u16; 4]) -> [f32; 4] {
        bits.map(|bits| self.widened(bits))
    }

    /// As [`narrow`](Self::narrow), of four.
    #[inline(never)]
    pub(super) fn narrow_four(self, values: [f32; 4]) -> [u16; 4] {
        values.map(|value| self.narrow(value))
    }

    #[inline(always)]
    fn widened(self, bits: u16) -> f32 {
        match self {
            #[cfg(feature = "half")]
            Self::Bf16 => f32::from_bits(u32::from(bits) << 16),
            #[cfg(feature = "half")]
            Self::F16 => {
                /// `2^(127 - 15)`: how far apart the exponents of the same bits are.
                const UP: f32 = f32::from_bits((127 + 127 - 15) << 23);
                let (sign, magnitude) = (u32::from(bits & 0x8000) << 16, u32::from(bits & 0x7fff) << 13);
                let value = (f32::from_bits(magnitude) * UP).to_bits();
                // The largest exponent is that of infinities and NaN.
                let special = if bits & 0x7c00 == 0x7c00 { f32::INFINITY.to_bits() } else { 0 };
                f32::from_bits(value | special | sign)
            }
        }
    }

    /// The bits of the nearest number, of two as near the even one.
    #[inline(never)]
    pub(crate) fn narrow(self, value: f32) -> u16 {
        match self {
            #[cfg(feature = "half")]
            Self::Bf16 => half::bf16::from_f32(value).to_bits(),
            #[cfg(feature = "half")]
            Self::F16 => half::f16::from_f32(value).to_bits(),
        }
    }
}

/// Values that follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Line<'a> {
    F32(&'a [f32]),
    /// Their bits.
    Half(Half, &'a [u16]),
}

impl Line<'_> {
    #[inline(always)]
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::Half(_, bits) => bits.len(),
        }
    }

    #[inline(always)]
    pub(crate) fn get(&self, index: usize) -> Option<f32> {
        match self {
            Self::F32(values) => values.get(index).copied(),
            Self::Half(half, bits) => bits.get(index).map(|bits| half.widen(*bits)),
        }
    }
}

impl Line<'_> {
    pub(crate) fn first_nan(&self) -> Option<usize> {
        match self {
            Self::F32(values) => values.iter().position(|x| x.is_nan()),
            Self::Half(half, bits) => bits.iter().position(|bits| half.widen(*bits).is_nan()),
        }
    }
}

impl<'a> Line<'a> {
    /// The first `index` values and the others.
    pub(crate) fn split_at(self, index: usize) -> (Self, Self) {
        match self {
            Self::F32(values) => {
                let (first, rest) = values.split_at(index);
                (Self::F32(first), Self::F32(rest))
            }
            Self::Half(half, bits) => {
                let (first, rest) = bits.split_at(index);
                (Self::Half(half, first), Self::Half(half, rest))
            }
        }
    }

    /// Up to `len` values from `start` on.
    #[inline(always)]
    pub(crate) fn part(self, start: usize, len: usize) -> Self {
        let end = self.len().min(start + len);
        match self {
            Self::F32(values) => Self::F32(&values[start..end]),
            Self::Half(half, bits) => Self::Half(half, &bits[start..end]),
        }
    }

    /// The values as rows, of which they are the only one.
    pub(crate) const fn rows(&self) -> LineRows<'_> {
        match self {
            Self::F32(values) => LineRows::F32(core::slice::from_ref(values)),
            Self::Half(half, bits) => LineRows::Half(*half, core::slice::from_ref(bits)),
        }
    }

    /// Up to `len` values from `start` on, as f32: where they lie, or in the room.
    #[inline(always)]
    pub(crate) fn block<'b, S: Simd>(
        self,
        simd: S,
        start: usize,
        len: usize,
        room: &'b mut [f32],
    ) -> &'b [f32]
    where
        'a: 'b,
    {
        let end = self.len().min(start + len);
        match self {
            Self::F32(values) => &values[start..end],
            Self::Half(half, bits) => {
                let room = &mut room[..end - start];
                widen(simd, half, &bits[start..end], room);
                room
            }
        }
    }
}

/// Rows whose values follow each other, all of one type.
#[derive(Clone, Copy)]
pub(crate) enum LineRows<'a> {
    F32(&'a [&'a [f32]]),
    Half(Half, &'a [&'a [u16]]),
}

impl<'a> LineRows<'a> {
    #[inline(always)]
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::F32(rows) => rows.len(),
            Self::Half(_, rows) => rows.len(),
        }
    }

    #[inline(always)]
    pub(crate) const fn line(&self, row: usize) -> Line<'a> {
        match self {
            Self::F32(rows) => Line::F32(rows[row]),
            Self::Half(half, rows) => Line::Half(*half, rows[row]),
        }
    }
}

/// Widens values to as many f32, by a call: a kernel has no copy of it.
#[inline(always)]
pub(crate) fn widen<S: Simd>(simd: S, half: Half, from: &[u16], to: &mut [f32]) {
    simd.run(Widen { half, from, to });
}

/// Narrows f32 to as many values, by a call.
#[inline(always)]
pub(crate) fn narrow<S: Simd>(simd: S, half: Half, from: &[f32], to: &mut [u16]) {
    simd.run(Narrow { half, from, to });
}

/// Widens sixteen values.
#[inline(always)]
pub(crate) fn widen_lanes<S: Simd>(simd: S, half: Half, from: &[u16; LANES], to: &mut [f32; LANES]) {
    for part in simd.parts() {
        simd.widen_half(half, from, part).store(to, part);
    }
}

/// Narrows sixteen values.
#[inline(always)]
pub(crate) fn narrow_lanes<S: Simd>(simd: S, half: Half, from: &[f32; LANES], to: &mut [u16; LANES]) {
    for part in simd.parts() {
        simd.load(from, part).store_half(half, to, part);
    }
}

struct Widen<'a> {
    half: Half,
    from: &'a [u16],
    to: &'a mut [f32],
}

impl Kernel for Widen<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let (lines, tail) = self.from.as_chunks::<LANES>();
        let (to_lines, to_tail) = self.to.as_chunks_mut::<LANES>();
        for (from, to) in lines.iter().zip(&mut *to_lines) {
            widen_lanes(simd, self.half, from, to);
        }
        if !tail.is_empty() {
            let (mut last, mut values) = ([0; LANES], [0.0; LANES]);
            last[..tail.len()].copy_from_slice(tail);
            widen_lanes(simd, self.half, &last, &mut values);
            let to = to_lines.get_mut(lines.len()).map_or(to_tail, |line| &mut line[..]);
            to[..tail.len()].copy_from_slice(&values[..tail.len()]);
        }
    }
}

struct Narrow<'a> {
    half: Half,
    from: &'a [f32],
    to: &'a mut [u16],
}

impl Kernel for Narrow<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let (lines, tail) = self.from.as_chunks::<LANES>();
        let (to_lines, to_tail) = self.to.as_chunks_mut::<LANES>();
        for (from, to) in lines.iter().zip(to_lines) {
            narrow_lanes(simd, self.half, from, to);
        }
        if !tail.is_empty() {
            let (mut last, mut bits) = ([0.0; LANES], [0; LANES]);
            last[..tail.len()].copy_from_slice(tail);
            narrow_lanes(simd, self.half, &last, &mut bits);
            to_tail.copy_from_slice(&bits[..tail.len()]);
        }
    }
}
