//! One thread gives the bits of any number of threads.

use rayon::ThreadPoolBuilder;
use xent::{Backend, CrossEntropy, Reduction, Summary};

use crate::case::{Case, assert_same, is_slow};
use crate::common::paths::{Axes, Layout, Strided};
use crate::common::strategies::Pick;
use crate::common::{backends, same_bits};

const THREADS: [usize; 4] = [1, 2, 3, 8];

/// Shapes of more than 32 Ki logits, beyond which work leaves the calling thread, cut within and between
/// the blocks that a task takes; and long rows, which threads share.
const SHAPES: [(usize, usize); 6] = [(701, 67), (3, 16_385), (9000, 4), (67, 701), (1, 65_537), (3, 70_000)];

fn in_pool<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn no_number_of_threads_changes_a_bit() {
    for (i, (rows, classes)) in SHAPES.into_iter().enumerate() {
        let case = Case::of_rows(rows, classes);
        for backend in backends().into_iter().filter(|backend| i < 2 || !is_slow(*backend)) {
            let expected = in_pool(1, || case.outcomes(Layout::new(1, 2), backend));
            // Another axis of classes for each shape and number of threads.
            for (j, threads) in THREADS[1..].iter().enumerate() {
                let axes = Axes::ALL[(i + 2 * j) % Axes::ALL.len()];
                let outcomes = || case.outcomes(Layout::new(1, 2).along(axes), backend);
                let context = format!("{threads} threads, {rows} rows of {classes} on {backend}");
                assert_same(&context, &in_pool(*threads, outcomes), &expected);
            }
            assert_same("the global pool", &case.outcomes(Layout::new(1, 2), backend), &expected);
        }
    }
}

/// The reduced loss and its gradient, with some rows ignored.
fn reduced(case: &Case, reduction: Reduction, backend: Backend) -> (Summary, Vec<f32>) {
    // The largest logit: a masked class would make the loss infinite.
    let labels =
        case.logits.map_rows(|(row, logits)| if row % 5 == 0 { 255 } else { Pick::Largest.label(logits) });
    let logits = Strided::of(&case.logits, Layout::default());
    let loss = CrossEntropy::new().reduction(reduction).ignore_index(255).upstream(3.0);
    let (loss, gradient) = loss.loss_and_gradient(&labels, logits.view(backend)).unwrap();
    (loss.summary, gradient)
}

#[test]
fn no_number_of_threads_changes_a_bit_of_a_reduced_loss() {
    let case = Case::of_rows(701, 67);
    for backend in backends() {
        for reduction in [Reduction::Sum, Reduction::Mean] {
            let results = || reduced(&case, reduction, backend);
            let (expected, expected_gradient) = in_pool(1, results);
            assert!(expected.value.is_finite() && expected.used_rows < case.logits.rows);
            for threads in &THREADS[1..] {
                let (summary, gradient) = in_pool(*threads, results);
                assert_eq!(summary.used_rows, expected.used_rows);
                assert!(same_bits(summary.value, expected.value), "{threads} threads on {backend}");
                let same = gradient.iter().zip(&expected_gradient).all(|(&a, &b)| same_bits(a, b));
                assert!(same, "{threads} threads on {backend}");
            }
        }
    }
}

#[test]
fn calls_from_many_threads_at_once_do_not_disturb_each_other() {
    let case = Case::of_every_kind(513, true);
    let backend = *backends().last().unwrap();
    let outcomes = || case.outcomes(Layout::default(), backend);
    let expected = outcomes();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(outcomes)).collect();
        for thread in threads {
            assert_same("a thread of its own", &thread.join().unwrap(), &expected);
        }
    });
}
