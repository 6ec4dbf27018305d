//! The tests' own tools: distances in ULP, and the f64 reference at values that are known.

#![expect(clippy::float_cmp, reason = "distances of neighbours are exact")]

use core::f64::consts::LN_2;

use crate::common::reference;
use crate::common::ulp::{error, error_at, flushed, flushed_share, size};

const SMALLEST_SUBNORMAL: f32 = f32::from_bits(1);

#[test]
fn neighbours_are_one_ulp_apart() {
    assert_eq!(error(3.0, 3.0), 0.0);
    assert_eq!(error(1.0_f32.next_up(), 1.0), 1.0);
    assert_eq!(error(-1.0, f64::from((-1.0_f32).next_down())), 1.0);
    assert_eq!(error(1.0, 1.0 + 0.25 * f64::from(f32::EPSILON)), 0.25);
}

#[test]
fn the_ulp_is_that_of_the_binade_of_the_reference() {
    // Below a power of two the spacing halves.
    assert_eq!(error(1.0_f32.next_down(), 1.0), 0.5);
    assert_eq!(error(1.0, f64::from(1.0_f32.next_down())), 1.0);
    assert_eq!(size(1.999), f64::from(f32::EPSILON));
    assert_eq!(size(-2.0), 2.0 * f64::from(f32::EPSILON));
    assert_eq!(size(2.0_f64.powi(128)), 2.0 * size(f64::from(f32::MAX)));
    assert_eq!(error_at(1.0_f32.next_up(), 1.0, -4.0), 0.25);
    assert_eq!(error_at(1.0_f32.next_up(), 1.0, 0.0), 1.0);
}

#[test]
fn subnormal_results_may_be_zero_or_near() {
    assert_eq!(error(0.0, f64::from(SMALLEST_SUBNORMAL)), 0.0);
    assert_eq!(error(0.0, -1e-38), 0.0);
    assert_eq!(error(SMALLEST_SUBNORMAL, 0.0), 1.0);
    assert_eq!(error(-SMALLEST_SUBNORMAL, f64::from(SMALLEST_SUBNORMAL)), 2.0);
    // The smallest normal number must not be flushed.
    assert_eq!(error(0.0, f64::from(f32::MIN_POSITIVE)), 8_388_608.0);
}

#[test]
fn parts_may_be_lost_that_are_next_to_subnormal_or_of_a_probability_next_to_none() {
    let smallest = f64::from(f32::MIN_POSITIVE);
    assert_eq!(flushed(-smallest), smallest);
    assert_eq!(flushed(smallest * (1.0 + 5e-7)), 0.0);
    assert_eq!(flushed_share(2.0_f64.powi(-188), 2.0_f64.powi(100)), 2.0_f64.powi(-88));
    assert_eq!(flushed_share(2.0_f64.powi(-186), 2.0_f64.powi(100)), 0.0);
    assert_eq!(flushed_share(0.5, 2.0 * smallest), smallest);
}

#[test]
fn zeros_of_both_signs_are_equal() {
    assert_eq!(error(0.0, -0.0), 0.0);
    assert_eq!(error(-0.0, 0.0), 0.0);
}

#[test]
fn infinities_and_nan_match_themselves_alone() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    assert_eq!(error(nan, f64::NAN), 0.0);
    assert_eq!(error(inf, f64::INFINITY), 0.0);
    assert_eq!(error(inf, 1e39), 0.0);
    assert_eq!(error(-inf, -1e39), 0.0);
    for (got, want) in [
        (nan, 1.0),
        (1.0, f64::NAN),
        (nan, f64::INFINITY),
        (inf, f64::NAN),
        (inf, f64::NEG_INFINITY),
        (inf, 1.0),
        (f32::MAX, f64::INFINITY),
        (inf, f64::from(f32::MAX)),
        (inf, -1e39),
    ] {
        assert_eq!(error(got, want), f64::INFINITY, "{got} for {want}");
    }
}

/// Equal to 15 digits.
#[track_caller]
fn close(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() <= 1e-15 * want.abs(), "{got:e} for {want:e}");
    }
}

#[test]
fn the_reference_knows_two_equal_classes() {
    let row = [7.0_f32; 2];
    close(&reference::softmax(&row), &[0.5, 0.5]);
    close(&reference::log_softmax(&row), &[-LN_2; 2]);
    close(&[reference::log_sum_exp(&row)], &[7.0 + LN_2]);
    close(&reference::sparse_gradient(1, &row), &[0.5, -0.5]);
    close(&[reference::dense_loss(&[2.0_f32, 1.0], &row)], &[3.0 * LN_2]);
    close(&reference::dense_gradient(&[2.0, 1.0], &row), &[-0.5, 0.5]);
    close(&reference::softmax_gradient(&[0.25, 0.75], &[1.0, 0.0]), &[0.1875, -0.1875]);
    close(&reference::log_softmax_gradient(&[0.0, f32::NEG_INFINITY], &[1.0, 2.0]), &[-2.0, 2.0]);
}

#[test]
fn the_reference_does_not_cancel() {
    // ln(1 + e^-50), and its derivative, to 17 digits.
    let tiny = 1.928_749_847_963_917_8e-22;
    let row = [50.0_f32, 0.0];
    close(&[reference::sparse_loss(0, &row)], &[tiny]);
    close(&reference::sparse_gradient(0, &row), &[-tiny, tiny]);
    close(&reference::log_softmax(&row), &[-tiny, -50.0]);
    close(&[reference::dense_loss(&[1.0_f32, 0.0], &row)], &[tiny]);
}

#[test]
fn the_reference_keeps_the_contract_of_special_rows() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    for row in [[0.0, nan], [inf, 0.0], [-inf, -inf], [inf, nan]] {
        assert!(reference::softmax(&row).iter().all(|p| p.is_nan()), "{row:?}");
        assert!(reference::log_softmax(&row).iter().all(|z| z.is_nan()), "{row:?}");
        assert!(reference::sparse_gradient(0, &row).iter().all(|g| g.is_nan()), "{row:?}");
        assert!(reference::dense_gradient(&[0.0; 2], &row).iter().all(|g| g.is_nan()), "{row:?}");
        assert!(reference::sparse_loss(1, &row).is_nan(), "{row:?}");
        assert!(reference::dense_loss(&[0.0_f32; 2], &row).is_nan(), "{row:?}");
    }
    assert_eq!(reference::log_sum_exp(&[inf, 0.0]), f64::INFINITY);
    assert_eq!(reference::log_sum_exp(&[-inf, -inf]), f64::NEG_INFINITY);
    assert!(reference::log_sum_exp(&[inf, nan]).is_nan());
    assert!(reference::sparse_gradient(0, &[nan])[0].is_nan());

    let masked = [3.0, -inf];
    assert_eq!(reference::softmax(&masked), [1.0, 0.0]);
    assert_eq!(reference::losses(&masked), [0.0, f64::INFINITY]);
    assert_eq!(reference::sparse_gradient(1, &masked), [1.0, -1.0]);
    assert_eq!(reference::dense_loss(&[1.0_f32, 0.0], &masked), 0.0);
}

#[test]
fn the_reference_finds_the_first_of_equal_maxima() {
    assert_eq!(reference::argmax(&[1.0_f32, 3.0, 3.0]), 1);
    assert_eq!(reference::argmax(&[-f32::INFINITY; 3]), 0);
    assert_eq!(reference::argmax(&[1.0, f32::NAN, f32::INFINITY, f32::NAN]), 1);
    assert_eq!(reference::row_max(&[-2.0_f32, -1.0]), -1.0);
}
