//! The examples that documents of this operation use, and what they must give: values from 60 digits of
//! arithmetic on the f32 logits and labels.

use xent::{
    Backend, CrossEntropy, Reduction, log_softmax, log_sum_exp, softmax, softmax_cross_entropy_with_logits,
    sparse_softmax_cross_entropy_with_logits,
};

use crate::common::property::{Errors, Want};
use crate::common::{assert_same_bits, backends, contract};
use crate::rows;

/// Asserts that values are within so many ULP (2 more without fused multiply-add).
#[track_caller]
fn close(ulps: f64, backend: Backend, got: &[f32], want: &[f64]) {
    Errors::default().all_within(ulps, "the example", backend, got, want.iter().copied());
}

#[test]
fn dense_labels_of_two_rows() {
    let logits = [4.0, 2.0, 1.0, 0.0, 5.0, 1.0];
    let labels = [1.0, 0.0, 0.0, 0.0, 0.8, 0.2];
    for backend in backends() {
        let (logits, labels) = (rows(&logits, 3, backend), rows(&labels, 3, backend));
        let losses = softmax_cross_entropy_with_logits(labels, logits).unwrap();
        close(contract::LOSS, backend, &losses, &[0.169_846_019_556_285_65, 0.824_744_902_428_479_2]);
        let p = [
            0.843_794_734_481_339_5,
            0.114_195_199_384_594_48,
            0.042_010_066_134_066_05,
            0.006_573_263_185_309_083,
            0.975_558_754_944_386_4,
            0.017_867_981_870_304_502,
        ];
        close(contract::SOFTMAX, backend, &softmax(logits).unwrap(), &p);
        // A difference, in ULP of its larger part: 1 and 0.8 at two classes, the probability at most.
        let larger = [1.0, p[1], p[2], p[3], p[4], 0.2];
        let gradient = [
            -0.156_205_265_518_660_53,
            0.114_195_199_384_594_48,
            0.042_010_066_134_066_05,
            0.006_573_263_283_258_337,
            0.175_558_757_560_415_72,
            -0.182_132_020_843_674_06,
        ];
        let wants = gradient.iter().zip(larger).map(|(&g, larger)| Want::from(g).in_ulp_of(larger));
        let got = CrossEntropy::new().loss_and_gradient(labels, logits).unwrap().1;
        Errors::default().all_within(contract::GRADIENT, "the gradient", backend, &got, wants);
        let label_gradient = [
            0.169_846_019_556_285_65,
            2.169_846_019_556_285_6,
            3.169_846_019_556_285_6,
            5.024_744_890_138_822,
            0.024_744_890_138_822_65,
            4.024_744_890_138_823,
        ];
        let got = CrossEntropy::new().label_gradient(logits).unwrap();
        close(contract::LOG_SOFTMAX, backend, &got, &label_gradient);
    }
}

#[test]
fn class_indices_of_three_rows() {
    let logits = [2.0, -5.0, 0.5, -0.1, 0.0, 0.0, 1.9, 1.4, -100.0, 100.0, -100.0, -100.0];
    let labels = [0_i32, 3, 1];
    for backend in backends() {
        let logits = rows(&logits, 4, backend);
        let losses = sparse_softmax_cross_entropy_with_logits(&labels, logits).unwrap();
        close(contract::LOSS, backend, &losses[..2], &[0.297_507_497_126_644_6, 1.144_832_553_581_971]);
        assert_same_bits("the loss of a certain row", &losses[2..], &[0.0]);

        let (_, gradient) = CrossEntropy::new().loss_and_gradient(&labels, logits).unwrap();
        let want = [
            -0.257_332_984_668_758,
            0.000_677_224_657_692_759,
            0.165_711_410_067_816_42,
            0.090_944_349_943_248_8,
            0.078_486_194_983_630_38,
            0.078_486_194_983_630_38,
            0.524_750_402_325_676_7,
            -0.681_722_792_292_937_5,
        ];
        close(contract::AT_LABEL, backend, &gradient[..8], &want);
        assert!(gradient[8..].iter().all(|&g| g == 0.0), "{backend}: {gradient:?}");
        assert_same_bits("a certain row", &softmax(logits).unwrap()[8..], &[0.0, 1.0, 0.0, 0.0]);
        let sums = log_sum_exp(logits).unwrap();
        close(
            contract::LOG_SUM_EXP,
            backend,
            &sums,
            &[2.297_507_497_126_644_6, 2.544_832_529_740_113, 100.0],
        );
    }
}

#[test]
fn three_rows_of_1_2_3_with_class_2() {
    let logits = [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0];
    for backend in backends() {
        let logits = rows(&logits, 3, backend);
        let p = [0.090_030_573_170_380_46, 0.244_728_471_054_797_65, 0.665_240_955_774_821_9];
        close(contract::SOFTMAX, backend, &softmax(logits).unwrap(), &[p, p, p].concat());
        let loss = CrossEntropy::new().reduction(Reduction::Sum).loss(&[2_u8; 3], logits).unwrap();
        close(contract::LOSS, backend, &loss.rows, &[0.407_605_964_444_380_3; 3]);
        close(contract::LOSS, backend, &[loss.summary.value], &[1.222_817_893_333_140_9]);
        assert_eq!(format!("{:.5}", loss.summary.value), "1.22282");
    }
}

#[test]
fn softmax_of_minus_1_0_3_5() {
    for backend in backends() {
        let logits = rows(&[-1.0, 0.0, 3.0, 5.0], 4, backend);
        let p = [
            0.002_165_696_460_061_088,
            0.005_886_973_333_342_136,
            0.118_243_020_252_664_65,
            0.873_704_309_953_932_1,
        ];
        close(contract::SOFTMAX, backend, &softmax(logits).unwrap(), &p);
        let z = [
            -6.135_013_278_699_604,
            -5.135_013_278_699_604,
            -2.135_013_278_699_604,
            -0.135_013_278_699_603_9,
        ];
        close(contract::LOG_SOFTMAX, backend, &log_softmax(logits).unwrap(), &z);
    }
}

#[test]
fn a_confident_row_20_0_has_a_loss_and_a_gradient() {
    const LOSS: f64 = 2.061_153_620_314_381e-9;
    const OTHER: f64 = 2.061_153_618_190_203_6e-9;
    for backend in backends() {
        let logits = rows(&[20.0, 0.0], 2, backend);
        let (loss, gradient) = CrossEntropy::new().loss_and_gradient(&[0_u8], logits).unwrap();
        close(2.0, backend, &loss.rows, &[LOSS]);
        close(2.0, backend, &gradient, &[-OTHER, OTHER]);
        if backend.is_fused() {
            // Nine digits, as documents print it, are within an ULP.
            close(2.0, backend, &loss.rows, &[2.061_153_7e-9]);
            close(2.0, backend, &gradient, &[-2.061_153_7e-9, 2.061_153_7e-9]);
        }
        let dense = softmax_cross_entropy_with_logits(rows(&[1.0, 0.0], 2, backend), logits).unwrap();
        close(2.0, backend, &dense, &[LOSS]);
    }
}
