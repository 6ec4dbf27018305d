//! The exponential term `TERM_OF_ONE e^(x - c) 2^-E` of `src/numbers/exp.rs`, over every f32 of its domain.
//!
//! The term depends on the logit `x`, the pivot `c` and the exponent `E` of the reference. One sweep over `x` with
//! `c = 0` and one `E` for each `x` sees every one, because
//!
//! - a pivot is subtracted first, `x - c` is exact, and nothing after it sees `x` or `c`:
//!   [`pivots`] compares both sides for every logit of many pivots;
//! - `E` is in the number that rounds `8 x log2 e` to an integer `k`, and nowhere else but in the exponent of the result. It is
//!   there as `8 E`: an even number, so that a tie goes to the same `k` whatever `E` is. A sample of `x` takes all `E`, in
//!   [`exponents`];
//! - below the floor, 131 under the reference, every logit has the term of the floor: [`beyond`] sees them all.

use std::ops::RangeInclusive;

use xent::Backend;
use xent::internals::{self, NEGLIGIBLE, Reference, TERM_OF_ONE};

use super::{Errors, Interval, Judge, Profile, ulp};
use crate::precise::{Pair, power_of_two};

/// From the least logit that counts beside a largest one with pivot 0 to the largest with pivot 0.
pub const DOMAIN: Interval = Interval::all(-264.0 - 130.8, 264.0);

/// The largest logit with pivot 0, and its negative the least.
const PIVOT_FREE: f32 = 264.0;

/// Exponents of a reference, from that which a logit has if it is the largest: the common reference may be 52 below, where
/// sums are still finite, and a larger logit 131 ln 2 above.
const ABOVE: RangeInclusive<i8> = -52..=127;

/// Without fused multiply-add a product of terms below this may be subnormal, and lose bits.
const WHOLE: f32 = 1.0e-27;

/// Of a row whose largest logit this is, or is 264 from zero and as near it as that.
fn own(x: f32) -> Reference {
    Reference::for_max(x.clamp(-PIVOT_FREE, PIVOT_FREE))
}

fn terms(backend: Backend, logits: &[f32], references: &[Reference]) -> Vec<f32> {
    internals::terms(backend, logits, references).expect("an available backend")
}

/// The errors on one backend.
#[derive(Clone, Debug)]
pub struct OnBackend {
    pub backend: Backend,
    pub errors: Errors,
    pub profile: Profile,
}

/// Measures every term. Backends that fuse multiply-add must have the same bits, and are measured once.
pub fn domain(judge: &mut Judge, stride: usize) -> Vec<OnBackend> {
    let interval = DOMAIN.every(stride);
    let on = |backend| OnBackend { backend, errors: Errors::default(), profile: Profile::new(interval) };
    let mut all: Vec<_> = Backend::available().map(on).collect();
    // The measured one first: the fastest.
    all.sort_by_key(|on| (on.backend.is_fused(), on.backend != Backend::Avx2));
    interval.for_each(|x| {
        let references: Vec<_> = x.iter().map(|&x| own(x)).collect();
        let want: Vec<_> = x.iter().map(|&x| judge.precise.split_exp(x.into())).collect();
        let mut fused: Option<Vec<f32>> = None;
        for on in &mut all {
            let found = terms(on.backend, x, &references);
            if on.backend.is_fused() {
                if let Some(fused) = &fused {
                    assert!(same(fused, &found), "{} has other terms near {:e}", on.backend, x[0]);
                    continue;
                }
                fused = Some(found.clone());
            }
            for (i, &x) in x.iter().enumerate() {
                let error = |want| error_of(found[i], references[i].exponent, want);
                let mut seen = error(want[i]);
                on.errors.add(x, seen, MARGIN, || {
                    seen = error((judge.library.exp(x.into()), 0));
                    seen
                });
                on.profile.add(x, seen);
            }
        }
    });
    let measured = all.iter().find(|on| on.backend.is_fused()).cloned();
    for on in all.iter_mut().filter(|on| on.backend.is_fused()) {
        let measured = measured.clone().expect("itself, if no other");
        *on = OnBackend { backend: on.backend, ..measured };
    }
    all.sort_by_key(|on| Backend::ALL.iter().position(|backend| *backend == on.backend));
    all
}

/// The reference is good to 2^-75, and an f32 has 24 bits.
const MARGIN: f64 = 1.0 / (1_u64 << 48) as f64;

/// How far off a term is, in ULP, from `TERM_OF_ONE p 2^k` for the exponent of its reference.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "an integer")]
fn error_of(term: f32, exponent: f32, (p, k): (Pair, i32)) -> f64 {
    let p = Pair::from(TERM_OF_ONE) * p;
    let term = f64::from(term) * power_of_two(exponent as i32 - k);
    p.excess_of(term).abs() / ulp(p, f32::MANTISSA_DIGITS)
}

fn same(a: &[f32], b: &[f32]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Asserts that the exponent of the reference does nothing but move terms by powers of two: the whole range of exponents for
/// each of some logits. The number of terms seen.
pub fn exponents(stride: usize) -> u64 {
    let mut seen = 0;
    for backend in Backend::available() {
        DOMAIN.every(stride).for_each(|x| {
            let lowest: Vec<_> = x.iter().map(|&x| own(x)).collect();
            let of_lowest = terms(backend, x, &lowest);
            for above in ABOVE {
                let moved = |reference: &Reference| Reference {
                    exponent: reference.exponent + f32::from(above),
                    ..*reference
                };
                let references: Vec<_> = lowest.iter().map(moved).collect();
                let moved = terms(backend, x, &references);
                let within = |i: usize| {
                    let max =
                        (references[i].exponent - Reference::ORDINARY.exponent) * core::f32::consts::LN_2;
                    max <= PIVOT_FREE && max - x[i] <= 130.0
                };
                for (i, &x) in x.iter().enumerate().filter(|(i, _)| within(*i)) {
                    if !backend.is_fused() && moved[i].min(of_lowest[i]) < WHOLE {
                        continue;
                    }
                    seen += 1;
                    let same = f64::from(moved[i]) * power_of_two(above.into()) == f64::from(of_lowest[i]);
                    assert!(
                        same,
                        "{backend}: the term of {x:e} depends on the exponent of {:?}",
                        references[i]
                    );
                }
            }
        });
    }
    seen
}

/// Asserts that terms with a pivot are those of the differences: for logits from each of some pivots down to 131 below. The number
/// of terms seen.
pub fn pivots(stride: usize) -> u64 {
    let magnitudes =
        [264.5, 300.0, 512.0, 511.999_97, 1e3, 4096.1, 1e4, 65_504.0, 1e5, 3e6, 1e8, 1e20, f32::MAX];
    let mut seen = 0;
    for backend in Backend::available() {
        for pivot in magnitudes.into_iter().flat_map(|magnitude| [magnitude, -magnitude]) {
            let reference = Reference::for_max(pivot);
            assert_eq!(reference, Reference { pivot, ..Reference::ORDINARY });
            Interval::all(pivot - 130.5, pivot).every(stride).for_each(|x| {
                let differences: Vec<f32> = x.iter().map(|x| x - pivot).collect();
                let exact = |(x, d): (&f32, &f32)| f64::from(*x) - f64::from(pivot) == f64::from(*d);
                assert!(x.iter().zip(&differences).all(exact), "differences from {pivot:e} round");
                let with = terms(backend, x, &vec![reference; x.len()]);
                let without = terms(backend, &differences, &vec![Reference::ORDINARY; x.len()]);
                assert!(same(&with, &without), "{backend}: other terms with the pivot {pivot:e}");
                seen += x.len() as u64;
            });
        }
    }
    seen
}

/// Asserts that all logits below the floor have its term, which is negligible, and that NaN stays NaN. The number of terms seen.
pub fn beyond(stride: usize) -> u64 {
    let mut seen = 0;
    for backend in Backend::available() {
        let of = |x: &[f32]| terms(backend, x, &vec![Reference::ORDINARY; x.len()]);
        let floor = of(&[f32::NEG_INFINITY])[0];
        assert!(floor <= NEGLIGIBLE && floor.is_normal(), "{backend}: {floor:e} is left at the floor");
        for nan in [f32::NAN, -f32::NAN, f32::from_bits(0x7f80_0001), f32::from_bits(0xffff_ffff)] {
            assert!(of(&[nan])[0].is_nan(), "{backend}: NaN is lost");
        }
        let one = TERM_OF_ONE * 2.0_f64.powf((-Reference::ORDINARY.exponent).into());
        assert_eq!(of(&[-0.0, 0.0]).into_iter().map(f64::from).collect::<Vec<_>>(), [one; 2]);
        Interval::all(f32::NEG_INFINITY, -131.0).every(stride).for_each(|x| {
            assert!(of(x).iter().all(|&term| term == floor), "{backend}: not the floor near {:e}", x[0]);
            seen += x.len() as u64;
        });
    }
    seen
}
