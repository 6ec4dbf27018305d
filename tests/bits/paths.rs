//! Paths to one result beyond those that every outcome takes: the named functions, integer types, the
//! value of a run of logits, options that change nothing.

use xent::{
    Backend, CrossEntropy, Labels, LogSumExp, Reduction, Rows, Upstream, log_sum_exp,
    softmax_cross_entropy_with_logits, softmax_cross_entropy_with_logits_into,
    sparse_softmax_cross_entropy_with_logits, sparse_softmax_cross_entropy_with_logits_into,
};

use crate::case::Case;
use crate::common::paths::{Layout, Strided};
use crate::common::{assert_evaluated, assert_same_bits, backends};

#[test]
fn the_named_functions_give_the_losses_of_cross_entropy() {
    for backend in backends() {
        for classes in [1, 7, 67, 513] {
            let case = Case::of_every_kind(classes, true);
            let logits = Strided::of(&case.logits, Layout::default());
            let logits = logits.view(backend);
            let loss = CrossEntropy::new();
            let mut into = vec![9.0; logits.rows()];

            let expected = loss.loss(&case.labels, logits).unwrap().rows;
            let named = sparse_softmax_cross_entropy_with_logits(&case.labels, logits).unwrap();
            assert_same_bits("sparse", &named, &expected);
            sparse_softmax_cross_entropy_with_logits_into(&case.labels, logits, &mut into).unwrap();
            assert_same_bits("sparse, into", &into, &expected);

            let labels = Strided::of(&case.distributions, Layout::new(1, 3));
            let labels = labels.view(backend);
            let expected = loss.loss(labels, logits).unwrap().rows;
            let named = softmax_cross_entropy_with_logits(labels, logits).unwrap();
            assert_same_bits("dense", &named, &expected);
            softmax_cross_entropy_with_logits_into(labels, logits, &mut into).unwrap();
            assert_same_bits("dense, into", &into, &expected);
        }
    }
}

#[test]
fn every_integer_type_of_label_gives_the_same_bits() {
    fn check<'a>(case: &Case, backend: Backend, labels: impl Into<Labels<'a>>, expected: &[f32]) {
        let logits = Strided::of(&case.logits, Layout::default());
        let labels: Labels = labels.into();
        let losses = CrossEntropy::new().loss(labels, logits.view(backend)).unwrap().rows;
        assert_same_bits(&format!("{labels:?} on {backend}"), &losses, expected);
    }
    let case = Case::of_every_kind(100, false);
    for backend in backends() {
        let logits = Strided::of(&case.logits, Layout::default());
        let expected = CrossEntropy::new().loss(&case.labels, logits.view(backend)).unwrap().rows;
        macro_rules! check_types {
            ($($type:ty)+) => {$(
                let labels: Vec<$type> =
                    case.labels.iter().map(|&label| <$type>::try_from(label).unwrap()).collect();
                check(&case, backend, &labels, &expected);
            )+};
        }
        check_types!(u8 u16 u32 u64 usize i8 i16 i32 i64);
    }
}

#[test]
fn the_sum_of_a_run_of_logits_is_that_of_a_row() {
    for classes in [1, 16, 100, 513, 16_385] {
        let case = Case::of_every_kind(classes, classes < 1000);
        for row in case.logits.iter() {
            // Both run on the backend of the process.
            let expected = log_sum_exp(Rows::new(row, 1, classes).unwrap()).unwrap();
            assert_evaluated(&[LogSumExp::of(row).unwrap()], &expected);
        }
    }
}

/// An upstream gradient of one value is that value for every row; a mean over one row is its sum.
#[test]
fn ways_to_say_the_same_factor_give_the_same_bits() {
    for backend in backends() {
        let case = Case::of_every_kind(67, false);
        let logits = Strided::of(&case.logits, Layout::default());
        let logits = logits.view(backend);
        let gradient = |loss: CrossEntropy| loss.loss_and_gradient(&case.labels, logits).unwrap().1;
        let expected = gradient(CrossEntropy::new().upstream(0.3));
        let per_row = vec![0.3; logits.rows()];
        let per_row = gradient(CrossEntropy::new().upstream(Upstream::PerRow(&per_row)));
        assert_same_bits("per row", &per_row, &expected);
        let sum = gradient(CrossEntropy::new().upstream(0.3).reduction(Reduction::Sum));
        assert_same_bits("of a sum", &sum, &expected);

        let first = case.row(0);
        let logits = Strided::of(&first.logits, Layout::default());
        let mean = CrossEntropy::new().upstream(0.3).reduction(Reduction::Mean);
        let (loss, gradient) = mean.loss_and_gradient(&first.labels, logits.view(backend)).unwrap();
        assert_same_bits("of a mean over one row", &gradient, &expected[..67]);
        assert_same_bits("a mean over one row", &[loss.summary.value], &loss.rows);
    }
}
