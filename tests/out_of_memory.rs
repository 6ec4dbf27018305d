//! An allocator that has nothing left: calls that would allocate results are refused with a typed error, those that
//! would not go on, and afterwards all is as before. Alone in its process, because the allocator is the process's.

mod common;

use std::alloc::System;

use cap::Cap;
use common::{assert_same_bits, backends};
use xent::{CrossEntropy, Error, Hinge, Rows, RowsMut, log_softmax, log_sum_exp, softmax, softmax_into};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Results of four megabytes.
const ROWS: usize = 1 << 10;
const CLASSES: usize = 1 << 10;

/// What is left for everything else.
const LEFT: usize = 1 << 20;

#[test]
fn without_memory_for_results_calls_are_refused_and_the_next_works() {
    let logits: Vec<f32> =
        (0..101_u8).cycle().step_by(37).map(|i| f32::from(i) * 0.17).take(ROWS * CLASSES).collect();
    let labels = vec![3_u16; ROWS];
    let mut into = vec![0.0; ROWS * CLASSES];
    for backend in backends() {
        let view = Rows::new(&logits, ROWS, CLASSES).expect("a matrix").with_backend(backend);
        let loss = CrossEntropy::new();
        // Threads, scratch and error messages have been allocated before memory is short.
        let expected = softmax(view).expect("memory");
        let (expected_loss, expected_gradient) = loss.loss_and_gradient(&labels, view).expect("memory");

        let before = ALLOCATOR.allocated();
        ALLOCATOR.set_limit(before + LEFT).expect("more than there is");
        let results = [
            softmax(view).err(),
            log_softmax(view).err(),
            loss.loss_and_gradient(&labels, view).err(),
            loss.loss_and_gradient(view, view).err(),
            loss.label_gradient(view).err(),
            Hinge::new().loss_and_gradient(&labels, view).err(),
        ];
        // Those that need little, or bring their memory, are not concerned.
        let small = (log_sum_exp(view).is_ok(), loss.loss(&labels, view).is_ok());
        let to = RowsMut::new(&mut into, ROWS, CLASSES).expect("a matrix");
        let brought = softmax_into(view, to);
        let after = ALLOCATOR.allocated();
        ALLOCATOR.set_limit(usize::MAX).expect("more than there is");

        for (call, error) in results.into_iter().enumerate() {
            let expected = Error::OutOfMemory { values: ROWS * CLASSES };
            assert_eq!(error, Some(expected), "call {call} on {backend}");
        }
        assert_eq!((small, brought), ((true, true), Ok(())), "{backend}");
        assert_same_bits("into a buffer", &into, &expected);
        assert!(after < before + LEFT / 2, "{} bytes are lost on {backend}", after - before);
        assert_same_bits("the next softmax", &softmax(view).expect("memory"), &expected);
        let (next, gradient) = loss.loss_and_gradient(&labels, view).expect("memory");
        assert_same_bits("the next loss", &next.rows, &expected_loss.rows);
        assert_same_bits("the next gradient", &gradient, &expected_gradient);
    }
}
