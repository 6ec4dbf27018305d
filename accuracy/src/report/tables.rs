//! The page.

use std::fmt::Write as _;

use crate::operation::Operation;
use crate::operations::ALL_INPUTS;
use crate::results::{Curve, Distribution, Found, Results, Sweep};

const HEAD: &str = "\
# Accuracy

This page is written by one command, which measures everything on it:

```text
cargo run --release --manifest-path accuracy/Cargo.toml
```

With `-- --quick` it takes less than two minutes, and writes to `accuracy/target/quick/`. `cargo test` sweeps one
number in 4099. Peers are computed by a Python that has them, see `accuracy/python/peers.py` and `--python`.
`python3 scripts/derive_constants.py` derives the constants again and compares them with the sources.

An error is the distance to the exact value, in units of the last place (ULP) of the exact value. Exact values are sums of two f64,
good to 2^-70: tables that a correctly rounding library (`astro-float`) fills with 117 bits, and a few terms of a series.
Errors so near 1/2 or 3/4 ULP that this cannot decide are decided by that library itself.
";

const SWEEPS: &str = "
## Every float

The term `2^(k/8 - E) e^r` of the exponential, over all f32 from the least that counts beside a maximum with pivot 0 to the
largest. Backends that fuse multiply-add have the same bits at every one of them. What else is approximated is f64 arithmetic,
the same on every backend, but for the last multiplication of a result; in f64 it is measured at f32 arguments. Outside the magnitudes of the fourth column one float in 127 is
taken: there a function is constant, or a constant and a multiple of its argument, or differs by the exponent alone.

| function | backend | floats from, to | all with magnitudes | inputs | unit | largest error | at | above 0.5 | above 0.75 | decided by the library |
|---|---|---|---|---:|---|---:|---|---:|---:|---:|
";

const CLAIMS: &str = "
The term depends on logit, pivot and exponent of the reference. That one sweep sees them all is proved in
`accuracy/src/sweep/terms.rs`, and checked:

| what | terms |
|---|---:|
";

const OPERATIONS: &str = "
## Operations

Results of xent and of peers on the same inputs. *xent, fused* is every backend measured that fuses multiply-add: their bits were
compared. Errors are those of the numeric contract in the README: of `log_sum_exp` in ULP of the larger of it and the
largest logit, of the dense gradient in ULP of the larger of its two parts, of all else in ULP of the exact value. A result below the smallest normal number
may be 0, and so may a share of the dense gradient, before the label is taken off it, where it is below that or as near above it as its bound. `inf` is a NaN or an infinity that should be a number.

| operation | | values | 50 % | 90 % | 99 % | 99.9 % | largest | bound |
|---|---|---:|---:|---:|---:|---:|---:|---:|
";

const GROUPS: &str = "
The largest error for each kind of input. *confident*: losses from 1e-38 to 1e-3. *far from zero*: means from 100 to 1e8 in magnitude. *masked*:
up to 99.7 % of logits are -inf. *wide*: uniform over 85. *flat*: deviations from 1 to 1e-7. *speech*: next-token logits of a speech
recogniser. The others have a deviation of 4.

";

const CLASSES: &str = "
## Against the number of classes

Mean and largest error in ULP, logits with a deviation of 3, 4 rows (4 M classes) to 256 rows (2 classes).

![error against classes](accuracy/classes.svg)

";

const DISTANCES: &str = "
## Against the distance from the maximum

Softmax of rows whose logits lie up to 84 below the largest; beyond, probabilities are subnormal. A difference from the maximum that is rounded is off by more and more;
the power-of-two reference has no such difference.

![error against distance](accuracy/distance.svg)

";

const SEARCH: &str = "
## Directed search

The largest errors that random restarts and hill climbing on the bits of logits have found, in rows of up to 63 classes, which are
added up class by class, and in wider ones, some of them with their largest logits where they are added to each other first. All witnesses are in
[accuracy/witnesses.json](accuracy/witnesses.json); rows of up to eight classes are here.

| operation | backend | largest error | bound | logits evaluated | label, class | logits; distribution |
|---|---|---:|---:|---:|---|---|
";

pub fn page(results: &Results) -> String {
    let mut page = HEAD.to_owned();
    page += "\n## Machine and versions\n\n| | |\n|---|---|\n";
    for (name, value) in results.machine.iter().chain(&results.peers) {
        let _ = writeln!(page, "| {name} | {value} |");
    }
    for missing in &results.missing {
        let _ = writeln!(page, "\n**{missing}**");
    }
    page += SWEEPS;
    page.extend(results.sweeps.iter().map(sweep));
    page += "\n![error of the exponential term](accuracy/exponential.svg)\n";
    page += CLAIMS;
    for (what, seen) in &results.claims {
        let _ = writeln!(page, "| {what} | {} |", grouped(*seen));
    }
    page += OPERATIONS;
    for operation in Operation::ALL {
        page.extend(results.operations.iter().filter(|of| is(of, operation, ALL_INPUTS)).map(|of| {
            let percentiles: Vec<_> = of.percentiles.iter().map(|error| ulps(*error)).collect();
            let bound = bound(&of.engine);
            let bound = bound.map_or(String::new(), |bound| format!("{bound}"));
            let values = grouped(of.values as u64);
            format!(
                "| {} | {} | {values} | {} | {bound} |\n",
                of.operation,
                of.engine,
                percentiles.join(" | ")
            )
        }));
    }
    page += GROUPS;
    groups(&mut page, results);
    page += CLASSES;
    curves(&mut page, &results.classes, "classes", &[2.0, 64.0, 1024.0, 32_768.0, 1_048_576.0, 4_194_304.0]);
    page += DISTANCES;
    curves(&mut page, &results.distances, "distance", &[0.5, 20.5, 40.5, 60.5, 80.5, 83.5]);
    page += SEARCH;
    page.extend(results.found.iter().map(found));
    page
}

fn sweep(of: &Sweep) -> String {
    let dense = of.dense.map_or("every".to_owned(), |(from, to)| format!("{from:.3e} to {to}"));
    format!(
        "| {} | {} | {:e}, {:e} | {dense} | {} | {} | {:.4} | {:e} | {} | {} | {} |\n",
        of.name,
        of.backend.as_deref().unwrap_or("all"),
        of.from,
        of.to,
        grouped(of.inputs),
        of.unit,
        of.max,
        of.at,
        grouped(of.over_half),
        grouped(of.over_three_quarters),
        grouped(of.decided),
    )
}

fn is(of: &Distribution, operation: Operation, inputs: &str) -> bool {
    of.operation == operation.title() && of.inputs == inputs
}

/// What the contract allows, where it is about this.
fn bound(engine: &str) -> Option<f64> {
    engine.starts_with("xent").then(|| Operation::bound(engine.ends_with("fused")))
}

/// The largest errors by operation and kind of input, a column for each that computes.
fn groups(page: &mut String, results: &Results) {
    let mut engines: Vec<&str> = Vec::new();
    let mut inputs: Vec<&str> = Vec::new();
    for of in &results.operations {
        for (name, names) in [(&of.engine, &mut engines), (&of.inputs, &mut inputs)] {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    engines.sort_unstable_by_key(|engine| (!engine.starts_with("xent"), *engine));
    let _ = writeln!(page, "| operation | inputs | {} |", engines.join(" | "));
    let _ = writeln!(page, "|---|---|{}", "---:|".repeat(engines.len()));
    for operation in Operation::ALL {
        for inputs in inputs.iter().filter(|inputs| **inputs != ALL_INPUTS) {
            let of = |engine: &&str| {
                let of =
                    results.operations.iter().find(|of| is(of, operation, inputs) && of.engine == *engine);
                of.and_then(|of| of.percentiles.last()).map_or("-".to_owned(), |error| ulps(*error))
            };
            let largest: Vec<_> = engines.iter().map(of).collect();
            let _ = writeln!(page, "| {} | {inputs} | {} |", operation.title(), largest.join(" | "));
        }
    }
}

/// Some points of curves: the mean and the largest error.
fn curves(page: &mut String, curves: &[Curve], abscissa: &str, at: &[f64]) {
    let heads: Vec<_> = at.iter().map(|at| format!("{at}")).collect();
    let _ = writeln!(page, "| mean, largest error at {abscissa} | | {} |", heads.join(" | "));
    let _ = writeln!(page, "|---|---|{}", "---:|".repeat(at.len()));
    for curve in curves {
        let cell = |at: &f64| {
            let point = curve.points.iter().find(|point| point.0 == *at);
            point.map_or("-".to_owned(), |(_, mean, max)| format!("{}, {}", ulps(*mean), ulps(*max)))
        };
        let cells: Vec<_> = at.iter().map(cell).collect();
        let _ = writeln!(page, "| {} | {} | {} |", curve.operation, curve.engine, cells.join(" | "));
    }
}

fn found(of: &Found) -> String {
    let values = |values: &[f32]| values.iter().map(|x| format!("{x:?}")).collect::<Vec<_>>().join(" ");
    let row = if of.logits.len() > 8 {
        format!("{} classes", of.logits.len())
    } else if of.operation.starts_with("dense") {
        format!("{}; {}", values(&of.logits), values(&of.labels))
    } else {
        values(&of.logits)
    };
    let exceeded = if of.error > of.bound { " **exceeded**" } else { "" };
    let (evaluations, at) = (grouped(of.evaluations), format!("{}, {}", of.label, of.class));
    format!(
        "| {} | {} | {:.3} | {}{exceeded} | {evaluations} | {at} | {row} |\n",
        of.operation, of.backend, of.error, of.bound
    )
}

fn ulps(error: f64) -> String {
    match error {
        error if error.is_infinite() => "inf".to_owned(),
        error if error < 100.0 => format!("{error:.2}"),
        error if error < 10_000.0 => format!("{error:.0}"),
        error => format!("{error:.1e}"),
    }
}

/// With a gap between thousands.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let grouped = digits.bytes().enumerate().flat_map(|(i, digit)| {
        let gap = (i > 0 && (digits.len() - i).is_multiple_of(3)).then_some(' ');
        gap.into_iter().chain([char::from(digit)])
    });
    grouped.collect()
}
