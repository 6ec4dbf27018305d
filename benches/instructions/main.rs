//! `cargo bench --bench instructions`: instructions per logit of the kernels under callgrind, which counts
//! the same on a busy machine as on a quiet one. Fails where a count has grown by more than 5 % over
//! `baseline.tsv`, or is missing there; `-- --bless` writes that file anew. `-- avx2` counts the cases with
//! that in their names.
//!
//! Callgrind has no AVX-512, so that backend is not here. The counts belong to one version of the compiler
//! and, for the scalar backend, of the C library that multiplies and adds.
//!
//! Each count is the difference between a process that makes one call and one that makes three, so that
//! all that comes before the first cancels. An existing harness would want its macros around each of the
//! cases, and the results of the last version on the same machine; here they are a file of the repository.

#![allow(unreachable_pub, reason = "a program has no API")]

#[path = "../common/mod.rs"]
mod common;

mod baseline;

use std::env;
use std::error::Error;
use std::process::{Command, ExitCode};

use rayon::prelude::*;
use xent::Backend;

use baseline::Baseline;
use common::operations::{Buffers, Operation};
use common::shape::{Shape, shape};

const BACKENDS: [Backend; 3] = [Backend::Scalar, Backend::Portable, Backend::Avx2];

const OPERATIONS: [Operation; 7] = [
    Operation::Argmax,
    Operation::LogSumExp,
    Operation::SparseLoss,
    Operation::SparseLossAndGradient,
    Operation::DenseLossAndGradient,
    Operation::Softmax,
    Operation::LogSoftmax,
];

/// Few classes, one vector's multiple, a classifier, a vocabulary: all short enough for one thread.
const SHAPES: [Shape; 4] = [shape(2048, 10), shape(128, 128), shape(16, 1000), shape(1, 32_000)];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["calls", count, operation, backend, rows, classes] => {
            call(count, operation, backend, [rows, classes])
        }
        // `cargo test --all-targets` only sees that it builds.
        _ if !arguments.iter().any(|argument| argument == "--bench") => Ok(()),
        _ => check(
            arguments.iter().any(|argument| argument == "--bless"),
            arguments.iter().find(|argument| !argument.starts_with("--")).map_or("", String::as_str),
        ),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What runs under callgrind.
fn call(
    count: &str,
    operation: &str,
    backend: &str,
    [rows, classes]: [&str; 2],
) -> Result<(), Box<dyn Error>> {
    let operation = Operation::named(operation).ok_or("no such operation")?;
    let (backend, count): (Backend, u32) = (backend.parse()?, count.parse()?);
    let mut buffers = Buffers::new(shape(rows.parse()?, classes.parse()?));
    for _ in 0..count {
        buffers.run(operation, backend)?;
    }
    Ok(())
}

/// Counts the cases and compares them with the baseline, or makes that.
fn check(bless: bool, filter: &str) -> Result<(), Box<dyn Error>> {
    let mut baseline = if bless && filter.is_empty() { Baseline::default() } else { Baseline::read()? };
    let mut failures = Vec::new();
    for backend in BACKENDS.into_iter().filter(|backend| !backend.is_available()) {
        println!("{backend}: not counted, it is not available");
    }
    let cases: Vec<_> =
        cases().filter(|&case| case.1.is_available() && name(case).contains(filter)).collect();
    // The counts do not depend on what else runs.
    let counts: Vec<_> =
        cases.par_iter().map(|&case| per_logit(case).map_err(|error| error.to_string())).collect();
    for (&case, count) in cases.iter().zip(counts) {
        let (case, count) = (name(case), count?);
        println!("{case}: {count:.3}{}", baseline.beside(&case));
        if bless {
            baseline.insert(case, count);
        } else {
            failures.extend(baseline.failure(&case, count));
        }
    }
    if bless {
        return Ok(baseline.write()?);
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

type Case = (Operation, Backend, Shape);

fn name((operation, backend, shape): Case) -> String {
    format!("{operation}/{backend}/{shape}")
}

fn cases() -> impl Iterator<Item = Case> {
    let of = |operation, backend| SHAPES.map(|shape| (operation, backend, shape));
    BACKENDS.into_iter().flat_map(move |backend| OPERATIONS.into_iter().flat_map(move |o| of(o, backend)))
}

fn per_logit(case: Case) -> Result<f64, Box<dyn Error>> {
    let (_, _, shape) = case;
    let (one, three) = (instructions(1, case)?, instructions(3, case)?);
    Ok((three - one) / 2.0 / f64::from(u32::try_from(shape.logits())?))
}

/// Instructions of a process that makes so many calls.
fn instructions(calls: u32, (operation, backend, shape): Case) -> Result<f64, Box<dyn Error>> {
    let Shape { rows, classes, .. } = shape;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(env::current_exe()?);
    valgrind.args(["calls", &calls.to_string(), operation.name(), backend.name()]);
    valgrind.args([rows.to_string(), classes.to_string()]);
    let output = valgrind.output().map_err(|error| format!("cannot run valgrind: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("valgrind failed: {text}").into());
    }
    let line = text.lines().find_map(|line| line.split_once("Collected :"));
    let (_, count) = line.ok_or_else(|| format!("no count from valgrind: {text}"))?;
    Ok(count.trim().parse()?)
}
