//! Replays the inputs committed for the fuzz targets, without a fuzzing engine: each on every backend,
//! against the f64 oracle. What fuzzing finds is committed there once it is understood.

use std::fs;
use std::path::Path;

use arbitrary::{Arbitrary, Unstructured};

#[allow(unreachable_pub, reason = "a crate of its own when fuzzing")]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use fuzz::{DenseInput, SparseInput};

/// Fewer seeds than this mean that the corpus has been lost.
const SEEDS: usize = 12;

#[test]
fn seeds_of_the_sparse_loss_pass() {
    replay("sparse_loss", SparseInput::check);
}

#[test]
fn seeds_of_the_dense_loss_pass() {
    replay("dense_loss", DenseInput::check);
}

/// Makes an input of each file as libFuzzer's glue does, and checks it.
fn replay<T: for<'a> Arbitrary<'a>>(target: &str, check: fn(&T)) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&directory).expect("the corpus is in the repository") {
        let path = entry.expect("readable").path();
        let bytes = fs::read(&path).expect("readable");
        let Ok(input) = T::arbitrary_take_rest(Unstructured::new(&bytes)) else {
            panic!("{} is no input", path.display());
        };
        // A failure's message does not say of which file it is.
        println!("{}", path.display());
        check(&input);
        count += 1;
    }
    assert!(count >= SEEDS, "{count} seeds in {}", directory.display());
}
