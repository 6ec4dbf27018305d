//! Cases of softmax, log-softmax and log-sum-exp.

use xent::{Backend, Error, Rows, log_softmax, log_softmax_gradient, log_sum_exp, softmax, softmax_gradient};

use super::case::Case;
use super::layout::Layout;

fn view(values: &[f32], rows: usize, classes: usize, backend: Backend) -> Result<Rows<'_>, Error> {
    Ok(Rows::new(values, rows, classes)?.with_backend(backend))
}

/// Runs a case on a backend.
pub(crate) fn run(case: &Case, backend: Backend) -> Result<(), Error> {
    let layout = Layout::of(case);
    let rows = |name| case.f32s(name).map(|values| layout.rows_of(&values));
    let input = rows("input").expect("every case has an input");
    let (rows_of, classes) = (layout.rows, layout.classes);
    if classes == 0 {
        // The sum over nothing is elsewhere -inf; here rows have classes.
        assert!(matches!(Rows::new(&input, rows_of, 0), Err(Error::NoClasses { .. })), "{}", case.name);
        return Ok(());
    }
    let output = match case.op.as_str() {
        "softmax" => softmax(view(&input, rows_of, classes, backend)?)?,
        "log_softmax" => log_softmax(view(&input, rows_of, classes, backend)?)?,
        _ => log_sum_exp(view(&input, rows_of, classes, backend)?)?,
    };
    for name in &case.outputs {
        match (name.as_str(), case.op.as_str()) {
            ("output", "logsumexp") => case.expect("output", &output),
            ("output", _) => case.expect("output", &layout.tensor_of(&output)),
            ("grad_input", "logsumexp") => {
                let upstream = case.f32s("grad_out").unwrap_or_else(|| vec![1.0; layout.rows]);
                let mut gradient = softmax(view(&input, rows_of, classes, backend)?)?;
                for (row, upstream) in gradient.chunks_mut(layout.classes).zip(upstream) {
                    for x in row {
                        *x *= upstream;
                    }
                }
                case.expect("grad_input", &layout.tensor_of(&gradient));
            }
            ("grad_input", op) => {
                let upstream = rows("grad_out").unwrap_or_else(|| vec![1.0; input.len()]);
                let through = if op == "softmax" { softmax_gradient } else { log_softmax_gradient };
                let gradient = through(
                    view(&output, rows_of, classes, backend)?,
                    view(&upstream, rows_of, classes, backend)?,
                )?;
                case.expect("grad_input", &layout.tensor_of(&gradient));
            }
            other => panic!("{}: output {other:?}", case.name),
        }
    }
    Ok(())
}
