//! Functions of one number over every f32 of their domain.
//!
//! Everything is measured against [`Precise`], which is good to 2^-75. Errors so near 1/2 or 3/4 ULP that it
//! cannot tell on which side they are go to [`Library`].

pub mod functions;
pub mod terms;

use crate::precise::{Library, Pair, Precise};

/// What values are measured with.
pub struct Judge {
    pub precise: Precise,
    pub library: Library,
}

impl Judge {
    #[expect(clippy::new_without_default, reason = "most of a second is no default")]
    pub fn new() -> Self {
        Self { precise: Precise::new(), library: Library::new() }
    }
}

/// All f32 from one number to another, or one in so many of them.
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    pub from: f32,
    pub to: f32,
    /// Magnitudes of which all are taken; of others, one in [`SPARSE`].
    pub dense: (f32, f32),
    pub stride: usize,
}

/// One number in so many is taken where a function is all but linear, or constant.
pub const SPARSE: usize = 127;

/// Numbers that are worked on together.
const CHUNK: usize = 4096;

impl Interval {
    pub const fn all(from: f32, to: f32) -> Self {
        Self { from, to, dense: (0.0, f32::INFINITY), stride: 1 }
    }

    /// With all magnitudes between two.
    #[must_use]
    pub const fn dense(self, from: f32, to: f32) -> Self {
        Self { dense: (from, to), ..self }
    }

    #[must_use]
    pub const fn every(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// Gives the numbers in order, up to [`CHUNK`] at a time.
    pub fn for_each(self, mut work: impl FnMut(&[f32])) {
        let mut chunk = Vec::with_capacity(CHUNK);
        let (stride, mut key) = (i64::try_from(self.stride).expect("a small number"), place(self.from));
        while key <= place(self.to) {
            let x = number(key);
            chunk.push(x);
            let dense = (self.dense.0..=self.dense.1).contains(&x.abs());
            key += if dense { stride } else { stride * SPARSE as i64 };
            if chunk.len() == CHUNK {
                work(&chunk);
                chunk.clear();
            }
        }
        if !chunk.is_empty() {
            work(&chunk);
        }
    }
}

/// The place of a number among all f32 in order; that of 0 is 0.
fn place(x: f32) -> i64 {
    let magnitude = i64::from(x.abs().to_bits());
    if x.is_sign_negative() { -magnitude } else { magnitude }
}

/// The number in a place.
fn number(place: i64) -> f32 {
    let magnitude = f32::from_bits(u32::try_from(place.unsigned_abs()).expect("the place of an f32"));
    if place < 0 { -magnitude } else { magnitude }
}

/// What is known of the errors of a function, in ULP.
#[derive(Clone, Debug, Default)]
pub struct Errors {
    pub inputs: u64,
    pub over_half: u64,
    pub over_three_quarters: u64,
    /// Errors that the library had to decide about.
    pub decided: u64,
    pub max: f64,
    /// Where the largest is.
    pub at: f32,
}

impl Errors {
    /// Counts an error, given how far off it may be itself; `decide` tells better.
    #[inline]
    pub fn add(&mut self, x: f32, mut error: f64, margin: f64, decide: impl FnOnce() -> f64) {
        self.inputs += 1;
        if (error - 0.5).abs() <= margin || (error - 0.75).abs() <= margin {
            self.decided += 1;
            error = decide();
        }
        self.over_half += u64::from(error > 0.5);
        self.over_three_quarters += u64::from(error > 0.75);
        // NaN is no larger than anything: it must not be lost.
        assert!(!error.is_nan(), "no error of {x:e}");
        if error > self.max {
            self.max = error;
            self.at = x;
        }
    }
}

/// The largest error in each part of a domain.
#[derive(Clone, Debug)]
pub struct Profile {
    from: f64,
    width: f64,
    pub largest: Vec<f64>,
}

impl Profile {
    const BINS: u16 = 640;

    pub fn new(interval: Interval) -> Self {
        let (from, to) = (f64::from(interval.from), f64::from(interval.to));
        let width = (to - from) / f64::from(Self::BINS);
        Self { from, width, largest: vec![0.0; Self::BINS.into()] }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the number of a bin")]
    pub fn add(&mut self, x: f32, error: f64) {
        let bin = ((f64::from(x) - self.from) / self.width) as usize;
        let largest = &mut self.largest[bin.min(usize::from(Self::BINS) - 1)];
        *largest = largest.max(error);
    }

    /// The middle of each bin and its largest error.
    pub fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        let middles = (0..Self::BINS).map(|bin| self.from + (f64::from(bin) + 0.5) * self.width);
        middles.zip(self.largest.iter().copied())
    }
}

/// The ULP of a type with so many bits of precision, in the binade of a value.
#[inline]
pub fn ulp(value: Pair, bits: u32) -> f64 {
    const EXPONENT: u64 = f64::INFINITY.to_bits();
    const ONE: u64 = 1 << 52;
    let magnitude = value.hi.abs().to_bits();
    // Just below a power of two.
    let below = magnitude & !EXPONENT == 0 && value.lo * value.hi < 0.0;
    let binade = f64::from_bits((magnitude & EXPONENT) - if below { ONE } else { 0 });
    binade * (1.0 / (1_u64 << (bits - 1)) as f64)
}
