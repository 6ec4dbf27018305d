//! Runs the sweeps over all f32, and those of functions that only the public operations show.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use xent::{BinaryCrossEntropy, Rows};

use crate::precise::Pair;
use crate::results::{Results, Sweep};
use crate::sweep::functions::{self, Function, LINEAR_IN_F32, Unit};
use crate::sweep::{Errors, Interval, Judge, Profile, terms};

/// Beyond, the smaller of sigmoid and softplus is subnormal.
const LAST: f32 = 87.0;

const OF_OPERATIONS: [Function; 2] = [
    Function {
        name: "softplus",
        interval: Interval::all(-LAST, f32::MAX).dense(LINEAR_IN_F32, 105.0),
        unit: Unit::F32,
        of: |x, to| to.extend(binary(x).0.iter().map(|&loss| f64::from(loss))),
        reference: |precise, x| Pair::from(x.max(0.0)) + precise.ln_1p(precise.exp(-x.abs())),
        decided: |library, x| {
            let e = library.exp(-x.abs());
            // The second part of the exponential is beyond what is to be decided.
            Pair::from(x.max(0.0)) + library.ln_1p(e.hi) + (e.lo / (1.0 + e.hi)).into()
        },
    },
    Function {
        name: "sigmoid",
        interval: Interval::all(-LAST, f32::MAX).dense(LINEAR_IN_F32, 105.0),
        unit: Unit::F32,
        of: |x, to| to.extend(binary(x).1.iter().map(|&slope| f64::from(slope))),
        reference: |precise, x| sigmoid(x, precise.exp(-x.abs())),
        decided: |library, x| sigmoid(x, library.exp(-x.abs())),
    },
];

fn sigmoid(x: f64, e: Pair) -> Pair {
    (if x > 0.0 { Pair::ONE } else { e }) / (Pair::ONE + e)
}

/// Binary cross-entropy with a target of 0: softplus, and its gradient, the sigmoid.
fn binary(x: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let zero = [0.0; 1];
    let row = Rows::new(x, x.len(), 1).expect("a column");
    let targets = Rows::with_stride(&zero, x.len(), 1, 0).expect("one target for all");
    let (losses, gradient) =
        BinaryCrossEntropy::new().loss_and_gradient(targets, row).expect("logits and targets");
    (losses.values, gradient)
}

/// Measures everything that is approximated, at one number in so many. What there is already is kept as it goes.
pub fn measure(results: &mut Results, stride: usize, kept: &Path) -> Result<()> {
    let mut judge = Judge::new();
    results.sweeps.clear();
    results.claims.clear();
    let start = Instant::now();
    for on in terms::domain(&mut judge, stride) {
        let backend = on.backend.name().to_owned();
        let (errors, profile) = (&on.errors, &on.profile);
        let interval = terms::DOMAIN.every(stride);
        results.sweeps.push(sweep("term", Some(backend), Unit::F32, interval, errors, profile));
    }
    println!("terms: {:.0} s", start.elapsed().as_secs_f64());
    results.write(kept)?;
    let mut claim = |what: &str, seen: u64| {
        println!("{what}: {seen}, {:.0} s", start.elapsed().as_secs_f64());
        results.claims.push((what.to_owned(), seen));
    };
    claim("the exponent of the reference moves terms by powers of two", terms::exponents(stride * 1021));
    claim("terms with a pivot are those of the difference", terms::pivots(stride));
    claim("logits below the floor have its term, which is negligible", terms::beyond(stride));
    for function in functions::ALL.iter().chain(&OF_OPERATIONS) {
        let (errors, profile) = function.errors(&mut judge, stride);
        println!("{}: {errors:?}, {:.0} s", function.name, start.elapsed().as_secs_f64());
        let of =
            sweep(function.name, None, function.unit, function.interval.every(stride), &errors, &profile);
        results.sweeps.push(of);
        results.write(kept)?;
    }
    Ok(())
}

fn sweep(
    name: &str,
    backend: Option<String>,
    unit: Unit,
    Interval { from, to, dense, stride }: Interval,
    errors: &Errors,
    profile: &Profile,
) -> Sweep {
    let unit = match unit {
        Unit::F32 => "ULP of f32".to_owned(),
        Unit::F64 => "ULP of f64".to_owned(),
        Unit::Relative(bits) => format!("2^-{bits} of the value"),
    };
    let Errors { inputs, over_half, over_three_quarters, decided, max, at } = *errors;
    let profile = profile.points().collect();
    let name = name.to_owned();
    Sweep {
        name,
        backend,
        unit,
        from,
        to,
        dense: (dense.0 > 0.0).then_some(dense),
        stride,
        inputs,
        over_half,
        over_three_quarters,
        decided,
        max,
        at,
        profile,
    }
}
