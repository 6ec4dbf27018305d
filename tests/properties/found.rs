//! What random rows have found: each failure once more, small and by name.

use crate::common::property::{Errors, Want};
use crate::common::{backends, contract, reference, ulp};
use xent::{
    CrossEntropy, EmptyRows, Hinge, HingePower, LogSumExp, Rows, Smoothing, log_softmax_gradient,
    log_sum_exp, softmax, softmax_gradient,
};

#[test]
fn a_masked_block_of_a_row_far_below_zero_has_no_part_in_its_softmax() {
    // The second block of 512 holds nothing but -inf: it has no pivot near the others'.
    let mut logits = [-1e4_f32; 513];
    logits[512] = f32::NEG_INFINITY;
    let mut labels = [0.0; 513];
    labels[0] = 1.0;
    for backend in backends() {
        let logits = Rows::new(&logits, 1, 513).expect("a row").with_backend(backend);
        let p = softmax(logits).expect("a valid call");
        assert_eq!(p[511..], [1.0 / 512.0, 0.0], "{backend}");
        let (_, sparse) = CrossEntropy::new().loss_and_gradient(&[0_u8], logits).expect("a valid call");
        assert_eq!(sparse[511..], [1.0 / 512.0, 0.0], "{backend}");
        let labels = Rows::new(&labels, 1, 513).expect("a row");
        let (_, dense) = CrossEntropy::new().loss_and_gradient(labels, logits).expect("a valid call");
        assert_eq!(dense[511..], [1.0 / 512.0, 0.0], "{backend}");
    }
}

#[test]
fn log_sum_exp_of_a_dominant_logit_near_zero_is_as_good_as_that_logit() {
    let errors = Errors::default();
    for row in [&[-3.920_83e-8_f32][..], &[4.370_341_7e-6], &[-10.044_582, -2.239_608_9e-5]] {
        for backend in backends() {
            let logits = Rows::new(row, 1, row.len()).expect("a row").with_backend(backend);
            let sum = log_sum_exp(logits).expect("a valid call")[0];
            let want = Want::from(reference::log_sum_exp(row)).in_ulp_of(reference::row_max(row));
            errors.within(contract::LOG_SUM_EXP, "log-sum-exp", backend, sum, want);
        }
    }
}

#[test]
fn softmax_of_a_dominant_logit_keeps_its_bound() {
    let errors = Errors::default();
    let rows = [
        &[-6.917_593_f32, 0.031_971_805][..],
        &[7.182_102_7, 0.097_576_35],
        &[2.930_472, -1.114_997_6, -2.625_635],
    ];
    for row in rows {
        for backend in backends() {
            let logits = Rows::new(row, 1, row.len()).expect("a row").with_backend(backend);
            let p = softmax(logits).expect("a valid call");
            errors.all_within(contract::SOFTMAX, "softmax", backend, &p, reference::softmax(row));
        }
    }
}

#[test]
fn a_row_without_a_softmax_has_no_label_gradient_either_whatever_it_is_multiplied_by() {
    for backend in backends() {
        for bad in [f32::NAN, f32::INFINITY] {
            let logits = [bad, 1.0];
            let logits = Rows::new(&logits, 1, 2).expect("a row").with_backend(backend);
            let loss = CrossEntropy::new().upstream(0.0);
            let label_gradient = loss.label_gradient(logits).expect("a valid call");
            let (_, gradient) = loss.loss_and_gradient(&[0_u8], logits).expect("a valid call");
            assert!(gradient.iter().all(|g| g.is_nan()), "{backend}: {gradient:?}");
            assert!(label_gradient.iter().all(|g| g.is_nan()), "{backend}: {label_gradient:?}");
        }
    }
}

#[test]
fn a_class_weight_of_zero_takes_out_an_infinite_hinge_and_its_gradient() {
    for backend in backends() {
        let logits = Rows::new(&[0.0, f32::INFINITY, 1.0], 1, 3).expect("a row").with_backend(backend);
        let hinge = Hinge::new().power(HingePower::Squared).class_weights(&[0.0, 1.0, 1.0]).expect("weights");
        let (loss, gradient) = hinge.loss_and_gradient(&[0_u8], logits).expect("a valid call");
        assert_eq!((loss.rows[0], gradient.as_slice()), (0.0, &[0.0; 3][..]), "{backend}");
    }
}

#[test]
fn gradients_through_softmax_are_finite_where_only_their_parts_are_not() {
    let errors = Errors::default();
    let (p, g) = ([0.9_f32, 0.1], [-3e38_f32, 3e38]);
    let (z, h) = ([-0.105_360_52_f32, -2.25], [3.2e38_f32, 1.8e38]);
    for backend in backends() {
        let rows = |values| Rows::new(values, 1, 2).expect("a row").with_backend(backend);
        let got = softmax_gradient(rows(&p), rows(&g)).expect("a valid call");
        let wants = reference::softmax_gradient(&p, &g);
        for (&got, want) in got.iter().zip(wants) {
            // The difference is rounded, and its product.
            errors.within(contract::GRADIENT, "softmax gradient", backend, got, want);
        }
        let got = log_softmax_gradient(rows(&z), rows(&h)).expect("a valid call");
        let wants = reference::log_softmax_gradient(&z, &h);
        for ((&got, want), h) in got.iter().zip(wants).zip(h) {
            let part = want - f64::from(h);
            let want = Want::from(want).in_ulp_of(part.abs());
            errors.within(contract::GRADIENT, "log-softmax gradient", backend, got, want);
        }
    }
}

#[test]
fn a_logit_of_zero_stays_zero_under_any_cap_and_scale() {
    // Their product is infinite.
    let loss = CrossEntropy::new().soft_cap(1e300).and_then(|loss| loss.logit_scale(1e38));
    let loss = loss.expect("positive numbers");
    for backend in backends() {
        let logits = Rows::new(&[0.0, -1.0], 1, 2).expect("a row").with_backend(backend);
        assert_eq!(loss.loss(&[0_u8], logits).expect("a valid call").rows, [0.0], "{backend}");
    }
}

#[test]
fn a_label_whose_mass_all_goes_to_the_others_has_none_left() {
    // A share of 1/52 is no f32, and what rounding left of it stayed at the label.
    let mut logits = [0.0; 53];
    logits[0] = 1e4;
    let weights = [0.3; 53];
    let loss = CrossEntropy::new().label_smoothing(1.0, Smoothing::Others).expect("a share");
    for loss in [loss, loss.class_weights(&weights).expect("weights")] {
        for backend in backends() {
            let logits = Rows::new(&logits, 1, 53).expect("a row").with_backend(backend);
            let (_, gradient) = loss.loss_and_gradient(&[33_u8], logits).expect("a valid call");
            assert_eq!(gradient[33].to_bits(), 0, "{backend}: {:e}", gradient[33]);
            assert!(gradient[1] < 0.0, "{backend}: {:e}", gradient[1]);
        }
    }
}

#[test]
fn a_gradient_is_exact_where_the_slope_of_its_cap_is_no_f32() {
    // The slope is 6e-41, and with so large an upstream gradient what is multiplied by it is a number again.
    let (logits, upstream) = ([47.0_f32, 0.0], 1e10);
    let loss = CrossEntropy::new().upstream(upstream).soft_cap(1.0).expect("a positive number");
    let p = 1.0 / (1.0 + (-1.0_f64).exp());
    let want = f64::from(upstream) * p * f64::from(logits[0]).cosh().powi(-2);
    let errors = Errors::default();
    for backend in backends() {
        let logits = Rows::new(&logits, 1, 2).expect("a row").with_backend(backend);
        let (_, gradient) = loss.loss_and_gradient(&[1_u8], logits).expect("a valid call");
        // One more rounding, of the product with the slope.
        errors.within(contract::GRADIENT + 1.0, "gradient through a cap", backend, gradient[0], want);
    }
}

#[test]
fn a_label_gradient_is_exact_where_the_product_of_its_weights_is_no_f32() {
    let weights = [1e-30, 1e-30];
    let loss = CrossEntropy::new().row_weights(&[1e-12]).expect("weights");
    let loss = loss.class_weights(&weights).expect("weights");
    let want = 1e20 * f64::from(1e-30_f32) * f64::from(1e-12_f32);
    let errors = Errors::default();
    for backend in backends() {
        let logits = Rows::new(&[0.0, -1e20], 1, 2).expect("a row").with_backend(backend);
        let gradient = loss.label_gradient(logits).expect("a valid call");
        // One more rounding, of the product with the weights.
        errors.within(contract::GRADIENT + 1.0, "label gradient", backend, gradient[1], want);
    }
}

#[test]
fn a_part_next_to_the_smallest_normal_number_may_be_lost_from_a_gradient_through_log_softmax() {
    let next_to_it = f64::from(f32::MIN_POSITIVE) * (1.0 + 2e-7);
    let z = [0.0, -80.0];
    let g = [ulp::round(next_to_it / (-80.0_f64).exp()), f32::MIN_POSITIVE];
    let errors = Errors::default();
    for backend in backends() {
        let rows = |values| Rows::new(values, 1, 2).expect("a row").with_backend(backend);
        let got = log_softmax_gradient(rows(&z), rows(&g)).expect("a valid call");
        let part = f64::from(z[1]).exp() * reference::mass(&g);
        let want = Want::from(f64::from(g[1]) - part).in_ulp_of(part).give_or_take(ulp::flushed(part));
        errors.within(contract::GRADIENT, "log-softmax gradient", backend, got[1], want);
    }
}

#[test]
fn a_small_probability_counts_in_a_gradient_through_log_softmax_down_to_its_limit() {
    let (g, errors) = ([1e38, 0.0], Errors::default());
    for backend in backends() {
        // The second probability is 2^-186, then 2^-219, which is lost.
        for z in [[0.0, -129.0], [0.0, -152.0]] {
            let rows = |values| Rows::new(values, 1, 2).expect("a row").with_backend(backend);
            let got = log_softmax_gradient(rows(&z), rows(&g)).expect("a valid call")[1];
            let (p, sum) = (f64::from(z[1]).exp(), reference::mass(&g));
            let want = Want::from(-p * sum).give_or_take(ulp::flushed_share(p, sum));
            errors.within(contract::GRADIENT, "log-softmax gradient", backend, got, want);
        }
    }
}

#[test]
fn a_masked_class_of_one_row_changes_no_bit_of_a_smoothed_row_beside_it() {
    let (mut logits, labels, upstream) = ([0.0_f32; 40], [0_u8, 1], [0.3_f32, 0.7]);
    for (class, logit) in (0_u16..).zip(&mut logits) {
        *logit = 0.37 * f32::from(class % 20) - 5.0;
    }
    logits[33] = f32::NEG_INFINITY;
    for backend in backends() {
        for smoothing in [Smoothing::Uniform, Smoothing::Others] {
            let loss = CrossEntropy::new().label_smoothing(0.1, smoothing).expect("a share");
            let run = |rows: usize| {
                let loss = loss.upstream(&upstream[..rows]);
                let logits = Rows::new(&logits[..20 * rows], rows, 20).expect("rows").with_backend(backend);
                let (loss, gradient) = loss.loss_and_gradient(&labels[..rows], logits).expect("a valid call");
                (loss.rows[0].to_bits(), gradient[..20].iter().map(|x| x.to_bits()).collect::<Vec<_>>())
            };
            assert_eq!(run(1), run(2), "{backend}, {smoothing:?}");
        }
    }
}

#[test]
fn smoothed_labels_of_both_signs_are_as_good_as_what_is_left_of_their_sum_can_be() {
    // Each mass is rounded to f32: of their sum, which is the gradient of the first class, that leaves less.
    let (smoothing, labels) = (0.3, [0.0, 1000.3, -1000.1_f32]);
    let loss = CrossEntropy::new().label_smoothing(smoothing, Smoothing::Uniform).expect("a share");
    let masses = labels.map(|label| (1.0 - smoothing) * f64::from(label) + smoothing / 3.0);
    let want = masses.iter().sum::<f64>() - masses[0];
    let magnitude = masses.iter().map(|mass| mass.abs()).sum();
    let errors = Errors::default();
    for backend in backends() {
        let logits = Rows::new(&[0.0, -200.0, -200.0], 1, 3).expect("a row").with_backend(backend);
        let labels = Rows::new(&labels, 1, 3).expect("a row");
        let (_, gradient) = loss.loss_and_gradient(labels, logits).expect("a valid call");
        assert!(ulp::error(gradient[0], want) > 5.0, "{backend}: the example shows nothing");
        errors.within(5.0, "gradient", backend, gradient[0], Want::from(want).in_ulp_of(magnitude));
    }
}

#[test]
fn a_saved_sum_serves_other_labels_than_it_was_read_with() {
    let logits = [1.0_f32, 2.0, -3.0];
    let terms = logits.map(|x| f64::from(x).exp());
    let sum = terms.iter().sum::<f64>();
    let want = |label: usize| move |class: usize| terms[class] / sum - if class == label { 1.0 } else { 0.0 };
    let check = |gradient: &[f32], want: &dyn Fn(usize) -> f64| {
        for (class, got) in gradient.iter().enumerate() {
            assert!(
                (f64::from(*got) - want(class)).abs() <= 2e-7,
                "class {class}: {got}, not {}",
                want(class)
            );
        }
    };
    let loss = CrossEntropy::new();
    for backend in backends() {
        let rows = Rows::new(&logits, 1, 3).expect("a row").with_backend(backend);
        let labelled = loss.forward(&[1_u8], rows).expect("a valid call").1;
        let unlabelled = [LogSumExp::of(&logits).expect("a row")];
        let from_value = [LogSumExp::from(unlabelled[0].value())];
        for sums in [&labelled[..], &unlabelled, &from_value] {
            for label in 0..3_u8 {
                let gradient = loss.backward(&[label], rows, sums).expect("a valid call");
                check(&gradient, &want(label.into()));
            }
            let zeros = [0.0_f32; 3];
            let dense = Rows::new(&zeros, 1, 3).expect("labels");
            let gradient = CrossEntropy::tensorflow().backward(dense, rows, sums).expect("a valid call");
            check(&gradient, &want(usize::MAX));
        }
        // A part of the row, with the sum of all of it.
        let part = Rows::new(&logits[..2], 1, 2).expect("a part").with_backend(backend);
        for sums in [&labelled[..], &unlabelled] {
            let gradient = loss.backward(&[1_u8], part, sums).expect("a valid call");
            check(&gradient, &want(1));
        }
    }
}

#[test]
fn a_saved_sum_next_to_0_keeps_its_digits() {
    for row in [[-20.0_f32, -1e-9], [-2.24e-5, -10.044_582], [0.0, -87.0]] {
        let want = reference::log_sum_exp(&row);
        let part = |class: usize| LogSumExp::of(&row[class..=class]).expect("a logit");
        let unlabelled = LogSumExp::of(&row).expect("a row");
        for (what, sum) in
            [("read", unlabelled), ("merged", part(0).merge(part(1))), ("turned", part(1).merge(part(0)))]
        {
            // The terms of others are good to an f32's half ULP, and so is what they add.
            let error = (sum.to_f64() - want).abs();
            assert!(error <= 1e-7 * want.abs(), "{what}, {row:?}: {}, not {want}", sum.to_f64());
        }
    }
}

#[test]
fn infinite_losses_of_both_signs_are_counted() {
    let labels = [3e38_f32, -3e38, -3e38, 3e38];
    let logits = [0.0_f32, 9.0, 0.0, 9.0];
    for backend in backends() {
        let rows = Rows::new(&logits, 2, 2).expect("rows").with_backend(backend);
        let labels = Rows::new(&labels, 2, 2).expect("labels");
        let loss = CrossEntropy::tensorflow().loss(labels, rows).expect("a valid call");
        assert_eq!(loss.summary.non_finite_rows, loss.rows.iter().filter(|x| !x.is_finite()).count());
        assert_eq!(loss.summary.non_finite_rows, 2);
    }
}

#[test]
fn a_row_of_nan_and_masked_classes_is_not_empty() {
    let logits = [f32::NAN, f32::NEG_INFINITY];
    let loss = CrossEntropy::new().empty_rows(EmptyRows::Zero);
    for backend in backends() {
        for count in [1, 2, 5, 33] {
            let values = logits.repeat(count);
            let rows = Rows::new(&values, count, 2).expect("rows").with_backend(backend);
            let (loss, gradient) = loss.loss_and_gradient(&vec![0_u8; count], rows).expect("a valid call");
            assert!(loss.rows.iter().chain(&gradient).all(|x| x.is_nan()), "{count} rows on {backend}");
        }
    }
}
