//! What the crate approximates, against values good to 2^-75: one f32 in some thousand of each domain. All of them are
//! swept by the package in `accuracy/`, which writes `docs/ACCURACY.md`. What sweeps is its code, and what is swept
//! are the functions of `xent::internals`.

#![allow(
    dead_code,
    unreachable_pub,
    unfulfilled_lint_expectations,
    clippy::approx_constant,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "a part of another package"
)]

#[path = "../accuracy/src/precise.rs"]
mod precise;
#[path = "../accuracy/src/sweep/mod.rs"]
mod sweep;

use std::io::Write as _;

use precise::{Library, Pair, Precise};
use sweep::functions::{self, Unit};
use sweep::{Errors, Judge, terms};
use xent::{Backend, internals};

/// One number in so many: odd, so that all low bits occur.
const STRIDE: usize = 4099;

/// A line that is seen also where the test passes.
fn report(line: &str) {
    // A closed stderr is no reason to fail.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

fn report_errors(name: &str, errors: &Errors) {
    report(&format!(
        "{name}: at most {:.4} ULP, at {:e}, of {} inputs",
        errors.max, errors.at, errors.inputs
    ));
}

#[test]
fn the_reference_is_that_of_a_correctly_rounding_library() {
    let (precise, mut library) = (Precise::new(), Library::new());
    let far = |pair: Pair, want: Pair| ((pair - want).value() / want.value()).abs();
    let mut random = fastrand::Rng::with_seed(1);
    for i in 0..1500 {
        let x = (2.0 * random.f64() - 1.0) * [650.0, 80.0, 1.0, 1e-3, 1e-9][i % 5];
        let (y, near_one) = (x.abs(), 1.0 + x / 2000.0);
        for (name, got, want) in [
            ("exp", precise.exp(x), library.exp(x)),
            ("ln", precise.ln(y), library.ln(y)),
            ("ln next to 1", precise.ln(near_one), library.ln(near_one)),
            ("ln_1p", precise.ln_1p(y.into()), library.ln_1p(y)),
        ] {
            assert!(far(got, want) < precise::power_of_two(-75), "{name} at {x:e}: {got:?}, not {want:?}");
        }
    }
}

#[test]
fn the_library_knows_the_digits_of_mpmath() {
    let mut library = Library::new();
    // The nearest f64, and the f64 nearest to what is left.
    for (name, got, want) in [
        ("e^1", library.exp(1.0), (2.718_281_828_459_045, 1.445_646_891_729_250_2e-16)),
        ("e^-37.3", library.exp(-37.3), (6.321_437_159_096_094e-17, -4.827_258_660_746_07e-34)),
        ("ln 2", library.ln(2.0), (0.693_147_180_559_945_3, 2.319_046_813_846_299_6e-17)),
        ("ln 1.5", library.ln_1p(0.5), (0.405_465_108_108_164_4, -2.881_138_025_962_642_7e-18)),
        ("tanh 0.5", library.tanh(0.5), (0.462_117_157_260_009_74, 2.191_660_323_826_092_8e-17)),
    ] {
        let (hi, lo) = want;
        assert!(
            (got.value() - hi).abs() == 0.0 && (got - hi.into() - lo.into()).value().abs() < 1e-14 * lo.abs(),
            "{name}: {got:?}"
        );
    }
}

#[test]
fn terms_are_within_their_bounds() {
    for on in terms::domain(&mut Judge::new(), STRIDE) {
        report_errors(&format!("term on {}", on.backend), &on.errors);
        // Hardly more than the largest that src/numbers/exp.rs has.
        let bound = if on.backend.is_fused() { 0.644 } else { 0.885 };
        assert!(on.errors.max <= bound, "{}: {:?}", on.backend, on.errors);
    }
    for missing in Backend::ALL.iter().filter(|backend| !backend.is_available()) {
        report(&format!("backend {missing} is not available on this CPU: not tested"));
    }
}

#[test]
fn terms_depend_on_the_difference_alone() {
    assert!(terms::exponents(1021 * STRIDE) > 100_000);
    assert!(terms::pivots(257) > 100_000);
    assert!(terms::beyond(STRIDE) > 100_000);
}

#[test]
fn tanh_is_as_good_as_its_comment_says() {
    let (precise, mut random) = (Precise::new(), fastrand::Rng::with_seed(2));
    let find = |name| functions::ALL.iter().find(|function| function.name == name).expect("the function");
    let (tanh, slope) = (find("tanh"), find("slope of tanh"));
    let power = |_| 40.0 * random.f64() * precise::power_of_two(-random.i32(0..24));
    let x: Vec<f64> = (0..200_000).map(power).collect();
    for backend in Backend::available() {
        let (values, slopes) = internals::tanh(backend, &x).expect("available");
        let worst = |got: &[f64], of: &functions::Function| {
            let off = |(got, x): (&f64, &f64)| {
                let want = (of.reference)(&precise, *x);
                ((Pair::from(*got) - want).value() / want.value()).abs()
            };
            got.iter().zip(&x).map(off).fold(0.0_f64, f64::max)
        };
        let (value, slope) = (worst(&values, tanh), worst(&slopes, slope));
        report(&format!("tanh in f64, {backend}: {value:e} of itself off, its derivative {slope:e}"));
        assert!(value.max(slope) <= precise::power_of_two(-38), "{value:e}, {slope:e}");
    }
}

#[test]
fn functions_are_within_their_bounds() {
    let mut judge = Judge::new();
    for function in functions::ALL {
        let (errors, _) = function.errors(&mut judge, STRIDE);
        report_errors(function.name, &errors);
        // In f64 about what their comments say, in f32 hardly more than the last rounding.
        let bound = if function.unit == Unit::F32 { 0.5001 } else { 1.05 };
        assert!(errors.max <= bound, "{}: {errors:?}", function.name);
    }
}
