//! NaN, infinities, masked classes.

use xent::{
    Backend, CrossEntropy, Rows, argmax, log_softmax, log_softmax_gradient, log_sum_exp, row_max, softmax,
    softmax_gradient,
};

use crate::common::{assert_same_bits, backends};
use crate::{dense, is_plus_zero, one_hot, rows, sparse, steps};

/// NaN of both signs, quiet and signalling, with payloads.
const NANS: [u32; 4] = [0x7fc0_0000, 0xffc0_0001, 0x7f80_0001, 0xffff_ffff];

/// The results of every operation on the logits, rows × classes or one per row.
fn everything(logits: Rows<'_>) -> Vec<(&'static str, Vec<f32>)> {
    let (n, classes) = (logits.rows(), logits.classes());
    let labels: Vec<usize> = (0..n).map(|row| row % classes).collect();
    let uniform = vec![0.25; n * classes];
    let uniform = Rows::new(&uniform, n, classes).unwrap();
    let loss = CrossEntropy::new();
    let (sparse, sparse_gradient) = loss.loss_and_gradient(&labels, logits).unwrap();
    let (dense, dense_gradient) = loss.loss_and_gradient(uniform, logits).unwrap();
    vec![
        ("softmax", softmax(logits).unwrap()),
        ("log-softmax", log_softmax(logits).unwrap()),
        ("sparse loss", sparse.rows),
        ("sparse gradient", sparse_gradient),
        ("dense loss", dense.rows),
        ("dense gradient", dense_gradient),
        ("label gradient", loss.label_gradient(logits).unwrap()),
        ("log-sum-exp", log_sum_exp(logits).unwrap()),
        ("row maximum", row_max(logits).unwrap()),
    ]
}

#[test]
fn nan_in_a_row_makes_that_row_nan_and_no_other() {
    for backend in backends() {
        for classes in [1, 5, 16, 33, 100, 513, 1100] {
            for (nan, at) in NANS.into_iter().zip([0, classes / 2, classes - 1, classes / 3]) {
                let clean = steps(13, 3 * classes, -6.0);
                let mut values = clean.clone();
                values[classes + at] = f32::from_bits(nan);
                let expected = everything(rows(&clean, classes, backend));
                for ((what, got), (_, want)) in
                    everything(rows(&values, classes, backend)).into_iter().zip(expected)
                {
                    let context = format!("{what}, NaN at {at} of {classes} on {backend}");
                    let row = got.len() / 3;
                    assert!(
                        got[row..2 * row].iter().all(|x| x.is_nan()),
                        "{context}: {:?}",
                        &got[row..2 * row]
                    );
                    assert_same_bits(&context, &got[..row], &want[..row]);
                    assert_same_bits(&context, &got[2 * row..], &want[2 * row..]);
                }
            }
        }
    }
}

#[test]
fn nan_wins_over_infinities() {
    for backend in backends() {
        for other in [f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
            for row in [
                vec![f32::NAN, other],
                vec![other, f32::NAN],
                [vec![other; 600], vec![f32::NAN; 30]].concat(),
            ] {
                for (what, got) in everything(rows(&row, row.len(), backend)) {
                    assert!(got.iter().all(|x| x.is_nan()), "{what} of {:?} on {backend}", &row[..2]);
                }
            }
        }
    }
}

/// All results of a row but its log-sum-exp and its maximum are NaN.
fn assert_no_softmax(row: &[f32], limit: f32, backend: Backend) {
    for (what, got) in everything(rows(row, row.len(), backend)) {
        match what {
            "log-sum-exp" | "row maximum" => assert_same_bits(what, &got, &[limit]),
            _ => assert!(got.iter().all(|x| x.is_nan()), "{what} on {backend}: {:?}", &got[..1]),
        }
    }
}

#[test]
fn plus_infinity_gives_nan_and_a_log_sum_exp_of_plus_infinity() {
    for backend in backends() {
        for classes in [1, 2, 17, 64, 513, 1100] {
            for at in [0, classes / 2, classes - 1] {
                for others in [0.0, -1e30, 300.0, f32::NEG_INFINITY, f32::INFINITY] {
                    let mut row = vec![others; classes];
                    row[at] = f32::INFINITY;
                    assert_no_softmax(&row, f32::INFINITY, backend);
                }
            }
        }
    }
}

#[test]
fn only_minus_infinity_gives_nan_and_a_log_sum_exp_of_minus_infinity() {
    for backend in backends() {
        for classes in [1, 2, 16, 17, 64, 512, 513, 1100] {
            assert_no_softmax(&vec![f32::NEG_INFINITY; classes], f32::NEG_INFINITY, backend);
        }
    }
}

/// Which classes are masked: one, the last ones, all but one, a whole block of 512, every other.
fn masks(classes: usize) -> [Vec<bool>; 6] {
    let mask = |masked: &dyn Fn(usize) -> bool| (0..classes).map(masked).collect();
    [
        mask(&|i| i == classes / 2),
        mask(&|i| i >= classes - classes / 3),
        mask(&|i| i != classes - 1),
        mask(&|i| i < classes / 512 * 512),
        mask(&|i| i >= 512),
        mask(&|i| i % 2 == 1),
    ]
}

#[test]
fn a_masked_class_has_probability_0_and_gradient_0_and_the_others_are_as_without_it() {
    for backend in backends() {
        for classes in [2, 7, 40, 513, 600, 1536] {
            for offset in [0.0, -300.0, -1e4, 1e4] {
                for mask in masks(classes) {
                    let mut kept = steps(7, classes, offset);
                    let mut masked = mask.iter();
                    kept.retain(|_| !masked.next().unwrap());
                    if kept.is_empty() {
                        continue;
                    }
                    check_mask(&mask, &kept, backend);
                }
            }
        }
    }
}

fn check_mask(mask: &[bool], kept: &[f32], backend: Backend) {
    let classes = mask.len();
    let mut rest = kept.iter();
    let row: Vec<f32> =
        mask.iter().map(|&m| if m { f32::NEG_INFINITY } else { *rest.next().unwrap() }).collect();
    let label = mask.iter().position(|m| !m).unwrap();
    let p = softmax(rows(&row, classes, backend)).unwrap();
    let z = log_softmax(rows(&row, classes, backend)).unwrap();
    let (loss, sparse_gradient) = sparse(&row, label, backend);
    let (dense_loss, dense_gradient) = dense(&row, &one_hot(label, classes), backend);
    let context = format!("{} of {classes} classes near {} on {backend}", kept.len(), kept[0]);
    assert!(loss.is_finite() && dense_loss.is_finite(), "{context}: {loss}, {dense_loss}");
    for i in (0..classes).filter(|&i| mask[i]) {
        assert!(is_plus_zero(p[i]), "{context}: probability {} of class {i}", p[i]);
        assert!(z[i] == f32::NEG_INFINITY, "{context}: log-probability {} of class {i}", z[i]);
        assert!(sparse_gradient[i] == 0.0 && dense_gradient[i] == 0.0, "{context}: gradient of class {i}");
    }
    // Blocks fall elsewhere without the masked classes, so the sums may differ: by 2 ULP, an EPSILON each.
    let alone = softmax(rows(kept, kept.len(), backend)).unwrap();
    for (p, q) in p.iter().zip(mask).filter(|(_, m)| !**m).map(|(p, _)| p).zip(&alone) {
        assert!((p - q).abs() <= 2.0 * f32::EPSILON * q, "{context}: {p:e} is not {q:e}");
    }
}

#[test]
fn label_on_minus_inf_gives_loss_inf_and_finite_gradient() {
    for backend in backends() {
        for classes in [2, 17, 600] {
            for label in [0, classes - 1] {
                let mut row = vec![0.5; classes];
                row[label] = f32::NEG_INFINITY;
                for (loss, gradient) in
                    [sparse(&row, label, backend), dense(&row, &one_hot(label, classes), backend)]
                {
                    assert!(loss == f32::INFINITY, "{backend}: {loss}");
                    assert_same_bits("at the label", &[gradient[label]], &[-1.0]);
                    assert!(gradient.iter().all(|g| g.is_finite()), "{backend}: {gradient:?}");
                }
            }
        }
    }
}

#[test]
fn argmax_is_the_first_of_equal_logits_and_the_first_nan() {
    for backend in backends() {
        let index = |row: &[f32]| argmax(rows(row, row.len(), backend)).unwrap()[0];
        assert_eq!(index(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(index(&[-0.0, 0.0]), 0);
        assert_eq!(index(&[f32::NEG_INFINITY; 600]), 0);
        assert_eq!(index(&[f32::INFINITY, f32::NAN, f32::NAN]), 1);
        for classes in [64, 600, 1500] {
            for at in [0, 1, 16, 63, classes - 2, classes / 2] {
                let mut row = vec![-1.0; classes];
                row[at] = 2.0;
                row[classes - 1] = 2.0;
                assert_eq!(index(&row), at, "{classes} classes on {backend}");
                row[classes - 1] = f32::NAN;
                assert_eq!(index(&row), classes - 1, "{classes} classes on {backend}");
                row[at] = f32::NAN;
                assert_eq!(index(&row), at, "{classes} classes on {backend}");
            }
        }
    }
}

/// A class of probability 0 takes no part in the gradient through softmax.
#[test]
fn gradients_through_outputs_pass_over_masked_classes() {
    for backend in backends() {
        let y = rows(&[0.25, 0.0, 0.75], 3, backend);
        for upstream in [f32::NAN, f32::INFINITY, -1e38] {
            let g = [1.0, upstream, 0.0];
            let dx = softmax_gradient(y, rows(&g, 3, backend)).unwrap();
            assert_same_bits("softmax", &dx, &[0.1875, 0.0, -0.1875]);
        }
        let z = rows(&[-core::f32::consts::LN_2, f32::NEG_INFINITY, -core::f32::consts::LN_2], 3, backend);
        let dx = log_softmax_gradient(z, rows(&[-1.0, 0.0, 0.0], 3, backend)).unwrap();
        assert_same_bits("log-softmax", &dx, &[-0.5, 0.0, 0.5]);
    }
}

#[test]
fn the_ends_of_the_range_of_f32_are_numbers_like_others() {
    for backend in backends() {
        let p = |row: &[f32]| softmax(rows(row, row.len(), backend)).unwrap();
        for end in [f32::MAX, f32::MIN] {
            assert_same_bits("softmax", &p(&[end; 4]), &[0.25; 4]);
            let (loss, gradient) = sparse(&[end; 4], 1, backend);
            assert_same_bits("loss", &[loss], &[4.0_f32.ln()]);
            assert_same_bits("gradient", &gradient, &[0.25, -0.75, 0.25, 0.25]);
        }
        assert_same_bits("softmax", &p(&[3e38, -3e38, 3e38]), &[0.5, 0.0, 0.5]);
    }
}

#[test]
fn a_distance_that_f32_does_not_hold_gives_a_loss_of_what_its_label_leaves_of_it() {
    for backend in backends() {
        // 6e38, and half of it.
        assert!(sparse(&[3e38, -3e38], 1, backend).0 == f32::INFINITY, "{backend}");
        assert_same_bits("dense loss", &[dense(&[3e38, -3e38], &[0.5, 0.5], backend).0], &[3e38]);
    }
}
