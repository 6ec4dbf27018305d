//! No rows, no classes, and more logits than 32 bits count.

use xent::{
    CrossEntropy, EmptyMean, Error, Hinge, LogSumExp, NegativeLogLikelihood, Reduction, Rows, RowsMut,
    Statistics, argmax, log_softmax, log_softmax_gradient, log_sum_exp, row_max, softmax,
    softmax_cross_entropy_with_logits, softmax_gradient, sparse_softmax_cross_entropy_with_logits,
};

use crate::common::{assert_same_bits, backends};
use crate::{rows, steps};

#[test]
fn no_rows() {
    for backend in backends() {
        for classes in [0, 1, 7] {
            let none = Rows::new(&[] as &[f32], 0, classes).unwrap().with_backend(backend);
            assert_eq!(softmax(none), Ok(vec![]));
            assert_eq!(log_softmax(none), Ok(vec![]));
            assert_eq!(softmax_gradient(none, none), Ok(vec![]));
            assert_eq!(log_softmax_gradient(none, none), Ok(vec![]));
            assert_eq!(log_sum_exp(none), Ok(vec![]));
            assert_eq!(row_max(none), Ok(vec![]));
            assert_eq!(argmax(none), Ok(vec![]));
            assert_eq!(softmax_cross_entropy_with_logits(none, none), Ok(vec![]));
            assert_eq!(sparse_softmax_cross_entropy_with_logits(&[0_u8; 0], none), Ok(vec![]));
            let (loss, gradient) = CrossEntropy::new().loss_and_gradient(&[0_i64; 0], none).unwrap();
            assert_eq!((loss.rows, gradient, loss.summary.used_rows), (vec![], vec![], 0));
            let (_, sums) = CrossEntropy::new().forward(none, none).unwrap();
            assert_eq!(CrossEntropy::new().backward(none, none, &sums), Ok(vec![]));
            assert_eq!(CrossEntropy::new().label_gradient(none), Ok(vec![]));
        }
    }
    assert_eq!(LogSumExp::of(&[]), Ok(LogSumExp::EMPTY));
}

#[test]
fn the_sum_over_no_rows_is_0_and_the_mean_is_nan_or_0() {
    for backend in backends() {
        let none = Rows::new(&[] as &[f32], 0, 3).unwrap().with_backend(backend);
        for (reduction, empty_mean, expected) in [
            (Reduction::None, EmptyMean::Nan, 0.0),
            (Reduction::Sum, EmptyMean::Nan, 0.0),
            (Reduction::Mean, EmptyMean::Nan, f32::NAN),
            (Reduction::Mean, EmptyMean::Zero, 0.0),
        ] {
            let loss = CrossEntropy::new().reduction(reduction).empty_mean(empty_mean);
            let sparse = loss.loss(&[0_u8; 0], none).unwrap().summary;
            let dense = loss.loss(none, none).unwrap().summary;
            assert_same_bits("loss", &[sparse.value, dense.value], &[expected; 2]);
            assert_eq!((sparse.used_rows, dense.used_rows), (0, 0));
        }
    }
    assert_eq!(EmptyMean::default(), EmptyMean::Nan);
}

#[test]
fn no_classes_is_an_error() {
    assert_eq!(Rows::new(&[] as &[f32], 3, 0).err(), Some(Error::NoClasses { rows: 3 }));
    assert_eq!(Rows::with_stride(&[1.0_f32], 1, 0, 5).err(), Some(Error::NoClasses { rows: 1 }));
    assert_eq!(RowsMut::new(&mut [] as &mut [f32], 3, 0).err(), Some(Error::NoClasses { rows: 3 }));
}

/// A million classes, one row of them in memory, and more than 2^32 logits in the view.
const CLASSES: usize = 1 << 20;
const ROWS: usize = (1 << 12) + 2;

#[test]
fn more_than_2_pow_32_logits() {
    assert!(ROWS as u64 * CLASSES as u64 > 1 << 32);
    let row = steps(100, CLASSES, -90.0);
    // Only the first row and the last are used, which lies behind 2^32 logits: the others cost nothing.
    let mut labels = vec![-1_i32; ROWS];
    (labels[0], labels[ROWS - 1]) = (77, 77);
    let loss = CrossEntropy::new().ignore_index(-1);
    for backend in backends() {
        let repeated = Rows::with_stride(&row, ROWS, CLASSES, 0).unwrap().with_backend(backend);
        let result = loss.loss(&labels, repeated).unwrap();
        let expected = loss.loss(&[77_i32], rows(&row, CLASSES, backend)).unwrap().rows[0];
        assert_eq!((result.rows.len(), result.summary.used_rows), (ROWS, 2));
        assert_same_bits("losses", &[result.rows[0], result.rows[ROWS - 1]], &[expected; 2]);
        assert!(result.rows[1..ROWS - 1].iter().all(|&loss| loss == 0.0));
        // Labels are checked behind 2^32 logits too.
        let mut bad = labels.clone();
        bad[ROWS - 1] = 1 << 20;
        let error = Error::LabelOutOfRange { row: ROWS - 1, label: 1 << 20, classes: CLASSES };
        assert_eq!(loss.loss(&bad, repeated).err(), Some(error));
    }
}

#[test]
fn more_than_2_pow_32_logits_in_the_other_operations_that_leave_rows_out() {
    let row = steps(100, CLASSES, -90.0);
    let mut labels = vec![-1_i32; ROWS];
    (labels[0], labels[ROWS - 1]) = (77, 77);
    let capped = CrossEntropy::new().ignore_index(-1).soft_cap(30.0).unwrap();
    let hinge = Hinge::new().ignore_index(-1);
    let likelihood = NegativeLogLikelihood::of_log_probabilities().ignore_index(-1);
    for backend in backends() {
        let repeated = Rows::with_stride(&row, ROWS, CLASSES, 0).unwrap().with_backend(backend);
        let once = rows(&row, CLASSES, backend);
        let mut indices = vec![0; ROWS];
        let wanted = Statistics::new().argmax(&mut indices);
        capped.statistics_into(&labels, repeated, wanted).unwrap();
        assert_eq!((indices[0], indices[1]), (indices[ROWS - 1], usize::MAX));
        for (losses, expected) in [
            (capped.loss(&labels, repeated).unwrap(), capped.loss(&[77_i32], once).unwrap()),
            (hinge.loss(&labels, repeated).unwrap(), hinge.loss(&[77_i32], once).unwrap()),
            (likelihood.loss(&labels, repeated).unwrap(), likelihood.loss(&[77_i32], once).unwrap()),
        ] {
            assert_same_bits("losses", &[losses.rows[0], losses.rows[ROWS - 1]], &[expected.rows[0]; 2]);
            assert!(losses.rows[1..ROWS - 1].iter().all(|&loss| loss == 0.0));
            assert_eq!(losses.summary.used_rows, 2);
        }
    }
}

#[test]
fn views_of_more_than_2_pow_32_rows() {
    let buffer = [1.0, 2.0, 3.0];
    let view = Rows::with_stride(&buffer, 1 << 40, 3, 0).unwrap();
    assert_eq!((view.rows(), view.classes(), view.stride()), (1 << 40, 3, 0));
    assert_eq!(view.row((1 << 40) - 1), Some(&buffer[..]));
    assert_eq!(view.row(1 << 40), None);
    // Nothing of it can be written: errors, not attempts.
    let error = Error::RowCount { what: "losses", given: 1, expected: 1 << 40 };
    assert_eq!(CrossEntropy::new().loss_into(&[0_u8], view, &mut [0.0]).err(), Some(error));
    assert_eq!(
        xent::log_sum_exp_into(view, &mut [0.0]),
        Err(Error::RowCount { what: "results", given: 1, expected: 1 << 40 })
    );
}

#[test]
fn sizes_that_overflow_are_an_error() {
    assert_eq!(
        Rows::with_stride(&[0.0_f32; 3], usize::MAX / 2, 3, 0).err(),
        Some(Error::SizeOverflow { rows: usize::MAX / 2, stride: 3 })
    );
}
