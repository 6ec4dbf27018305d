//! How properties are run: every case on every backend, from a seed that is the same in every run.

use std::collections::BTreeMap;
use std::sync::Mutex;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, FileFailurePersistence, RngSeed, TestRunner};
use xent::Backend;

use super::{backends, bound, report, ulp};

/// Cases of a property, each on every backend. `PROPTEST_CASES` has precedence.
const CASES: u32 = 128;

/// The seed of every property: a failing build fails again. `PROPTEST_RNG_SEED` has precedence.
const SEED: u64 = 1;

/// Runs `property` on cases of `strategy`, each on every available backend, and reports the worst
/// errors that it has seen.
///
/// # Panics
///
/// Where the property fails, with the smallest case found.
pub fn for_all<S: Strategy>(name: &'static str, strategy: S, property: impl Fn(&S::Value, Backend, &Errors)) {
    let errors = Errors::default();
    let backends = backends();
    let result = runner().run(&strategy, |case| {
        for &backend in &backends {
            property(&case, backend, &errors);
        }
        Ok(())
    });
    errors.report(name);
    if let Err(failure) = result {
        panic!("{name}: {failure}");
    }
}

fn runner() -> TestRunner {
    // Reads the environment.
    let default = Config::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { CASES };
    let rng_seed = match default.rng_seed {
        RngSeed::Random => RngSeed::Fixed(SEED),
        fixed @ RngSeed::Fixed(_) => fixed,
    };
    TestRunner::new(Config {
        cases,
        rng_seed,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("proptest-regressions/seeds.txt"))),
        ..default
    })
}

/// What a result should be, and what its error is measured in.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    value: f64,
    magnitude: f64,
    slack: f64,
}

impl From<f64> for Want {
    /// In ULP at the value itself.
    fn from(value: f64) -> Self {
        Self { value, magnitude: value, slack: 0.0 }
    }
}

impl Want {
    /// In ULP at the larger of the value and this: for a difference of such parts.
    pub fn in_ulp_of(self, magnitude: f64) -> Self {
        Self { magnitude, ..self }
    }

    /// So much nearer than measured, in absolute terms: for parts that were lost before the last
    /// operation. Say why where it is called.
    pub fn give_or_take(self, slack: f64) -> Self {
        Self { slack, ..self }
    }

    /// The error of a result, in ULP.
    pub fn error(self, got: f32) -> f64 {
        let error = ulp::error_at(got, self.value, self.magnitude);
        if error == 0.0 || error == f64::INFINITY {
            return error;
        }
        (error - self.slack / ulp::size(self.value.abs().max(self.magnitude.abs()))).max(0.0)
    }
}

/// The worst errors of a property, by what was measured and on which backend.
#[derive(Default)]
pub struct Errors(Mutex<BTreeMap<(&'static str, &'static str), f64>>);

impl Errors {
    /// Asserts that `got` is within the contract's bound on this backend.
    #[track_caller]
    pub fn within(&self, ulps: f64, what: &'static str, backend: Backend, got: f32, want: impl Into<Want>) {
        let want = want.into();
        let error = want.error(got);
        if let Ok(mut worst) = self.0.lock() {
            let worst = worst.entry((what, backend.name())).or_insert(0.0);
            *worst = worst.max(error);
        }
        let bound = bound(backend, ulps);
        assert!(
            error <= bound,
            "{what} on {backend}: {got:e} is {error:.2} ULP off (at most {bound}) from {want:?}"
        );
    }

    /// Asserts [`within`](Self::within) value by value.
    #[track_caller]
    pub fn all_within(
        &self,
        ulps: f64,
        what: &'static str,
        backend: Backend,
        got: &[f32],
        want: impl IntoIterator<Item: Into<Want>>,
    ) {
        let want: Vec<Want> = want.into_iter().map(Into::into).collect();
        assert_eq!(got.len(), want.len(), "{what}: lengths differ");
        for (&got, want) in got.iter().zip(want) {
            self.within(ulps, what, backend, got, want);
        }
    }

    /// One line for each thing measured.
    pub fn report(&self, name: &str) {
        let worst = self.0.lock().expect("no property holds the lock when it fails");
        let line = |what: &str| {
            let of_backend = |((w, backend), error): (&(&str, &str), &f64)| {
                (*w == what).then(|| format!(" {backend} {error:.2}"))
            };
            worst.iter().filter_map(of_backend).collect::<String>()
        };
        let mut names: Vec<_> = worst.keys().map(|&(what, _)| what).collect();
        names.dedup();
        for what in names {
            report(&format!("{name}: worst error of {what} in ULP:{}", line(what)));
        }
    }
}
