//! What goes wrong around a call leaves nothing behind: the next one gives what it gave before.

mod common;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind, set_hook};
use std::thread;

use common::{assert_same_bits, backends};
use rayon::ThreadPoolBuilder;
use xent::{
    Backend, BinaryCrossEntropy, CrossEntropy, Error, Hinge, KlDivergence, NegativeLogLikelihood, Rows,
    Smoothing, SquaredError, argmax, log_softmax, log_softmax_gradient, log_sum_exp, row_max, softmax,
    softmax_cross_entropy_with_logits, softmax_gradient, sparse_softmax_cross_entropy_with_logits,
};

/// More than 32 Ki logits, which several threads share: short rows, and a long one.
const SHAPES: [(usize, usize); 2] = [(70, 1000), (1, 70_000)];

/// The results of a few calls, among them one that uses the scratch of each thread.
fn answer(backend: Backend) -> Vec<f32> {
    let mut all = Vec::new();
    for (rows, classes) in SHAPES {
        let logits: Vec<f32> =
            (0..101_u8).cycle().step_by(37).map(|i| f32::from(i) * 0.17).take(rows * classes).collect();
        let logits = Rows::new(&logits, rows, classes).expect("a matrix").with_backend(backend);
        let labels = vec![7_u8; rows];
        let smooth = CrossEntropy::new().label_smoothing(0.1, Smoothing::Uniform).expect("a part");
        let (loss, gradient) = smooth.loss_and_gradient(&labels, logits).expect("a valid call");
        all.extend(loss.rows);
        all.extend(gradient);
        all.extend(softmax(logits).expect("a valid call"));
    }
    all
}

/// A panic without words.
fn fail() -> ! {
    set_hook(Box::new(|info| {
        if !info.payload().is::<Meant>() {
            eprintln!("{info}");
        }
    }));
    panic_any(Meant)
}

struct Meant;

#[test]
fn a_panic_beside_a_call_leaves_pools_and_threads_as_they_were() {
    for backend in backends() {
        let expected = answer(backend);
        let pool = ThreadPoolBuilder::new().num_threads(3).build().expect("a few threads");
        let faults: [&(dyn Fn() + Sync); 5] = [
            &|| {
                rayon::join(|| answer(backend), || fail());
            },
            &|| {
                rayon::join(|| fail(), || answer(backend));
            },
            &|| {
                pool.install(|| rayon::join(|| fail(), || answer(backend)));
            },
            &|| {
                pool.scope(|scope| {
                    scope.spawn(|_| drop(answer(backend)));
                    scope.spawn(|_| fail());
                    scope.spawn(|_| drop(answer(backend)));
                });
            },
            &|| {
                answer(backend);
                fail()
            },
        ];
        for (fault, call) in faults.iter().enumerate() {
            let panic = catch_unwind(AssertUnwindSafe(call)).expect_err("a panic goes on to the caller");
            assert!(panic.is::<Meant>(), "fault {fault} on {backend}: another panic");
            let context = format!("after fault {fault} on {backend}");
            assert_same_bits(&context, &answer(backend), &expected);
            assert_same_bits(&context, &pool.install(|| answer(backend)), &expected);
        }
    }
}

#[test]
fn a_thread_that_dies_between_calls_takes_nothing_with_it() {
    for backend in backends() {
        let expected = answer(backend);
        let died = thread::spawn(move || {
            answer(backend);
            fail()
        });
        assert!(died.join().is_err_and(|panic| panic.is::<Meant>()));
        assert_same_bits("another thread", &answer(backend), &expected);
    }
}

/// Calls when it is dropped.
struct Last(Backend, Vec<f32>);

impl Drop for Last {
    fn drop(&mut self) {
        assert_same_bits("a call of a destructor", &answer(self.0), &self.1);
    }
}

#[test]
fn calls_work_while_a_panic_unwinds() {
    for backend in backends() {
        let last = Last(backend, answer(backend));
        let panic = catch_unwind(AssertUnwindSafe(move || {
            let _last = last;
            fail()
        }));
        assert!(panic.is_err_and(|panic| panic.is::<Meant>()), "{backend}");
    }
}

#[test]
fn calls_work_while_a_thread_ends() {
    thread_local! {
        static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
    }
    for backend in backends() {
        let expected = answer(backend);
        let thread = thread::spawn(move || {
            LAST.set(Some(Last(backend, expected)));
            answer(backend);
        });
        thread.join().unwrap_or_else(|panic| resume_unwind(panic));
    }
}

/// The error of a call.
fn refused<T>(result: Result<T, Error>) -> Option<Error> {
    result.err()
}

#[test]
fn results_that_nothing_can_hold_are_an_error() {
    // A number and its label, again and again: 2^61 results are 2^63 bytes and more.
    const ROWS: usize = 1 << (usize::BITS - 3);
    for backend in backends() {
        let expected = answer(backend);
        let logits = Rows::with_stride(&[0.5], ROWS, 1, 0).expect("a view").with_backend(backend);
        let (loss, labels) = (CrossEntropy::new(), [0_u8]);
        let likelihood = NegativeLogLikelihood::of_log_probabilities();
        let results = [
            refused(softmax(logits)),
            refused(log_softmax(logits)),
            refused(softmax_gradient(logits, logits)),
            refused(log_softmax_gradient(logits, logits)),
            refused(log_sum_exp(logits)),
            refused(row_max(logits)),
            refused(argmax(logits)),
            refused(softmax_cross_entropy_with_logits(logits, logits)),
            refused(sparse_softmax_cross_entropy_with_logits(&labels, logits)),
            refused(loss.loss(&labels, logits)),
            refused(loss.loss_and_gradient(logits, logits)),
            refused(loss.forward(logits, logits)),
            refused(loss.backward(logits, logits, &[])),
            refused(loss.label_gradient(logits)),
            refused(Hinge::new().loss(&labels, logits)),
            refused(Hinge::new().loss_and_gradient(&labels, logits)),
            refused(likelihood.loss(logits, logits)),
            refused(likelihood.loss_and_gradient(logits, logits)),
            refused(BinaryCrossEntropy::new().loss(logits, logits)),
            refused(BinaryCrossEntropy::new().loss_and_gradient(logits, logits)),
            refused(KlDivergence::new().loss(logits, logits)),
            refused(SquaredError::new().loss_and_gradient(logits, logits)),
        ];
        for (call, error) in results.into_iter().enumerate() {
            assert_eq!(error, Some(Error::OutOfMemory { values: ROWS }), "call {call} on {backend}");
        }
        assert_same_bits("the next call", &answer(backend), &expected);
    }
}
