//! Rows right before and right behind memory that nothing may touch: every function that writes, on every backend.
//!
//! Inputs, outputs and all that a call allocates for itself lie so, each in pages of its own. A value read or written
//! outside of them ends the process; with `--nocapture` the last line says in which call. Kernels read whole vectors
//! behind a row where the view's own slice has memory there, as it has behind all rows but the last.

#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;

mod fence;

use common::backends;
use common::integer_rows::{KINDS, call, reset};
use common::writers::{Inputs, Outputs, WRITERS};
use fence::{Allocator, Fence, fenced, is_fenced};
use xent::Backend;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// Asserts that all of a call's memory ends, or begins, at a fence.
fn assert_fenced(fence: Fence, inputs: &Inputs, outputs: &Outputs) {
    let Inputs { logits, labels, second, upstream, class_weights, row_weights, mask, .. } = inputs;
    let Outputs { matrix, elements, losses, indices, flags, sums, .. } = outputs;
    for floats in [logits, second, upstream, class_weights, row_weights, matrix, elements, losses] {
        assert!(is_fenced(fence, floats), "{fence:?}: not at a fence");
    }
    let others = [
        is_fenced(fence, labels),
        is_fenced(fence, mask),
        is_fenced(fence, indices),
        is_fenced(fence, flags),
        is_fenced(fence, sums),
    ];
    assert_eq!(others, [true; 5], "{fence:?}: not at a fence");
}

/// Calls every function with rows at a fence.
fn call_all(fence: Fence, (rows, classes): (usize, usize), first: usize, backend: Backend) {
    let (inputs, mut outputs) = call(rows, classes, first, backend);
    assert_fenced(fence, &inputs, &outputs);
    let sums = outputs.sums.clone();
    for writer in WRITERS {
        println!("{}, {rows} rows of {classes} from kind {first} on, {fence:?}, {backend}", writer.name);
        reset(&inputs, &sums, &mut outputs);
        (writer.call)(&inputs, &mut outputs).expect("a valid call");
    }
}

/// All lengths at which a vector ends, and those around the sixteen rows of a tile, a block and two blocks.
fn lengths() -> impl Iterator<Item = usize> {
    (1..=67).chain([95, 96, 97, 511, 512, 513, 1023, 1024, 1025])
}

fn nothing_outside_is_touched(fence: Fence) {
    for backend in backends() {
        // Scratch of former calls is not at a fence: this thread is new, and so is what it allocates.
        let work = || {
            for classes in lengths() {
                for kind in 0..KINDS {
                    call_all(fence, (1, classes), kind, backend);
                }
                // Few rows one after the other, as many as become lanes, and those of another tile.
                for rows in [3, 7, 18, 25] {
                    call_all(fence, (rows, classes), classes % KINDS, backend);
                }
            }
        };
        std::thread::scope(|scope| scope.spawn(|| fenced(fence, work)).join().expect("no failed call"));
    }
}

/// One test: fences are for the whole process.
#[test]
fn no_call_touches_memory_before_or_behind_its_own() {
    nothing_outside_is_touched(Fence::Behind);
    nothing_outside_is_touched(Fence::Before);
}
