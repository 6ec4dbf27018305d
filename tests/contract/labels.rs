//! Labels of 0, ignored rows, bad labels.

use xent::{CrossEntropy, EmptyMean, Error, LogSumExp, Reduction, RowsMut};

use crate::common::{assert_same_bits, backends};
use crate::{dense, is_plus_zero, rows, steps};

#[test]
fn zero_label_on_minus_inf_contributes_exactly_zero() {
    for backend in backends() {
        for classes in [3, 40, 600] {
            let mut row = steps(5, classes, 0.0);
            let mut labels = vec![0.0; classes];
            (labels[0], labels[1]) = (0.25, 0.75);
            let (finite, _) = dense(&row, &labels, backend);
            // The last class, of label 0, leaves.
            let (without, _) = dense(&row[..classes - 1], &labels[..classes - 1], backend);
            row[classes - 1] = f32::NEG_INFINITY;
            let (loss, gradient) = dense(&row, &labels, backend);
            assert!(
                loss < finite && (loss - without).abs() <= 2.0 * f32::EPSILON * without,
                "{backend}: {loss}"
            );
            assert!(gradient[classes - 1] == 0.0, "{backend}");
            labels[classes - 1] = -0.0;
            let (minus_zero, _) = dense(&row, &labels, backend);
            assert_same_bits("a label of -0", &[minus_zero], &[loss]);
        }
    }
}

#[test]
fn labels_of_nothing_give_exactly_zero() {
    for backend in backends() {
        for row in [&[1.0, 2.0, 3.0][..], &[5.0], &[f32::NEG_INFINITY, 0.0], &[1e30, -1e30]] {
            let (loss, gradient) = dense(row, &vec![0.0; row.len()], backend);
            assert!(is_plus_zero(loss), "{backend}: {loss:e}");
            assert!(gradient.iter().all(|&g| g == 0.0), "{backend}: {gradient:?}");
        }
    }
}

/// Three rows, the middle one ignored and unfit to be read.
const HOSTILE: [f32; 12] =
    [1.0, 2.0, 3.0, -1.0, f32::NAN, f32::INFINITY, f32::NAN, f32::NEG_INFINITY, 0.5, 20.0, -3.0, 0.0];
const LABELS: [i64; 3] = [2, -100, 1];

#[test]
fn ignored_row_is_never_read() {
    let loss = CrossEntropy::new().ignore_index(-100);
    // The other rows alone.
    let others: Vec<f32> = [&HOSTILE[..4], &HOSTILE[8..]].concat();
    for backend in backends() {
        let (expected, expected_gradient) =
            loss.loss_and_gradient(&[2_i64, 1], rows(&others, 4, backend)).unwrap();
        let (result, gradient) = loss.loss_and_gradient(&LABELS, rows(&HOSTILE, 4, backend)).unwrap();
        assert_same_bits("losses", &result.rows, &[expected.rows[0], 0.0, expected.rows[1]]);
        assert_same_bits("gradient", &gradient[..4], &expected_gradient[..4]);
        assert_same_bits("the ignored row's gradient", &gradient[4..8], &[0.0; 4]);
        assert_same_bits("gradient", &gradient[8..], &expected_gradient[4..]);
        assert_eq!(result.summary, expected.summary);
        assert_eq!(result.summary.used_rows, 2);

        let (two_passes, sums) = loss.forward(&LABELS, rows(&HOSTILE, 4, backend)).unwrap();
        assert_eq!(two_passes, result);
        assert_eq!(sums[1], LogSumExp::EMPTY);
        let backward = loss.backward(&LABELS, rows(&HOSTILE, 4, backend), &sums).unwrap();
        assert_same_bits("two passes", &backward, &gradient);

        let mut over = HOSTILE;
        let mut losses = [9.0; 3];
        let view = RowsMut::new(&mut over, 3, 4).unwrap().with_backend(backend);
        loss.loss_and_gradient_in_place(&LABELS, view, &mut losses).unwrap();
        assert_same_bits("in place", &over, &gradient);
        assert_same_bits("in place", &losses, &result.rows);
    }
}

/// An upstream gradient at an ignored row is not read either.
#[test]
fn ignored_row_has_gradient_zero_whatever_its_upstream_gradient() {
    for backend in backends() {
        for upstream in [f32::NAN, f32::INFINITY, -1.0] {
            let upstream = [1.0, upstream, 1.0];
            let loss = CrossEntropy::new().ignore_index(-100).upstream(&upstream);
            let (_, gradient) = loss.loss_and_gradient(&LABELS, rows(&HOSTILE, 4, backend)).unwrap();
            assert_same_bits("gradient", &gradient[4..8], &[0.0; 4]);
            assert!(gradient.iter().all(|g| g.is_finite()), "{backend}: {gradient:?}");
        }
    }
}

#[test]
fn a_class_may_be_the_ignored_label() {
    for backend in backends() {
        let logits = [1.0, 2.0, 1.0, 2.0];
        let loss = CrossEntropy::new().ignore_index(0).loss(&[0_u8, 1], rows(&logits, 2, backend)).unwrap();
        assert!(is_plus_zero(loss.rows[0]) && loss.rows[1] > 0.0, "{backend}: {:?}", loss.rows);
        assert_eq!(loss.summary.used_rows, 1);
    }
}

#[test]
fn the_mean_is_over_the_rows_that_are_used() {
    let mean = CrossEntropy::new().ignore_index(-100).reduction(Reduction::Mean);
    let sum = mean.reduction(Reduction::Sum);
    for backend in backends() {
        let mean = mean.loss(&LABELS, rows(&HOSTILE, 4, backend)).unwrap().summary;
        let sum = sum.loss(&LABELS, rows(&HOSTILE, 4, backend)).unwrap().summary;
        // Half of a sum is exact.
        assert_same_bits("mean", &[mean.value], &[sum.value / 2.0]);
        assert_eq!((mean.used_rows, sum.used_rows), (2, 2));
    }
}

#[test]
fn all_rows_ignored_is_as_no_rows() {
    let loss = CrossEntropy::new().ignore_index(7);
    for backend in backends() {
        for (reduction, empty_mean, expected) in [
            (Reduction::None, EmptyMean::Nan, 0.0),
            (Reduction::Sum, EmptyMean::Nan, 0.0),
            (Reduction::Mean, EmptyMean::Nan, f32::NAN),
            (Reduction::Mean, EmptyMean::Zero, 0.0),
        ] {
            let loss = loss.reduction(reduction).empty_mean(empty_mean);
            let (loss, gradient) = loss.loss_and_gradient(&[7_u64; 3], rows(&HOSTILE, 4, backend)).unwrap();
            assert_same_bits("loss", &[loss.summary.value], &[expected]);
            assert_eq!(loss.summary.used_rows, 0);
            assert_same_bits("losses", &loss.rows, &[0.0; 3]);
            assert_same_bits("gradient", &gradient, &[0.0; 12]);
        }
    }
}

/// All of it is in the test crate `errors`.
#[test]
fn bad_label_is_an_error_with_row_label_and_class_count_before_anything_is_written() {
    for backend in backends() {
        for bad in [-1, 4, i64::MAX, i64::MIN] {
            let mut over = HOSTILE;
            let mut losses = [9.0; 3];
            let view = RowsMut::new(&mut over, 3, 4).unwrap().with_backend(backend);
            let result = CrossEntropy::new().loss_and_gradient_in_place(&[0, 1, bad], view, &mut losses);
            assert_eq!(result, Err(Error::LabelOutOfRange { row: 2, label: bad.into(), classes: 4 }));
            assert_same_bits("logits", &over, &HOSTILE);
            assert_same_bits("losses", &losses, &[9.0; 3]);
        }
    }
}

#[test]
fn labels_that_are_no_distribution_are_weights() {
    // Twice the labels, twice the loss; one of them negative subtracts: powers of two, so exactly.
    for backend in backends() {
        let row = [1.0, -2.0, 0.5];
        let (loss, gradient) = dense(&row, &[0.5, 0.25, 0.125], backend);
        let (twice, twice_gradient) = dense(&row, &[1.0, 0.5, 0.25], backend);
        assert_same_bits("loss", &[twice], &[2.0 * loss]);
        let expected: Vec<f32> = gradient.iter().map(|g| 2.0 * g).collect();
        assert_same_bits("gradient", &twice_gradient, &expected);
        let (negative, negative_gradient) = dense(&row, &[-0.5, -0.25, -0.125], backend);
        assert_same_bits("loss", &[negative], &[-loss]);
        let expected: Vec<f32> = gradient.iter().map(|g| -g).collect();
        assert_same_bits("gradient", &negative_gradient, &expected);
    }
}

#[test]
fn labels_of_nan_or_infinity_concern_their_row_alone() {
    for backend in backends() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let logits = [1.0, 2.0, 3.0, 1.0, 2.0, 3.0];
            let labels = [bad, 0.0, 0.0, 0.5, 0.5, 0.0];
            let labels = rows(&labels, 3, backend);
            let (loss, gradient) =
                CrossEntropy::new().loss_and_gradient(labels, rows(&logits, 3, backend)).unwrap();
            assert!(!loss.rows[0].is_finite() && loss.rows[1].is_finite(), "{backend}: {:?}", loss.rows);
            assert!(gradient[3..].iter().all(|g| g.is_finite()), "{backend}: {gradient:?}");
        }
    }
}
