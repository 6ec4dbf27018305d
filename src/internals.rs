//! What the crate approximates, as plain functions of numbers: for the sweeps over every float in `accuracy/` and in
//! `tests/approximations.rs`, which measure the code that runs and not a copy of it.
//!
//! This is no part of the crate's interface: anything here may change, or go, in any version.

use crate::kernels::factors::RowFactors;
use crate::numbers::ends::Ends;
use crate::numbers::exp::{Exp, LaneReference};
use crate::numbers::factor::Factors;
use crate::numbers::tanh::{NEAR, far_tanh, near_tanh};
use crate::numbers::{exp, math};
use crate::simd::{Kernel, LANES, Lanes, Simd, Wide};
use crate::{Backend, Error};

/// Terms below this are what is left of a logit far below the reference: no result sees them.
pub const NEGLIGIBLE: f32 = exp::NEGLIGIBLE;

/// What all terms are multiplied by.
pub const TERM_OF_ONE: f64 = exp::TERM_OF_ONE;

/// What the terms of a row are relative to: `e^pivot 2^exponent`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reference {
    /// What is subtracted from logits: 0, or the largest of a row that is far from zero.
    pub pivot: f32,
    /// An integer.
    pub exponent: f32,
}

impl Reference {
    /// That of all rows whose logits are ordinary.
    pub const ORDINARY: Self =
        Self { pivot: exp::Reference::TAME.pivot, exponent: exp::Reference::TAME.exponent };

    /// That of a row whose largest logit is `max`, where it has one of its own.
    #[must_use]
    pub fn for_max(max: f32) -> Self {
        let exp::Reference { pivot, exponent } = exp::Reference::for_max(max);
        Self { pivot, exponent }
    }
}

/// The terms [`TERM_OF_ONE`] `e^(x - pivot) 2^-exponent` of logits, each against a reference of its own.
///
/// # Errors
///
/// [`Error::UnavailableBackend`] where the CPU does not have the backend.
///
/// # Panics
///
/// Unless there are as many references as logits.
pub fn terms(backend: Backend, logits: &[f32], references: &[Reference]) -> Result<Vec<f32>, Error> {
    assert_eq!(logits.len(), references.len(), "a reference for each logit");
    let mut terms = vec![0.0; logits.len()];
    backend.token()?.run(Terms { logits, references, to: &mut terms });
    Ok(terms)
}

struct Terms<'a> {
    logits: &'a [f32],
    references: &'a [Reference],
    to: &'a mut [f32],
}

impl Kernel for Terms<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let exp = Exp::new(simd);
        let logits = self.logits.chunks(LANES).zip(self.references.chunks(LANES));
        for ((x, references), to) in logits.zip(self.to.chunks_mut(LANES)) {
            let [mut pivots, mut exponents] = [[0.0; LANES]; 2];
            for (i, reference) in references.iter().enumerate() {
                (pivots[i], exponents[i]) = (reference.pivot, reference.exponent);
            }
            // As the kernels do: nothing is subtracted where all pivots are 0.
            let has_pivot = pivots.iter().any(|pivot| *pivot != 0.0);
            for part in simd.parts() {
                let x = [simd.load_tail(x, part, 0.0)];
                let (pivot, exponent) = (simd.load(&pivots, part), simd.load(&exponents, part));
                let reference = [LaneReference::new(simd, pivot, exponent)];
                let ([term], _) = if has_pivot {
                    exp.terms::<1, true>(x, &reference)
                } else {
                    exp.terms::<1, false>(x, &reference)
                };
                term.store_tail(to, part);
            }
        }
    }
}

/// The results `scale t / sum` of terms, each of a row of its own, by the factors that rows have.
///
/// # Errors
///
/// [`Error::UnavailableBackend`] where the CPU does not have the backend.
///
/// # Panics
///
/// Unless there are as many sums as terms.
pub fn results(backend: Backend, scale: f64, terms: &[f32], sums: &[f64]) -> Result<Vec<f32>, Error> {
    assert_eq!(terms.len(), sums.len(), "a sum for each term");
    let mut results = vec![0.0; terms.len()];
    backend.token()?.run(Results { scale, terms, sums, to: &mut results });
    Ok(results)
}

struct Results<'a> {
    scale: f64,
    terms: &'a [f32],
    sums: &'a [f64],
    to: &'a mut [f32],
}

impl Kernel for Results<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let scales = [self.scale, 1.0 / self.scale.abs()].map(
            #[inline(always)]
            |scale| simd.splat_wide(scale),
        );
        let terms = self.terms.chunks(LANES).zip(self.sums.chunks(LANES));
        for ((terms, sums), to) in terms.zip(self.to.chunks_mut(LANES)) {
            let sums = padded(sums);
            let mut factors = Factors::ZERO;
            for part in simd.wide_parts() {
                let sum = simd.load_wide(&sums, part);
                factors.set(simd, part, scales, sum, simd.splat_wide(1.0) / sum);
            }
            for part in simd.parts() {
                let term = simd.load_tail(terms, part, 0.0);
                RowFactors::lanes(simd, &factors, part).apply(term).store_tail(to, part);
            }
        }
    }
}

/// The losses `ln(1 + rest / term)` of labels, given their terms and the sums of all others.
///
/// # Errors
///
/// [`Error::UnavailableBackend`] where the CPU does not have the backend.
///
/// # Panics
///
/// Unless there are as many terms as sums.
pub fn losses(backend: Backend, rests: &[f64], terms: &[f64]) -> Result<Vec<f64>, Error> {
    assert_eq!(rests.len(), terms.len(), "a term for each sum");
    let mut logs = vec![0.0; rests.len()];
    backend.token()?.run(Logs { sums: rests, terms: Some(terms), to: &mut logs });
    Ok(logs)
}

/// The logarithms of sums over [`TERM_OF_ONE`], as row ends take them.
///
/// # Errors
///
/// [`Error::UnavailableBackend`] where the CPU does not have the backend.
pub fn logs_of_sums(backend: Backend, sums: &[f64]) -> Result<Vec<f64>, Error> {
    let mut logs = vec![0.0; sums.len()];
    backend.token()?.run(Logs { sums, terms: None, to: &mut logs });
    Ok(logs)
}

struct Logs<'a> {
    sums: &'a [f64],
    /// Those of labels, where it is losses that are wanted.
    terms: Option<&'a [f64]>,
    to: &'a mut [f64],
}

impl Kernel for Logs<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let mut ends = Ends::EMPTY;
        for (i, (sums, to)) in self.sums.chunks(LANES).zip(self.to.chunks_mut(LANES)).enumerate() {
            let mut all = [0.0; LANES];
            ends.rest = padded(sums);
            ends.sum = ends.rest;
            if let Some(terms) = self.terms {
                ends.term = padded(&terms[i * LANES..][..sums.len()]);
                for (sum, term) in ends.sum.iter_mut().zip(&ends.term) {
                    *sum += term;
                }
            }
            for part in simd.wide_parts() {
                let log = if self.terms.is_some() {
                    ends.lanes(simd, part).losses(simd)
                } else {
                    ends.logs(simd, part)
                };
                log.store(&mut all, part);
            }
            to.copy_from_slice(&all[..to.len()]);
        }
    }
}

/// Up to sixteen values, followed by ones.
#[inline(always)]
fn padded(values: &[f64]) -> [f64; LANES] {
    let mut all = [1.0; LANES];
    all[..values.len()].copy_from_slice(values);
    all
}

/// `e^x` in f64.
#[must_use]
pub fn exp(x: f64) -> f64 {
    math::exp(x)
}

/// `ln x` in f64, for `x >= 0`.
#[must_use]
pub fn ln(x: f64) -> f64 {
    math::ln(x)
}

/// `ln(1 + x)` in f64, for `x >= 0`.
#[must_use]
pub fn ln_1p(x: f64) -> f64 {
    math::ln_1p(x)
}

/// `tanh x` in f64 and its derivative, as a soft cap takes them.
///
/// # Errors
///
/// [`Error::UnavailableBackend`] where the CPU does not have the backend.
pub fn tanh(backend: Backend, x: &[f64]) -> Result<(Vec<f64>, Vec<f64>), Error> {
    let (token, mut all) = (backend.token()?, (Vec::new(), Vec::new()));
    for x in x.chunks(LANES) {
        let (mut values, mut slopes) = (padded(x), [0.0; LANES]);
        token.run(Tanh { values: &mut values, slopes: &mut slopes });
        all.0.extend_from_slice(&values[..x.len()]);
        all.1.extend_from_slice(&slopes[..x.len()]);
    }
    Ok(all)
}

/// The hyperbolic tangents and their derivatives that a soft cap makes.
struct Tanh<'a> {
    values: &'a mut [f64; LANES],
    slopes: &'a mut [f64; LANES],
}

impl Kernel for Tanh<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Self { values, slopes } = self;
        let (mut far, mut near) = ([[0.0; LANES]; 2], [[0.0; LANES]; 2]);
        for part in simd.wide_parts() {
            let x = simd.load_wide(values, part);
            let (tanh, slope) = far_tanh(simd, x.max(simd.splat_wide(0.0) - x) * simd.splat_wide(-2.0));
            tanh.or(x.and(simd.splat_wide(-0.0))).store(&mut far[0], part);
            slope.store(&mut far[1], part);
            let ([tanh], [slope]) = near_tanh(simd, [x]);
            tanh.store(&mut near[0], part);
            slope.store(&mut near[1], part);
        }
        for i in 0..LANES {
            let of = if values[i].abs() <= NEAR { &near } else { &far };
            (values[i], slopes[i]) = (of[0][i], of[1][i]);
        }
    }
}
