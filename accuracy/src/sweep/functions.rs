//! What `src/numbers/` and `src/kernels/map.rs` approximate, but for the exponential term, at every f32.
//!
//! All of it is f64 arithmetic that is never fused, except for the last multiplication of a result: it has the same bits on
//! every backend that fuses multiply-add.

use xent::internals::{self, TERM_OF_ONE};
use xent::{Backend, Error};

use super::{Errors, Interval, Judge, Profile, ulp};
use crate::precise::{Library, Pair, Precise, power_of_two};

/// A function of one number, its reference, and where it is measured.
pub struct Function {
    pub name: &'static str,
    pub interval: Interval,
    pub unit: Unit,
    /// The values for some numbers.
    pub of: fn(&[f32], &mut Vec<f64>),
    pub reference: fn(&Precise, f64) -> Pair,
    /// The same from the library.
    pub decided: fn(&mut Library, f64) -> Pair,
}

/// What an error is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    F32,
    F64,
    /// Of the value, so many bits below it.
    Relative(i32),
}

impl Unit {
    fn size(self, value: Pair) -> f64 {
        match self {
            Self::F32 => ulp(value, f32::MANTISSA_DIGITS),
            Self::F64 => ulp(value, f64::MANTISSA_DIGITS),
            Self::Relative(bits) => value.hi.abs() * power_of_two(-bits),
        }
    }

    /// How far off the reference may be.
    fn margin(self) -> f64 {
        match self {
            Self::F32 => 1.0 / (1_u64 << 46) as f64,
            Self::F64 => 1.0 / (1_u64 << 20) as f64,
            Self::Relative(bits) => power_of_two(bits - 72),
        }
    }
}

/// Below, every function here is a constant and a multiple of the number: to 2^-64, which f64 does not show.
const LINEAR: f32 = 1.0 / 4_294_967_296.0;

/// As [`LINEAR`], for what is rounded to f32: to 2^-40.
pub const LINEAR_IN_F32: f32 = 1.0 / 1_048_576.0;

/// Up to here, and down to its inverse, there are all significands with forty exponents; others only move a logarithm by
/// multiples of ln 2.
const MANY: f32 = 1_048_576.0;

/// All but the exponential of f32: see [`terms`](super::terms).
pub const ALL: [Function; 9] = [
    Function {
        name: "exp",
        // What the reference holds two f64 of.
        interval: Interval::all(-660.0, 709.0).dense(LINEAR, 709.0),
        unit: Unit::F64,
        of: |x, to| to.extend(x.iter().map(|&x| internals::exp(x.into()))),
        reference: Precise::exp,
        decided: Library::exp,
    },
    Function {
        name: "ln",
        interval: Interval::all(f32::from_bits(1), f32::MAX).dense(1.0 / MANY, MANY),
        unit: Unit::F64,
        of: |x, to| to.extend(x.iter().map(|&x| internals::ln(x.into()))),
        reference: Precise::ln,
        decided: Library::ln,
    },
    Function {
        name: "ln_1p",
        interval: Interval::all(f32::from_bits(1), f32::MAX).dense(LINEAR, MANY),
        unit: Unit::F64,
        of: |x, to| to.extend(x.iter().map(|&x| internals::ln_1p(x.into()))),
        reference: |precise, x| precise.ln_1p(x.into()),
        decided: Library::ln_1p,
    },
    Function {
        name: "logarithm of a sum",
        interval: Interval::all(f32::MIN_POSITIVE, f32::MAX).dense(1.0 / 1024.0, 1024.0),
        unit: Unit::Relative(34),
        of: |x, to| on_all(to, |backend| internals::logs_of_sums(backend, &wide(x))),
        reference: |precise, x| precise.ln(x) - precise.ln(TERM_OF_ONE),
        decided: |library, x| library.ln(x) - library.ln(TERM_OF_ONE),
    },
    Function {
        name: "loss of a label",
        interval: Interval::all(f32::MIN_POSITIVE, f32::MAX).dense(1.0 / 65_536.0, 1024.0),
        unit: Unit::Relative(34),
        of: |x, to| on_all(to, |backend| internals::losses(backend, &wide(x), &vec![1.0; x.len()])),
        reference: |precise, x| precise.ln_1p(x.into()),
        decided: Library::ln_1p,
    },
    Function {
        name: "tanh",
        interval: Interval::all(f32::MIN_POSITIVE, f32::MAX).dense(LINEAR_IN_F32, 20.0),
        unit: Unit::F32,
        of: |x, to| on_all(to, |backend| capped(backend, x).map(|(values, _)| values)),
        reference: tanh,
        decided: Library::tanh,
    },
    Function {
        name: "slope of tanh",
        // What the reference holds two f64 of.
        interval: Interval::all(f32::MIN_POSITIVE, 330.0).dense(LINEAR, 330.0),
        unit: Unit::Relative(38),
        of: |x, to| on_all(to, |backend| capped(backend, x).map(|(_, slopes)| slopes)),
        reference: |precise, x| slope(precise.exp(-2.0 * x)),
        decided: |library, x| slope(library.exp(-2.0 * x)),
    },
    Function {
        name: "result of a term",
        // All with normal results, up to the sum.
        interval: Interval::all(5.0e-8, 3.9e30).dense(1.0, 16.0),
        unit: Unit::F32,
        of: |x, to| on_all(to, |backend| results(backend, x, &vec![SUM; x.len()])),
        reference: |_, x| Pair::from(x) / Pair::from(SUM),
        decided: |_, x| Pair::from(x) / Pair::from(SUM),
    },
    Function {
        name: "result of a sum",
        interval: Interval::all(1.0, 8.0e34).dense(1.0, 16.0),
        unit: Unit::F32,
        of: |x, to| on_all(to, |backend| results(backend, &vec![1.0; x.len()], &wide(x))),
        reference: |_, x| Pair::ONE / Pair::from(x),
        decided: |_, x| Pair::ONE / Pair::from(x),
    },
];

/// A sum of terms, with all bits.
const SUM: f64 = std::f64::consts::PI * power_of_two(100);

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| x.into()).collect()
}

fn results(backend: Backend, terms: &[f32], sums: &[f64]) -> Result<Vec<f64>, Error> {
    internals::results(backend, 1.0, terms, sums).map(|results| wide(&results))
}

/// The values of one backend, which all that fuse multiply-add must have.
fn on_all(to: &mut Vec<f64>, of: impl Fn(Backend) -> Result<Vec<f64>, Error>) {
    let mut all = Backend::available().filter(|backend| backend.is_fused());
    let mut of = |backend| of(backend).expect("an available backend");
    let values = all.next().map(&mut of).expect("the scalar backend");
    for backend in all {
        let same = of(backend).iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same, "{backend} has other bits");
    }
    to.extend(values);
}

/// `tanh x` in f32, and its derivative: odd and even.
#[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
fn capped(backend: Backend, x: &[f32]) -> Result<(Vec<f64>, Vec<f64>), xent::Error> {
    let negative: Vec<f64> = x.iter().map(|&x| -f64::from(x)).collect();
    let (mut values, slopes) = internals::tanh(backend, &wide(x))?;
    let (others, other_slopes) = internals::tanh(backend, &negative)?;
    let symmetric =
        values.iter().zip(&others).all(|(a, b)| a.to_bits() == (-b).to_bits()) && slopes == other_slopes;
    assert!(symmetric, "tanh is odd, and its derivative even");
    for value in &mut values {
        *value = f64::from(*value as f32);
    }
    Ok((values, slopes))
}

/// `(1 - e^(-2x)) / (1 + e^(-2x))` for `x > 0`, and next to 0 the first terms of the series.
fn tanh(precise: &Precise, x: f64) -> Pair {
    const SMALL: f64 = 1.0 / 1024.0;
    if x < SMALL {
        let square = x * x;
        return Pair::sum(x, -x * square * (1.0 / 3.0 - square * (2.0 / 15.0 - square * (17.0 / 315.0))));
    }
    let e = precise.exp(-2.0 * x);
    (Pair::ONE - e) / (Pair::ONE + e)
}

/// `4 e / (1 + e)^2`.
fn slope(e: Pair) -> Pair {
    let whole = Pair::ONE + e;
    e.scaled(4.0) / (whole * whole)
}

impl Function {
    /// Measures the function at every number, or at one in so many.
    pub fn errors(&self, judge: &mut Judge, stride: usize) -> (Errors, Profile) {
        let interval = self.interval.every(stride);
        let (mut errors, mut profile) = (Errors::default(), Profile::new(interval));
        let mut values = Vec::new();
        interval.for_each(|x| {
            values.clear();
            (self.of)(x, &mut values);
            for (&x, &value) in x.iter().zip(&values) {
                let error_from = |want: Pair| {
                    // The logarithm of 1 has no ULP.
                    let excess = want.excess_of(value).abs();
                    if excess == 0.0 { 0.0 } else { excess / self.unit.size(want) }
                };
                let error = error_from((self.reference)(&judge.precise, x.into()));
                errors.add(x, error, self.unit.margin(), || {
                    error_from((self.decided)(&mut judge.library, x.into()))
                });
                profile.add(x, error);
            }
        });
        (errors, profile)
    }
}
