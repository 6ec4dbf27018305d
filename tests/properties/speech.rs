//! The contract on real data: next-token logits of a speech recogniser, and the tokens that were spoken.

use std::fs::File;
use std::path::Path;

use crate::common::paths::{Layout, every_loss_path, every_path, every_row_path};
use crate::common::property::{Errors, Want};
use crate::common::strategies::Matrix;
use crate::common::{backends, contract, reference, same_bits};
use ndarray::{Array1, Array2};
use ndarray_npy::ReadNpyExt;
use xent::{
    CrossEntropy, Targets, log_softmax, log_softmax_in_place, log_softmax_into, log_sum_exp,
    log_sum_exp_into, softmax, softmax_in_place, softmax_into,
};

/// An array of `examples/data/`.
fn read<A: ReadNpyExt>(name: &str) -> A {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data").join(name);
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    A::read_npy(file).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn speech_logits_keep_the_contract() {
    let logits: Array2<f32> = read("speech_logits.npy");
    let labels: Array1<i64> = read("speech_labels.npy");
    let (rows, classes) = logits.dim();
    let (values, offset) = logits.into_raw_vec_and_offset();
    assert_eq!((values.len(), offset.unwrap_or(0)), (rows * classes, 0), "rows after each other");
    let logits = Matrix { rows, classes, values };
    let labels: Vec<usize> = labels.iter().map(|&label| usize::try_from(label).expect("a class")).collect();
    assert_eq!((labels.len(), classes), (rows, 51_864));
    let confident =
        logits.iter().zip(&labels).filter(|(row, label)| reference::sparse_loss(**label, row) < 0.1);
    assert!(2 * confident.count() >= rows, "the sample has small losses, where accuracy shows");

    let errors = Errors::default();
    // Rows are neither aligned nor without gaps.
    let layout = Layout::new(5, 8);
    for backend in backends() {
        let targets = Targets::from(&labels);
        let loss = every_loss_path(CrossEntropy::new(), targets, &logits, layout, backend);
        let p = every_path(&logits, layout, backend, softmax, softmax_into, softmax_in_place);
        let z = every_path(&logits, layout, backend, log_softmax, log_softmax_into, log_softmax_in_place);
        let sums = every_row_path(&logits, layout, backend, same_bits, log_sum_exp, log_sum_exp_into);
        for (row, x) in logits.iter().enumerate() {
            let label = labels[row];
            let of_row = |values: &[f32]| values[row * classes..][..classes].to_vec();
            let want = reference::sparse_loss(label, x);
            errors.within(contract::LOSS, "sparse loss", backend, loss.losses[row], want);
            let want = Want::from(reference::log_sum_exp(x)).in_ulp_of(reference::row_max(x));
            errors.within(contract::LOG_SUM_EXP, "log-sum-exp", backend, sums[row], want);
            errors.all_within(contract::SOFTMAX, "softmax", backend, &of_row(&p), reference::softmax(x));
            let want = reference::log_softmax(x);
            errors.all_within(contract::LOG_SOFTMAX, "log-softmax", backend, &of_row(&z), want);
            let (mut gradient, mut want) = (of_row(&loss.gradient), reference::sparse_gradient(label, x));
            let (at_label, want_there) = (gradient.remove(label), want.remove(label));
            errors.within(contract::AT_LABEL, "gradient at the label", backend, at_label, want_there);
            errors.all_within(contract::GRADIENT, "gradient", backend, &gradient, want);
        }
    }
    errors.report("speech logits");
}
