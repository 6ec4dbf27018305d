//! The results of all forms beside the formulas in f64.

use xent::Backend;

use super::{forms, run, tile};
use crate::common::operations::{Buffers, Operation};
use crate::common::shape::shape;

const OPERATIONS: [Operation; 5] = [
    Operation::SparseLoss,
    Operation::SparseLossAndGradient,
    Operation::Softmax,
    Operation::LogSoftmax,
    Operation::SoftmaxInPlace,
];

/// The most units in the last place that a result may be off.
const ULP: f64 = 3.5;

/// Rows as they come, and rows of other kinds: shifted far away, even, masked, with one that stands out.
fn vary(buffers: &mut Buffers) {
    let classes = buffers.shape.classes;
    for (index, row) in buffers.logits.chunks_mut(classes).enumerate() {
        match index % 8 {
            1 => row.iter_mut().for_each(|x| *x += 350.0),
            2 => row.iter_mut().for_each(|x| *x -= 2000.0),
            3 => row.fill(0.75),
            4 => row.iter_mut().skip(1).step_by(3).for_each(|x| *x = f32::NEG_INFINITY),
            5 => row[index % classes] = 40.0,
            6 => row.iter_mut().for_each(|x| *x *= 8.0),
            _ => {}
        }
    }
}

/// The distance in units of the last place of what is wanted, but no smaller ones than of `scale`.
fn distance(result: f32, wanted: f64, scale: f64) -> f64 {
    let is_subnormal = wanted.abs() < f64::from(f32::MIN_POSITIVE) * 1.0001;
    if f64::from(result).total_cmp(&wanted).is_eq() || is_subnormal && result.abs() < f32::MIN_POSITIVE {
        return 0.0;
    }
    let unit = wanted.abs().max(scale).max(f64::from(f32::MIN_POSITIVE)).log2().floor() - 23.0;
    let distance = (f64::from(result) - wanted).abs() / unit.exp2();
    if distance.is_nan() { f64::INFINITY } else { distance }
}

/// The worst distances of losses and of the matrix.
fn worst(buffers: &Buffers, logits: &[f32], operation: Operation) -> [f64; 2] {
    let (classes, mut worst) = (buffers.shape.classes, [0.0_f64; 2]);
    // With many classes the label's term is part of the sum: tiny losses are right to a unit of that.
    let least = if classes > tile::MOST { 1.0 } else { 0.0 };
    let labelled = matches!(operation, Operation::SparseLoss | Operation::SparseLossAndGradient);
    for (index, x) in logits.chunks(classes).enumerate() {
        let label = buffers.labels[index] as usize;
        let max = f64::from(x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let terms: Vec<f64> = x.iter().map(|&x| (f64::from(x) - max).exp()).collect();
        let others: f64 = terms.iter().enumerate().filter(|&(j, _)| j != label).map(|(_, t)| t).sum();
        let sum = others + terms[label];
        let to_label = max - f64::from(x[label]);
        let loss = if others < terms[label] { (others / terms[label]).ln_1p() } else { sum.ln() + to_label };
        if labelled && loss.is_finite() {
            worst[0] = worst[0].max(distance(buffers.row_results[index], loss, least));
        }
        if operation == Operation::SparseLoss {
            continue;
        }
        for (class, &result) in buffers.results[index * classes..][..classes].iter().enumerate() {
            let logarithm = f64::from(x[class]) - max - sum.ln();
            let (wanted, scale) = match operation {
                Operation::LogSoftmax => (logarithm, f64::from(x[class]).abs().min(1e30)),
                Operation::SparseLossAndGradient if class == label => (-others / sum, least),
                _ => (terms[class] / sum, 0.0),
            };
            worst[1] = worst[1].max(distance(result, wanted, scale));
        }
    }
    worst
}

fn check(backend: Backend) {
    if !backend.is_available() {
        return;
    }
    for classes in [2, 3, 4, 5, 7, 8, 10, 13, 16, 21, 31, 50, 64, 81, 100, 127, 128, 129, 1000, 1003, 5000] {
        let mut buffers = Buffers::new(shape(if classes < 1000 { 333 } else { 24 }, classes));
        let ordinary = buffers.logits.clone();
        for operation in OPERATIONS {
            for &form in forms(operation, classes) {
                buffers.logits.clone_from(&ordinary);
                buffers.results.clone_from(&ordinary);
                buffers.row_results.fill(f32::NAN);
                if operation != Operation::SoftmaxInPlace {
                    vary(&mut buffers);
                }
                run(&mut buffers, operation, form, backend);
                let [loss, matrix] = worst(&buffers, &buffers.logits, operation);
                assert!(
                    loss < ULP && matrix < ULP,
                    "{operation} {form:?} {classes}: loss {loss:.2}, matrix {matrix:.2} ULP"
                );
            }
        }
    }
}

#[test]
fn avx2_is_right() {
    check(Backend::Avx2);
}

#[test]
fn avx512_is_right() {
    check(Backend::Avx512);
}
