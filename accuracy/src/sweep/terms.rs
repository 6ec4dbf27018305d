//! The exponential term `e^(x - c) 2^-N` of `src/kernel/exp.rs`, over every f32 of its domain.
//!
//! The term depends on the logit `x`, the pivot `c` and the exponent `N` of the reference. One sweep over `x` with
//! `c = 0` sees every one, because
//!
//! - a pivot is subtracted first, `x - c` is exact, and nothing after it sees `x` or `c`:
//!   [`pivots`] compares both sides for every logit of many pivots;
//! - `N` is in the number that rounds `x log2 e` to an integer `n` and in the scale `2^(n - N)`, by which the product is exact.
//!   So `N` moves the term by a power of two, unless it decides a tie of the rounding, which goes to an even sum.
//!   A fused `x log2 e` is never a tie: the constant's significand is odd and has 24 bits, hence the odd part of the product has
//!   at least as many, and that of `n + 1/2` has ten. Rounded to f32 first, it can be one: so both parities of `N` are swept,
//!   and a sample of `x` takes all `N`, in [`exponents`];
//! - below the floor, 131 under the reference, every logit has the term of the floor: [`beyond`] sees them all.

use super::{Errors, Interval, Judge, Profile, ulp};
use crate::kernel::exp::{Exp, NEGLIGIBLE, Reference, reference_for};
use crate::precise::{Pair, power_of_two};
use crate::simd::{Backend, Kernel, LANES, Lanes, Simd};

/// From the least logit that counts beside a largest one with pivot 0 to the largest with pivot 0.
pub const DOMAIN: Interval = Interval::all(-264.0 - 130.8, 264.0);

/// The largest logit with pivot 0, and its negative the least.
const PIVOT_FREE: f32 = 264.0;

/// `N` of a reference of 1.
const OF_ONE: f32 = -64.0;

/// The terms of logits, each with an exponent of its own.
struct Terms<'a> {
    logits: &'a [f32],
    exponents: &'a [f32],
    pivot: f32,
    terms: &'a mut [f32],
}

impl Kernel for Terms<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let logits = self.logits.chunks(LANES).zip(self.exponents.chunks(LANES));
        for ((x, exponents), terms) in logits.zip(self.terms.chunks_mut(LANES)) {
            let exponents = simd.load_partial(exponents, OF_ONE);
            let exp = Exp::per_lane(simd, simd.splat(self.pivot), exponents);
            let x = simd.load_partial(x, 0.0);
            // As the kernels do: nothing is subtracted where the pivot is 0.
            let ([p], [scale]) = if self.pivot == 0.0 { exp.split([x]) } else { exp.split_from_pivot([x]) };
            (p * scale).store_partial(terms);
        }
    }
}

fn terms(backend: Backend, logits: &[f32], exponents: &[f32], pivot: f32, terms: &mut Vec<f32>) {
    terms.resize(logits.len(), 0.0);
    let token = backend.token().expect("an available backend");
    token.run(Terms { logits, exponents, pivot, terms });
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
    let (mut own, mut next, mut want) = (Vec::new(), Vec::new(), Vec::new());
    let [mut fused, mut even, mut odd] = [const { Vec::new() }; 3];
    interval.for_each(|x| {
        own.clear();
        own.extend(x.iter().map(|&x| reference_for(x.clamp(-PIVOT_FREE, PIVOT_FREE)).1));
        next.clear();
        next.extend(own.iter().map(|n| n - 1.0));
        want.clear();
        want.extend(x.iter().map(|&x| judge.precise.split_exp(x.into())));
        let mut measured = None;
        for (index, on) in all.iter_mut().enumerate() {
            if on.backend.is_fused() && measured.is_some() {
                terms(on.backend, x, &own, 0.0, &mut odd);
                assert!(same(&fused, &odd), "{} has other terms near {:e}", on.backend, x[0]);
                continue;
            }
            terms(on.backend, x, &own, 0.0, &mut even);
            terms(on.backend, x, &next, 0.0, &mut odd);
            for (i, &x) in x.iter().enumerate() {
                let error = |term, n| error_of(term, n, want[i]);
                let mut error = error(even[i], own[i]).max(error(odd[i], next[i]));
                on.errors.add(x, error, MARGIN, || {
                    let want = (judge.library.exp(x.into()), 0);
                    error = error_of(even[i], own[i], want).max(error_of(odd[i], next[i], want));
                    error
                });
                on.profile.add(x, error);
            }
            if on.backend.is_fused() {
                assert!(even.iter().zip(&odd).all(|(even, odd)| 2.0 * even == *odd), "ties near {:e}", x[0]);
                fused.clone_from(&even);
                measured = Some(index);
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

/// How far off a term is, in ULP, from `p 2^k` for the exponent `n` of its reference.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "an integer")]
fn error_of(term: f32, n: f32, (p, k): (Pair, i32)) -> f64 {
    let term = f64::from(term) * power_of_two(n as i32 - k);
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
        let (mut all, mut of_parity) = (Vec::new(), [const { Vec::new() }; 2]);
        DOMAIN.every(stride).for_each(|x| {
            let lowest: Vec<f32> =
                x.iter().map(|&x| reference_for(x.clamp(-PIVOT_FREE, PIVOT_FREE)).1).collect();
            // The reference may be up to 131 above.
            for above in 0_u8..=186 {
                let exponents: Vec<f32> = lowest.iter().map(|n| n + f32::from(above)).collect();
                let within = |i: usize| {
                    let max = (exponents[i] - OF_ONE) * core::f32::consts::LN_2;
                    max <= PIVOT_FREE && max - x[i] <= 130.0
                };
                terms(backend, x, &exponents, 0.0, &mut all);
                if above < 2 {
                    of_parity[usize::from(above)].clone_from(&all);
                }
                let first = above % 2;
                let factor = power_of_two(i32::from(above - first));
                for (i, &x) in x.iter().enumerate().filter(|(i, _)| within(*i)) {
                    seen += 1;
                    let same = f64::from(all[i]) * factor == f64::from(of_parity[usize::from(first)][i]);
                    assert!(same, "{backend}: the term of {x:e} depends on the exponent {}", exponents[i]);
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
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for pivot in magnitudes.into_iter().flat_map(|magnitude| [magnitude, -magnitude]) {
            assert_eq!(reference_for(pivot), (pivot, OF_ONE));
            Interval::all(pivot - 130.5, pivot).every(stride).for_each(|x| {
                let differences: Vec<f32> = x.iter().map(|x| x - pivot).collect();
                let exact = |(x, d): (&f32, &f32)| f64::from(*x) - f64::from(pivot) == f64::from(*d);
                assert!(x.iter().zip(&differences).all(exact), "differences from {pivot:e} round");
                let exponents = vec![OF_ONE; x.len()];
                terms(backend, x, &exponents, pivot, &mut with);
                terms(backend, &differences, &exponents, 0.0, &mut without);
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
        let mut found = Vec::new();
        let mut of = |x: &[f32]| {
            terms(backend, x, &vec![OF_ONE; x.len()], 0.0, &mut found);
            found.clone()
        };
        let floor = of(&[f32::NEG_INFINITY])[0];
        assert!(floor <= NEGLIGIBLE && floor.is_normal(), "{backend}: {floor:e} is left at the floor");
        for nan in [f32::NAN, -f32::NAN, f32::from_bits(0x7f80_0001), f32::from_bits(0xffff_ffff)] {
            assert!(of(&[nan])[0].is_nan(), "{backend}: NaN is lost");
        }
        assert_eq!(of(&[-0.0, 0.0]), [Reference::for_max(0.0); 2].map(|one| 2.0_f32.powi(-one.exponent)));
        Interval::all(f32::NEG_INFINITY, -131.0).every(stride).for_each(|x| {
            assert!(of(x).iter().all(|&term| term == floor), "{backend}: not the floor near {:e}", x[0]);
            seen += x.len() as u64;
        });
    }
    seen
}
