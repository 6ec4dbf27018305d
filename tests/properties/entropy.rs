//! The entropy of predictions and its gradient, against a naive reference in f64.

use crate::common::{backends, reference};
use xent::{CrossEntropy, EmptyRows, Error, Rows, RowsMut};

/// `H` and `-p_i (ln p_i + H)`; 0 where `p` is 0.
fn expected(logits: &[f32]) -> (f64, Vec<f64>) {
    let p = reference::softmax(logits);
    let logs = reference::log_softmax(logits);
    let part = |(p, log): (&f64, &f64)| if *p == 0.0 { 0.0 } else { p * log };
    let entropy = -p.iter().zip(&logs).map(part).sum::<f64>();
    let slope = |(p, log): (&f64, &f64)| if *p == 0.0 { 0.0 } else { -p * (log + entropy) };
    (entropy, p.iter().zip(&logs).map(slope).collect())
}

/// Logits of any size and sign, some of them masked, from a small generator.
fn logits(rows: usize, classes: usize, wide: f32) -> Vec<f32> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        f32::from(u16::try_from(state >> 48).expect("16 bits")) / 65_536.0 - 0.5
    };
    let mut one = || if next() < -0.4 { f32::NEG_INFINITY } else { wide * next() };
    (0..rows * classes).map(|i| if i % classes == 0 { 0.25 } else { one() }).collect()
}

/// Asserts that a gradient is what it should be, beside what f32 holds of `ln sum - H` and of a logit.
fn assert_close(what: &str, logits: &[f32], got: (f32, &[f32]), want: &(f64, Vec<f64>), factor: f64) {
    let half_ulp = f64::from(f32::EPSILON) / 2.0;
    assert!(
        (f64::from(got.0) - want.0).abs() <= 8.0 * half_ulp * want.0.max(1e-30),
        "{what}: {got:?}, not {want:?}"
    );
    let (p, lse) = (reference::softmax(logits), reference::log_sum_exp(logits));
    for (class, got) in got.1.iter().enumerate() {
        let want = factor * want.1[class];
        let x = if p[class] == 0.0 { 0.0 } else { f64::from(logits[class]) };
        let held = p[class] * (lse.abs() + want.abs() + x.abs() + 64.0);
        let bound = 8.0 * half_ulp * (want.abs() + factor.abs() * held) + 1.2e-38;
        assert!((f64::from(*got) - want).abs() <= bound, "{what}, class {class}: {got:e}, not {want:e}");
    }
}

#[test]
fn entropies_and_gradients_are_those_of_the_reference() {
    for backend in backends() {
        for classes in [1, 2, 3, 10, 63, 64, 65, 130, 1000, 1500] {
            for wide in [0.01, 4.0, 60.0] {
                let (rows, upstream) = (5, [1.0, -2.0, 0.5, 0.0, 3.0]);
                let logits = logits(rows, classes, wide);
                let view = Rows::new(&logits, rows, classes).expect("rows").with_backend(backend);
                let loss = CrossEntropy::new().upstream(&upstream);
                let (entropies, gradient) = loss.entropy_and_gradient(view).expect("a valid call");
                for (row, logits) in logits.chunks(classes).enumerate() {
                    let what = format!("{backend}, row {row} of {classes} classes, {wide}");
                    let got = (entropies[row], &gradient[row * classes..][..classes]);
                    assert_close(&what, logits, got, &expected(logits), upstream[row].into());
                }
            }
        }
    }
}

#[test]
fn the_entropy_of_equal_logits_and_a_mask_has_a_gradient_of_0() {
    for backend in backends() {
        let logits = Rows::new(&[0.0, 0.0, f32::NEG_INFINITY], 1, 3).expect("a row").with_backend(backend);
        let (entropy, gradient) = CrossEntropy::new().entropy_and_gradient(logits).expect("a valid call");
        assert_eq!((entropy[0], &gradient[..]), (core::f32::consts::LN_2, &[0.0; 3][..]), "{backend}");
        let all = Rows::new(&[3.0, 1.0, 2.0], 1, 3).expect("a row").with_backend(backend);
        let masked = CrossEntropy::new().class_mask(&[false, true, false]);
        let (entropy, gradient) = masked.entropy_and_gradient(all).expect("a valid call");
        assert_eq!((entropy[0], &gradient[..]), (0.0, &[0.0; 3][..]), "{backend}: one class left");
    }
}

#[test]
fn a_temperature_and_a_cap_have_their_part_in_the_gradient() {
    let logits = [1.5_f32, -0.25, 0.75, 4.0];
    for backend in backends() {
        let view = Rows::new(&logits, 1, 4).expect("a row").with_backend(backend);
        let loss = CrossEntropy::new().temperature(2.0).expect("above 0").soft_cap(3.0).expect("above 0");
        let (_, gradient) = loss.entropy_and_gradient(view).expect("a valid call");
        let entropy_at = |class: usize, step: f64| {
            let mut z = logits.map(f64::from);
            z[class] += step;
            let p = reference::softmax(&z.map(|x| 0.5 * (3.0 * (x / 3.0).tanh())));
            -p.iter().map(|p| p * p.ln()).sum::<f64>()
        };
        for (class, got) in gradient.iter().enumerate() {
            let want = (entropy_at(class, 1e-5) - entropy_at(class, -1e-5)) / 2e-5;
            // The step's square, and the logits rounded to f32.
            assert!((f64::from(*got) - want).abs() < 1e-6, "{backend}, class {class}: {got}, not {want}");
        }
    }
}

#[test]
fn rows_without_logits_and_buffers_of_another_size() {
    let empty = [f32::NEG_INFINITY; 4];
    for backend in backends() {
        let view = Rows::new(&empty, 2, 2).expect("rows").with_backend(backend);
        let (entropy, gradient) = CrossEntropy::new().entropy_and_gradient(view).expect("a valid call");
        assert!(entropy.iter().chain(&gradient).all(|x| x.is_nan()), "{backend}");
        let zero = CrossEntropy::new().empty_rows(EmptyRows::Zero);
        let (entropy, gradient) = zero.entropy_and_gradient(view).expect("a valid call");
        assert!(entropy.iter().chain(&gradient).all(|x| *x == 0.0), "{backend}");
        let (mut entropies, mut results) = ([7.0; 1], [7.0; 4]);
        let to = RowsMut::new(&mut results, 2, 2).expect("rows");
        let error = zero.entropy_and_gradient_into(view, &mut entropies, to);
        assert_eq!(error, Err(Error::RowCount { what: "entropies", given: 1, expected: 2 }));
        let error = zero.upstream(&[1.0]).entropy_and_gradient(view);
        assert_eq!(error, Err(Error::RowCount { what: "upstream gradients", given: 1, expected: 2 }));
        assert_eq!((entropies, results), ([7.0], [7.0; 4]), "nothing was written");
    }
}
