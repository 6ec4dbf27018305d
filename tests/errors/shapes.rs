//! Shapes that do not fit together, results that do not fit in memory, and the words of each message.

use xent::{
    CrossEntropy, Error, Reduction, Rows, Upstream, argmax, log_softmax, log_softmax_gradient, log_sum_exp,
    row_max, softmax, softmax_cross_entropy_with_logits, softmax_gradient,
    sparse_softmax_cross_entropy_with_logits,
};

fn rows(data: &[f32], rows: usize, classes: usize) -> Rows<'_> {
    Rows::new(data, rows, classes).unwrap()
}

#[test]
fn two_matrices_of_different_shapes() {
    let (a, b) = (rows(&[0.0; 6], 2, 3), rows(&[0.0; 6], 3, 2));
    let labels = Error::ShapeMismatch { what: "labels", given: (2, 3), expected: (3, 2) };
    assert_eq!(softmax_cross_entropy_with_logits(a, b), Err(labels.clone()));
    let message = labels.to_string();
    for part in ["labels", "2 rows of 3 values", "expected 3 rows of 2"] {
        assert!(message.contains(part), "{message}");
    }
    let upstream = Error::ShapeMismatch { what: "upstream gradient", given: (3, 2), expected: (2, 3) };
    assert_eq!(softmax_gradient(a, b), Err(upstream.clone()));
    assert_eq!(log_softmax_gradient(a, b), Err(upstream));
}

#[test]
fn a_slice_with_another_number_of_rows() {
    let error = sparse_softmax_cross_entropy_with_logits(&[0_u8], rows(&[0.0; 6], 2, 3)).unwrap_err();
    assert_eq!(error, Error::RowCount { what: "labels", given: 1, expected: 2 });
    assert_eq!(error.to_string(), "labels: 1 given for 2 rows");
}

#[test]
fn options_with_another_number_of_classes() {
    let logits = rows(&[0.0; 6], 2, 3);
    let masked = CrossEntropy::new().class_mask(&[true]);
    let error = masked.loss(&[0_u8, 1], logits).unwrap_err();
    assert_eq!(error, Error::OptionLength { what: "class mask", given: 1, expected: 3 });
    assert_eq!(error.to_string(), "class mask: 1 values given; expected 3");
    let masked = CrossEntropy::new().row_class_masks(&[true; 3]);
    let error = masked.loss(&[0_u8, 1], logits).unwrap_err();
    assert_eq!(error, Error::OptionLength { what: "class mask", given: 3, expected: 6 });
    let weighted = CrossEntropy::new().class_weights(&[1.0; 2]).expect("weights");
    let error = weighted.loss(&[0_u8, 1], logits).unwrap_err();
    assert_eq!(error, Error::OptionLength { what: "class weights", given: 2, expected: 3 });
}

#[test]
fn an_upstream_gradient_per_row_needs_a_loss_per_row() {
    let logits = rows(&[0.0; 4], 2, 2);
    for reduction in [Reduction::Sum, Reduction::Mean] {
        let loss = CrossEntropy::new().reduction(reduction).upstream(&[1.0, 2.0]);
        let expected = Error::UpstreamPerRow { given: 2 };
        assert_eq!(loss.loss(&[0_u8, 1], logits).err(), Some(expected.clone()));
        assert_eq!(loss.loss_and_gradient(logits, logits).err(), Some(expected.clone()));
        assert_eq!(loss.label_gradient(logits).err(), Some(expected.clone()));
        assert_eq!(
            expected.to_string(),
            "2 upstream gradients for a loss reduced to one number; expected a uniform one"
        );
    }
    let uniform = CrossEntropy::new().reduction(Reduction::Mean).upstream(Upstream::Uniform(2.0));
    assert!(uniform.loss_and_gradient(&[0_u8, 1], logits).is_ok());
}

/// Results that no machine holds are an error, not an abort: more bytes than an allocation can have.
#[test]
fn results_that_do_not_fit_in_memory() {
    const ROWS: usize = usize::MAX / 8 + 1;
    let logits = Rows::with_stride(&[0.0_f32, 1.0], ROWS, 1, 0).unwrap();
    let expected = Error::OutOfMemory { values: ROWS };
    assert_eq!(softmax(logits).err(), Some(expected.clone()));
    assert_eq!(log_softmax(logits).err(), Some(expected.clone()));
    assert_eq!(softmax_gradient(logits, logits).err(), Some(expected.clone()));
    assert_eq!(log_softmax_gradient(logits, logits).err(), Some(expected.clone()));
    assert_eq!(log_sum_exp(logits).err(), Some(expected.clone()));
    assert_eq!(row_max(logits).err(), Some(expected.clone()));
    assert_eq!(argmax(logits).err(), Some(expected.clone()));
    assert_eq!(softmax_cross_entropy_with_logits(logits, logits).err(), Some(expected.clone()));
    let loss = CrossEntropy::new();
    assert_eq!(loss.loss(logits, logits).err(), Some(expected.clone()));
    assert_eq!(loss.loss_and_gradient(logits, logits).err(), Some(expected.clone()));
    assert_eq!(loss.forward(logits, logits).err(), Some(expected.clone()));
    assert_eq!(loss.backward(logits, logits, &[]).err(), Some(expected.clone()));
    assert_eq!(loss.label_gradient(logits).err(), Some(expected.clone()));
    assert_eq!(expected.to_string(), format!("no memory for {ROWS} results"));
}

#[test]
fn results_of_a_matrix_that_do_not_fit_in_memory_though_its_rows_do() {
    let row = vec![0.0_f32; 1 << 10];
    let rows = usize::MAX >> 12; // one value per row would not fit either, but is never asked for
    let logits = Rows::with_stride(&row, rows, row.len(), 0).unwrap();
    assert_eq!(softmax(logits).err(), Some(Error::OutOfMemory { values: rows << 10 }));
}
