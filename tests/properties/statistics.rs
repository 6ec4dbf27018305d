//! The statistics of rows against the f64 reference, on every backend.

use crate::common::composite::{Composite, Target};
use crate::common::property::for_all;
use crate::common::reference;
use crate::common::statistics::Inspected;
use crate::common::strategies::{Logits, all_logits, labels};
use crate::common::{assert_same_bits, backends, contract};
use proptest::prelude::*;
use xent::{Backend, CrossEntropy, Error, Rows, Statistics, argmax, log_sum_exp};

/// The statistics alone, which are those that come with a loss.
fn all(loss: CrossEntropy<'_>, labels: &[i64], logits: Rows<'_>) -> Inspected {
    let alone = Inspected::of(logits.rows(), |statistics| loss.statistics_into(labels, logits, statistics));
    let mut losses = vec![9.0; logits.rows()];
    let with_loss = Inspected::of(logits.rows(), |statistics| {
        loss.loss_and_statistics_into(labels, logits, &mut losses, statistics).map(drop)
    });
    assert_same_bits("losses", &losses, &loss.loss(labels, logits).expect("a valid call").rows);
    for (a, b) in [
        (&alone.log_sum_exp, &with_loss.log_sum_exp),
        (&alone.log_probability, &with_loss.log_probability),
        (&alone.z_loss, &with_loss.z_loss),
        (&alone.entropy, &with_loss.entropy),
    ] {
        assert_same_bits("statistics with a loss", a, b);
    }
    assert_eq!((&alone.argmax, &alone.correct), (&with_loss.argmax, &with_loss.correct));
    alone
}

fn view(logits: &Logits, backend: Backend) -> Rows<'_> {
    let matrix = &logits.matrix;
    Rows::new(&matrix.values, matrix.rows, matrix.classes).expect("a matrix").with_backend(backend)
}

#[test]
fn statistics_are_those_of_the_reference() {
    let cases = all_logits().prop_flat_map(|logits| {
        let labels = labels(&logits.matrix);
        (Just(logits), labels)
    });
    for_all("statistics", cases, |(logits, labels), backend, errors| {
        let indices: Vec<i64> = labels.iter().map(|&label| i64::try_from(label).expect("a class")).collect();
        let rows = view(logits, backend);
        let got = all(CrossEntropy::new(), &indices, rows);
        assert_same_bits("log-sum-exp", &got.log_sum_exp, &log_sum_exp(rows).expect("a valid call"));
        let losses = CrossEntropy::new().loss(labels, rows).expect("a valid call").rows;
        assert_same_bits("log-probability", &got.log_probability, &negative(&losses));
        assert_eq!(got.argmax, argmax(rows).expect("a valid call"));
        for (row, logits) in logits.matrix.iter().enumerate() {
            let right = got.argmax[row] == labels[row] && !logits[labels[row]].is_nan();
            assert_eq!(got.correct[row], right);
            let parts = reference::softmax(logits).into_iter().zip(reference::losses(logits));
            let entropy: f64 = parts.map(|(p, loss)| if p == 0.0 { 0.0 } else { p * loss }).sum();
            // A loss's 2, and the 1 of a term.
            errors.within(contract::LOSS + 1.0, "entropy", backend, got.entropy[row], entropy);
        }
    });
}

#[test]
fn statistics_are_those_of_mapped_logits() {
    let values = [3.0, 1.0, 9.0, -2.0, 0.5, 0.0, 4.0, 1.0];
    for backend in backends() {
        let logits = Rows::new(&values, 2, 4).expect("rows").with_backend(backend);
        let mask = [true, true, false, true];
        let loss = CrossEntropy::new().class_mask(&mask).temperature(2.0).expect("a temperature");
        let got = all(loss, &[0, 1], logits);
        assert_eq!((got.argmax.as_slice(), got.correct.as_slice()), (&[0, 3][..], &[true, false][..]));
        let losses = loss.loss(&[0, 1], logits).expect("a valid call").rows;
        assert_same_bits("log-probability", &got.log_probability, &negative(&losses));
        let composite = Composite {
            class_weights: None,
            row_weight: 1.0,
            keep: mask.to_vec(),
            smoothing: (0.0, false),
            z_loss: 0.0,
            scale: 0.5,
            cap: None,
            unit_mass: false,
        };
        let want = composite.row(Target::Class(0), &values[..4], 1.0).loss;
        assert!((f64::from(losses[0]) - want).abs() < 1e-6);
    }
}

/// The negative of each number, never -0.
fn negative(losses: &[f32]) -> Vec<f32> {
    losses.iter().map(|loss| 0.0 - loss).collect()
}

#[test]
fn an_ignored_row_has_no_statistics() {
    for backend in backends() {
        let logits =
            Rows::new(&[f32::NAN, f32::INFINITY, 1.0, 0.0], 2, 2).expect("rows").with_backend(backend);
        let got = all(CrossEntropy::new().ignore_index(-1), &[-1, 0], logits);
        assert_same_bits("log-sum-exp", &got.log_sum_exp[..1], &[f32::NEG_INFINITY]);
        assert_same_bits("zeros", &[got.log_probability[0], got.entropy[0]], &[0.0, 0.0]);
        assert_eq!(
            (got.argmax.as_slice(), got.correct.as_slice()),
            (&[usize::MAX, 0][..], &[false, true][..])
        );
    }
}

#[test]
fn each_statistic_by_itself_is_the_one_of_all() {
    // The second row has its largest logit off the label, the third has a NaN.
    let values = [0.5, 3.0, -1.0, 2.0, -4.0, 0.25, f32::NAN, 1.0, 2.0, 9.0, 9.0, -3.0];
    let labels = [1_i64, 2, 2, 0];
    for backend in backends() {
        let logits = Rows::new(&values, 4, 3).expect("rows").with_backend(backend);
        let loss = CrossEntropy::new().z_loss(0.5).expect("a factor");
        let all = all(loss, &labels, logits);
        let call =
            |wanted: Statistics<'_>| loss.statistics_into(&labels, logits, wanted).expect("a valid call");
        let (mut float, mut index, mut flag) = ([7.0; 4], [7; 4], [false; 4]);
        call(Statistics::new().log_sum_exp(&mut float));
        assert_same_bits("log-sum-exp", &float, &all.log_sum_exp);
        call(Statistics::new().log_probability(&mut float));
        assert_same_bits("log-probability", &float, &all.log_probability);
        call(Statistics::new().z_loss(&mut float));
        assert_same_bits("z-loss", &float, &all.z_loss);
        call(Statistics::new().entropy(&mut float));
        assert_same_bits("entropy", &float, &all.entropy);
        call(Statistics::new().argmax(&mut index));
        assert_eq!((&index[..], index), (&all.argmax[..], [1, 0, 0, 0]));
        call(Statistics::new().correct(&mut flag));
        assert_eq!((&flag[..], flag), (&all.correct[..], [true, false, false, true]));
    }
}

#[test]
fn only_what_is_wanted_is_written_and_its_length_is_checked() {
    let logits = Rows::new(&[0.0; 4], 2, 2).expect("rows");
    let mut entropy = [9.0; 3];
    let wanted = Statistics::new().entropy(&mut entropy);
    let error = CrossEntropy::new().statistics_into(&[0_u8, 1], logits, wanted).expect_err("a length");
    assert_eq!(error, Error::RowCount { what: "entropies", given: 3, expected: 2 });
    assert_same_bits("untouched", &entropy, &[9.0; 3]);
    assert!(CrossEntropy::new().statistics_into(&[0_u8, 1], logits, Statistics::default()).is_ok());
}
