//! Cases of softmax, log-softmax and log-sum-exp.

use xent::{Backend, Error, Rows, log_softmax, log_softmax_gradient, log_sum_exp, softmax, softmax_gradient};

use super::case::Case;
use super::layout::Layout;

/// Runs a case on a backend.
pub(crate) fn run(case: &Case, backend: Backend) -> Result<(), Error> {
    let layout = Layout::of(case);
    let tensor = |name| case.f32s(name).map(|values| layout.arranged(values));
    let input = tensor("input").expect("every case has an input");
    if layout.classes == 0 {
        // The sum over nothing is elsewhere -inf; here rows have classes.
        assert!(matches!(layout.view(&input, backend), Err(Error::NoClasses { .. })), "{}", case.name);
        return Ok(());
    }
    let output = match case.op.as_str() {
        "softmax" => softmax(layout.view(&input, backend)?)?,
        "log_softmax" => log_softmax(layout.view(&input, backend)?)?,
        _ => log_sum_exp(layout.view(&input, backend)?)?,
    };
    for name in &case.outputs {
        match (name.as_str(), case.op.as_str()) {
            ("output", "logsumexp") => case.expect("output", &output),
            ("output", _) => case.expect("output", &layout.tensor_of(&output)),
            ("grad_input", "logsumexp") => {
                let upstream = case.f32s("grad_out").unwrap_or_else(|| vec![1.0; layout.rows]);
                let mut gradient = softmax(layout.view(&input, backend)?)?;
                for (row, upstream) in gradient.chunks_mut(layout.classes).zip(upstream) {
                    for x in row {
                        *x *= upstream;
                    }
                }
                case.expect("grad_input", &layout.tensor_of(&gradient));
            }
            ("grad_input", op) => {
                let upstream = tensor("grad_out").unwrap_or_else(|| vec![1.0; input.len()]);
                let through = if op == "softmax" { softmax_gradient } else { log_softmax_gradient };
                let gradient = through(
                    // Results are rows after each other.
                    Rows::new(&output, layout.rows, layout.classes)?.with_backend(backend),
                    layout.view(&upstream, backend)?,
                )?;
                case.expect("grad_input", &layout.tensor_of(&gradient));
            }
            other => panic!("{}: output {other:?}", case.name),
        }
    }
    Ok(())
}
