//! When a call is refused, every output still holds what it held: each function of the table of
//! [`writers`](crate::common::writers) against each fault.

use xent::{Error, Reduction};

use crate::common::writers::{Inputs, Outputs, Part, WRITERS, good};

/// One thing wrong with a call.
struct Fault {
    name: &'static str,
    /// The functions that look at this part, and no others, must refuse the call.
    part: Part,
    make: fn(&mut Inputs, &mut Outputs),
    expected: fn(&Error) -> bool,
}

/// What the values that each row has one of are called.
const LOSSES: [&str; 9] = [
    "losses",
    "results",
    "log-probabilities",
    "log-sum-exps",
    "entropies",
    "sampled log-probabilities",
    "divergences",
    "Jensen-Shannon divergences",
    "changes of log-probabilities",
];

const FAULTS: &[Fault] = &[
    Fault {
        name: "an output with a row too many",
        part: Part::Matrix,
        make: |_, o| {
            o.shape.0 += 1;
            let (len, first) = (o.shape.0 * o.shape.1, o.matrix[0]);
            o.matrix.resize(len, first);
        },
        expected: |e| matches!(e, Error::ShapeMismatch { given: (4, 4), expected: (3, 4), .. }),
    },
    Fault {
        name: "an output of as many values in another shape",
        part: Part::Matrix,
        make: |_, o| o.shape = (o.shape.1, o.shape.0),
        expected: |e| matches!(e, Error::ShapeMismatch { given: (4, 3), expected: (3, 4), .. }),
    },
    Fault {
        name: "a loss too few",
        part: Part::Losses,
        make: |_, o| shorten(&mut o.losses),
        expected: |e| matches!(e, Error::RowCount { what, given: 2, expected: 3 } if LOSSES.contains(what)),
    },
    Fault {
        name: "a loss too many",
        part: Part::Losses,
        make: |_, o| o.losses.push(o.losses[0]),
        expected: |e| matches!(e, Error::RowCount { what, given: 4, expected: 3 } if LOSSES.contains(what)),
    },
    Fault {
        name: "an index too few",
        part: Part::Indices,
        make: |_, o| shorten(&mut o.indices),
        expected: |e| matches!(e, Error::RowCount { what: "results" | "argmax", given: 2, expected: 3 }),
    },
    Fault {
        name: "a log-sum-exp too few",
        part: Part::Sums,
        make: |_, o| shorten(&mut o.sums),
        expected: |e| matches!(e, Error::RowCount { what: "log-sum-exps", given: 2, expected: 3 }),
    },
    Fault {
        name: "a label too few",
        part: Part::Labels,
        make: |i, _| shorten(&mut i.labels),
        expected: |e| matches!(e, Error::RowCount { what: "labels", given: 2, expected: 3 }),
    },
    Fault {
        name: "a label too large in the last row",
        part: Part::Labels,
        make: |i, _| i.labels[2] = 4,
        expected: |e| *e == Error::LabelOutOfRange { row: 2, label: 4, classes: 4 },
    },
    Fault {
        name: "a second matrix with a row too few",
        part: Part::Second,
        make: |i, _| {
            i.second_shape.0 -= 1;
            i.second.truncate(i.second_shape.0 * i.second_shape.1);
        },
        expected: |e| {
            matches!(
                e,
                Error::ShapeMismatch { what: "labels" | "targets" | "upstream gradient" | "reference", .. }
            )
        },
    },
    Fault {
        name: "an upstream gradient too few",
        part: Part::Upstream,
        make: |i, _| shorten(&mut i.upstream),
        expected: |e| matches!(e, Error::RowCount { what: "upstream gradients", given: 2, expected: 3 }),
    },
    Fault {
        name: "upstream gradients per row of a mean",
        part: Part::Upstream,
        make: |i, _| i.reduction = Reduction::Mean,
        expected: |e| *e == Error::UpstreamPerRow { given: 3 },
    },
];

fn shorten<T>(values: &mut Vec<T>) {
    values.truncate(values.len() - 1);
}

#[test]
fn a_good_call_is_not_refused_and_writes() {
    for writer in WRITERS {
        let (inputs, mut outputs) = good();
        let before = outputs.clone();
        (writer.call)(&inputs, &mut outputs).unwrap_or_else(|e| panic!("{}: {e}", writer.name));
        assert_ne!(outputs, before, "{} wrote nothing", writer.name);
    }
}

#[test]
fn nothing_is_written_when_an_error_is_returned() {
    for fault in FAULTS {
        let mut refused = 0;
        for writer in WRITERS {
            let (mut inputs, mut outputs) = good();
            (fault.make)(&mut inputs, &mut outputs);
            let before = outputs.clone();
            let context = format!("{} given {}", writer.name, fault.name);
            let result = (writer.call)(&inputs, &mut outputs);
            if writer.parts.contains(&fault.part) {
                let error = result.expect_err(&context);
                assert!((fault.expected)(&error), "{context}: {error:?}");
                assert_eq!(outputs, before, "{context} has written");
                refused += 1;
            } else if fault.part != Part::Matrix {
                // (The matrix of the other functions is not an output beside the logits: it is the logits.)
                assert_eq!(result, Ok(()), "{context}");
            }
        }
        assert!(refused > 0, "no function looks at {}", fault.name);
    }
}
