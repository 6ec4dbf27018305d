//! What is exact, on every backend: one class, a certain row, zeros and their signs.

use xent::{LogSumExp, log_softmax, log_sum_exp, softmax};

use crate::common::strategies::{Base, Recipe};
use crate::common::{assert_same_bits, backends};
use crate::{dense, is_plus_zero, one_hot, rows, sparse};

/// Numbers at which an exponential alone would not come back as itself.
const ANY: [f32; 16] = [
    0.0,
    -0.0,
    1.0,
    -3.3,
    87.9,
    -103.3,
    263.99997,
    264.0,
    264.00003,
    -264.00003,
    1e-6,
    1e8,
    -1e30,
    f32::MAX,
    f32::MIN,
    1e-45,
];

#[test]
fn one_class_gives_exactly_1_and_a_loss_and_gradient_of_0() {
    for backend in backends() {
        for x in ANY {
            let logits = [x];
            assert_same_bits("softmax", &softmax(rows(&logits, 1, backend)).unwrap(), &[1.0]);
            assert!(log_softmax(rows(&logits, 1, backend)).unwrap()[0] == 0.0, "{backend} at {x:e}");
            for (loss, gradient) in [sparse(&logits, 0, backend), dense(&logits, &[1.0], backend)] {
                assert!(is_plus_zero(loss), "{backend}: a loss of {loss:e} at {x:e}");
                assert!(gradient[0] == 0.0, "{backend}: a gradient of {:e} at {x:e}", gradient[0]);
            }
        }
    }
}

#[test]
fn the_log_sum_exp_of_one_class_is_its_logit() {
    for backend in backends() {
        for x in ANY {
            let sum = log_sum_exp(rows(&[x], 1, backend)).unwrap()[0];
            // -0, and what is below the smallest normal number, may come back as 0.
            let flushed = sum == 0.0 && x.abs() < f32::MIN_POSITIVE;
            assert!(sum.to_bits() == x.to_bits() || flushed, "{backend}: {sum:e} for {x:e}");
        }
    }
}

#[test]
fn a_certain_row_gives_exactly_1_and_0() {
    // 120 below the largest, a thousand terms together underflow even as a subnormal number.
    for backend in backends() {
        for (classes, at) in [(2, 0), (3, 2), (40, 17), (513, 512), (1100, 600)] {
            for (top, others) in [(0.0, -120.0), (300.0, 10.0), (1e8, -1e8), (f32::MAX, f32::MIN)] {
                let mut row = vec![others; classes];
                row[at] = top;
                let p = softmax(rows(&row, classes, backend)).unwrap();
                assert_same_bits(&format!("softmax on {backend}"), &p, &one_hot(at, classes));
                for (loss, gradient) in
                    [sparse(&row, at, backend), dense(&row, &one_hot(at, classes), backend)]
                {
                    assert!(is_plus_zero(loss), "{backend}: a loss of {loss:e}");
                    assert!(gradient.iter().all(|&g| g == 0.0), "{backend}: {top:e} over {others:e}");
                }
            }
        }
    }
}

#[test]
fn a_certain_row_with_another_label_gives_gradients_of_exactly_1() {
    for backend in backends() {
        let (loss, gradient) = sparse(&[0.0, 300.0, -5.0], 0, backend);
        assert_same_bits("loss", &[loss], &[300.0]);
        assert_same_bits("gradient", &gradient, &[-1.0, 1.0, 0.0]);
    }
}

#[test]
fn losses_are_never_minus_zero() {
    for backend in backends() {
        for row in [&[0.0_f32][..], &[-0.0], &[500.0, 0.0], &[3.0, f32::NEG_INFINITY], &[0.0, -1e30, -1e30]] {
            let classes = row.len();
            assert!(is_plus_zero(sparse(row, 0, backend).0), "{backend}: {row:?}");
            // Labels of both signs, that multiply a loss of 0, and none.
            for label in [1.0, -1.0, 0.5, 0.0, -0.0] {
                let mut labels = vec![0.0; classes];
                labels[0] = label;
                let loss = dense(row, &labels, backend).0;
                assert!(is_plus_zero(loss), "{backend}: {loss:e} for {row:?} and {labels:?}");
                labels[1..].fill(-0.0);
                assert!(is_plus_zero(dense(row, &labels, backend).0), "{backend}: {row:?} and {labels:?}");
            }
        }
    }
}

#[test]
fn probabilities_below_the_smallest_normal_are_plus_zero() {
    let base = Base::Spread(120.0);
    let recipe = Recipe { base, confident: None, ties: false, offset: 0.0, masked: 0.1, seed: 3 };
    for classes in [50, 600, 3000] {
        for offset in [0.0, -250.0, 1e4] {
            let row = Recipe { offset, ..recipe }.cook(classes);
            for backend in backends() {
                let p = softmax(rows(&row, classes, backend)).unwrap();
                let flushed = p.iter().filter(|&&p| is_plus_zero(p)).count();
                let normal = p.iter().filter(|p| p.is_normal() && p.is_sign_positive()).count();
                assert_eq!(flushed + normal, classes, "{backend}: a subnormal, or -0");
                assert!(flushed > 0 && normal > 0, "{backend}: the row has no both kinds");
            }
        }
    }
}

#[test]
fn equal_logits_give_equal_results() {
    for backend in backends() {
        for x in ANY {
            for classes in [2, 16, 67, 512, 2048] {
                let row = vec![x; classes];
                let p = softmax(rows(&row, classes, backend)).unwrap();
                assert!(p.iter().all(|q| q.to_bits() == p[0].to_bits()), "{backend}, {x:e}");
            }
        }
    }
}

#[test]
fn a_merged_sum_has_what_both_runs_have() {
    let x = [1.0, -2.0, 0.5, 7.0, -1e9];
    let whole = LogSumExp::of(&x).unwrap();
    for at in 0..=x.len() {
        let (a, b) = x.split_at(at);
        let merged = LogSumExp::of(a).unwrap().merge(LogSumExp::of(b).unwrap());
        let same = (merged.to_f64() - whole.to_f64()).abs() <= 1e-7; // an f32's ULP at 7 is 5e-7
        assert!(same, "cut at {at}: {merged:?} and {whole:?}");
    }
    assert_same_bits("of nothing", &[LogSumExp::EMPTY.value()], &[f32::NEG_INFINITY]);
    assert_same_bits("of nothing", &[LogSumExp::of(&[]).unwrap().value()], &[f32::NEG_INFINITY]);
}
