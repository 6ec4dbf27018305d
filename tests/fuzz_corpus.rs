//! Replays the inputs committed for the fuzz targets, without a fuzzing engine: each on every backend,
//! against its oracle. What fuzzing finds is committed there once it is understood.

use std::fs;
use std::path::{Path, PathBuf};

use arbitrary::{Arbitrary, Unstructured};

#[allow(unreachable_pub, reason = "a crate of its own when fuzzing")]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use fuzz::{
    AxesInput, ComparisonInput, DenseInput, FamilyInput, LabelsInput, LinearInput, OptionsInput,
    SamplingInput, ScoreInput, ShapeInput, SoftmaxInput, SparseInput, TokensInput, ViewsInput,
};

/// Fewer seeds than this mean that the corpus has been lost.
const SEEDS: usize = 12;

/// A test for each target, and the list of all.
macro_rules! targets {
    ($($test:ident: $target:literal, $input:ty;)+) => {
        const TARGETS: &[&str] = &[$($target),+];

        $(#[test]
        fn $test() {
            replay($target, <$input>::check);
        })+
    };
}

targets! {
    seeds_of_the_sparse_loss_pass: "sparse_loss", SparseInput;
    seeds_of_the_dense_loss_pass: "dense_loss", DenseInput;
    seeds_of_the_options_pass: "options", OptionsInput;
    seeds_of_softmax_and_its_family_pass: "softmax", SoftmaxInput;
    seeds_of_shapes_at_the_edges_pass: "shapes", ShapeInput;
    seeds_of_views_pass: "views", ViewsInput;
    seeds_of_axes_pass: "axes", AxesInput;
    seeds_of_labels_pass: "labels", LabelsInput;
    seeds_of_the_other_losses_pass: "family", FamilyInput;
    seeds_of_linear_classifiers_pass: "linear", LinearInput;
    seeds_of_tokens_pass: "tokens", TokensInput;
    seeds_of_draws_pass: "sampling", SamplingInput;
    seeds_of_comparisons_pass: "comparison", ComparisonInput;
    seeds_of_files_pass: "score", ScoreInput;
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

/// Makes an input of each file as libFuzzer's glue does, and checks it.
fn replay<T: for<'a> Arbitrary<'a>>(target: &str, check: fn(&T)) {
    let directory = folder("corpus").join(target);
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

#[test]
fn every_target_is_replayed() {
    let mut targets: Vec<_> = fs::read_dir(folder("fuzz_targets"))
        .expect("the targets are in the repository")
        .map(|entry| {
            entry.expect("readable").path().file_stem().expect("a name").to_string_lossy().into_owned()
        })
        .collect();
    let mut replayed = TARGETS.to_vec();
    targets.sort();
    replayed.sort_unstable();
    assert_eq!(targets, replayed);
}
