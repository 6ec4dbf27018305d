//! Vectors computed by other systems: ONNX's own backend tests, and calls of `PyTorch`, `TensorFlow`, Keras and Optax.
//!
//! Every case of the files is run or named.

#[path = "../common/mod.rs"]
mod common;

mod case;
mod cross_entropy;
mod family;
mod layout;
mod softmax;

use std::collections::BTreeMap;

use common::{backends, report};
use xent::{Backend, Error};

use case::Case;

/// Runs a case, or says that the crate has no such operation.
fn run(case: &Case, backend: Backend) -> Option<Result<(), Error>> {
    Some(match case.op.as_str() {
        "cross_entropy" | "cross_entropy_dense" => cross_entropy::run(case, backend),
        "softmax" | "log_softmax" | "logsumexp" => softmax::run(case, backend),
        "bce_with_logits" | "kl_div" => family::run_elements(case, backend),
        "multi_margin" | "svm_hinge" | "nll_loss" | "cross_entropy_probs" | "cross_entropy_probs_dense" => {
            family::run_rows(case, backend)
        }
        _ => return None,
    })
}

/// Runs all cases of a file; `elsewhere` are the operations that the crate does not have, with how many cases there are.
fn run_file(file: &str, cases: usize, elsewhere: &[(&str, usize)]) {
    let all = case::read(file).expect("the vectors are in the repository");
    let (mut passed, mut others) = (BTreeMap::new(), BTreeMap::new());
    for case in &all {
        let mut ran = false;
        for backend in backends() {
            if let Some(result) = run(case, backend) {
                result.unwrap_or_else(|error| panic!("{} on {backend}: {error}", case.name));
                ran = true;
            }
        }
        *if ran { &mut passed } else { &mut others }.entry(case.op.as_str()).or_insert(0) += 1;
    }
    report(&format!("{file}: passed {passed:?}; not offered {others:?}"));
    assert_eq!(all.len(), cases, "cases of {file}");
    assert_eq!(others, elsewhere.iter().copied().collect(), "operations of {file} that are not offered");
}

#[test]
fn onnx() {
    run_file("onnx.safetensors", 71, &[]);
}

#[test]
fn frameworks() {
    // The crate has no such losses.
    let elsewhere = [("multiclass_hinge_max", 1), ("poly1_cross_entropy", 1), ("sigmoid_focal", 2)];
    run_file("frameworks.safetensors", 124, &elsewhere);
}
