//! Calls of the loss of a linear classifier that are refused: with what was given and expected, before anything is written.

use crate::common::assert_same_bits;
use xent::{
    CrossEntropy, Error, Linear, LinearCrossEntropy, LinearGradients, LinearResults, LogSumExp, Reduction,
    Rows, RowsMut,
};

/// What is in outputs before a call; no result is that.
const UNTOUCHED: f32 = 7.0;

fn is_untouched(value: f32) -> bool {
    value.to_bits() == UNTOUCHED.to_bits()
}

/// What a call is given that is not as it should be.
type Fault = fn(&mut Call);

/// A call whose parts can be wrong.
struct Call {
    x: (Vec<f32>, usize, usize),
    weights: (Vec<f32>, usize, usize),
    bias: Vec<f32>,
    labels: Vec<i32>,
    loss: LinearCrossEntropy<'static>,
    losses: usize,
    saved: usize,
    argmax: usize,
    correct: usize,
    of_x: (usize, usize),
    of_weights: (usize, usize),
    of_bias: usize,
}

impl Call {
    /// Three rows of two features, four classes.
    fn good() -> Self {
        Self {
            x: (vec![0.5; 6], 3, 2),
            weights: (vec![0.25; 8], 4, 2),
            bias: vec![0.0; 4],
            labels: vec![0, 3, 1],
            loss: LinearCrossEntropy::default(),
            losses: 3,
            saved: 3,
            argmax: 3,
            correct: 3,
            of_x: (3, 2),
            of_weights: (4, 2),
            of_bias: 4,
        }
    }

    /// Makes the call, and says what it gave and whether it has written anything.
    fn run(&self, backward: bool) -> (Result<(), Error>, bool) {
        let mut losses = vec![UNTOUCHED; self.losses];
        let mut saved = vec![LogSumExp::from(UNTOUCHED); self.saved];
        let (mut argmax, mut correct) = (vec![7; self.argmax], vec![true; self.correct]);
        let mut gradients = [self.of_x.0 * self.of_x.1, self.of_weights.0 * self.of_weights.1, self.of_bias]
            .map(|len| vec![UNTOUCHED; len]);
        let [x, weights, bias] = &mut gradients;
        let mut run = || {
            let linear = Linear::new(
                Rows::new(&self.x.0, self.x.1, self.x.2)?,
                Rows::new(&self.weights.0, self.weights.1, self.weights.2)?,
            )?;
            let linear = linear.bias(&self.bias)?;
            let to = LinearGradients::new()
                .x(RowsMut::new(x, self.of_x.0, self.of_x.1)?)
                .weights(RowsMut::new(weights, self.of_weights.0, self.of_weights.1)?)
                .bias(bias);
            if backward {
                return self.loss.backward_into(&self.labels, linear, &saved, to);
            }
            let results = LinearResults::new().losses(&mut losses).saved(&mut saved);
            let results = results.argmax(&mut argmax).correct(&mut correct);
            self.loss.loss_and_gradients_into(&self.labels, linear, results, to).map(drop)
        };
        let result = run();
        let untouched = losses.iter().copied().all(is_untouched)
            && saved.iter().all(|x| *x == LogSumExp::from(UNTOUCHED))
            && argmax.iter().all(|x| *x == 7)
            && correct.iter().all(|x| *x)
            && gradients.iter().flatten().copied().all(is_untouched);
        (result, !untouched)
    }
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    assert_eq!((Call::good().run(false), Call::good().run(true)), ((Ok(()), true), (Ok(()), true)));
    let rows = |what, given| Error::RowCount { what, given, expected: 3 };
    let shape = |what, given, expected| Error::ShapeMismatch { what, given, expected };
    let length = |what, given| Error::OptionLength { what, given, expected: 4 };
    let mean = CrossEntropy::new().reduction(Reduction::Mean);
    let faults: &[(Fault, Error, bool)] = &[
        (|c| c.weights = (vec![0.0; 12], 4, 3), Error::FeatureCount { given: 3, expected: 2 }, true),
        (|c| c.weights = (vec![], 0, 2), Error::NoClasses { rows: 3 }, true),
        (|c| c.bias = vec![0.0; 3], length("bias", 3), true),
        (|c| c.labels = vec![0, 1], rows("labels", 2), true),
        (|c| c.labels[2] = 4, Error::LabelOutOfRange { row: 2, label: 4, classes: 4 }, true),
        (|c| c.losses = 4, rows("losses", 4), false),
        (|c| c.saved = 2, rows("log-sum-exps", 2), true),
        (|c| c.argmax = 2, rows("argmax", 2), false),
        (|c| c.correct = 0, rows("correct", 0), false),
        (|c| c.of_x = (2, 2), shape("gradient of x", (2, 2), (3, 2)), true),
        (|c| c.of_weights = (2, 4), shape("gradient of the weights", (2, 4), (4, 2)), true),
        (|c| c.of_bias = 5, length("gradient of the bias", 5), true),
        (|c| c.loss = c.loss.workspace(47), Error::Workspace { given: 47, expected: 48 }, true),
        (
            |c| c.loss = LinearCrossEntropy::new(CrossEntropy::new().class_mask(&[true; 3])),
            length("class mask", 3),
            true,
        ),
        (
            |c| c.loss = LinearCrossEntropy::new(CrossEntropy::new().upstream(&[1.0; 2])),
            rows("upstream gradients", 2),
            true,
        ),
    ];
    for (i, (fault, error, of_backward)) in faults.iter().enumerate() {
        let mut call = Call::good();
        fault(&mut call);
        assert_eq!(call.run(false), (Err(error.clone()), false), "fault {i}");
        if *of_backward {
            assert_eq!(call.run(true), (Err(error.clone()), false), "fault {i}, backward");
        }
        assert!(!error.to_string().is_empty());
    }
    let per_row = LinearCrossEntropy::new(mean.upstream(&[1.0; 3]));
    let call = Call { loss: per_row, ..Call::good() };
    assert_eq!(call.run(false), (Err(Error::UpstreamPerRow { given: 3 }), false));
    for reg in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            LinearCrossEntropy::default().l2(reg),
            Err(Error::Option { what: "L2 factor", .. })
        ));
    }
}

#[test]
fn a_sum_over_nothing_is_refused() {
    let linear =
        Linear::new(Rows::new(&[1.0], 1, 1).expect("a row"), Rows::new(&[1.0; 2], 2, 1).expect("two"));
    let mut gradient = [UNTOUCHED; 2];
    let to = LinearGradients::new().weights(RowsMut::new(&mut gradient, 2, 1).expect("two"));
    let loss = LinearCrossEntropy::default();
    let result = loss.backward_into(&[0_u8], linear.expect("a feature"), &[LogSumExp::EMPTY], to);
    assert_eq!(result, Err(Error::EmptySum { row: 0 }));
    assert_same_bits("a gradient", &gradient, &[UNTOUCHED; 2]);
}

#[test]
fn weights_without_one_stride_are_refused() {
    let values = [0.0; 20];
    let uneven = Rows::with_strides(&values, [2, 2, 2], [7, 1, 2]).expect("a view");
    let x = Rows::new(&values[..2], 1, 2).expect("a row");
    assert_eq!(Linear::new(x, uneven).err(), Some(Error::UnevenRows { what: "weights" }));
    let linear = Linear::new(x, Rows::new(&values[..8], 4, 2).expect("four classes")).expect("features");
    let mut gradient = [UNTOUCHED; 20];
    let to = RowsMut::with_strides(&mut gradient, [2, 2, 2], [7, 1, 2]).expect("a view");
    let to = LinearGradients::new().weights(to);
    let result =
        LinearCrossEntropy::default().loss_and_gradients_into(&[0_u8], linear, LinearResults::new(), to);
    assert_eq!(result.err(), Some(Error::UnevenRows { what: "gradient of the weights" }));
    assert_same_bits("a gradient", &gradient, &[UNTOUCHED; 20]);
}
