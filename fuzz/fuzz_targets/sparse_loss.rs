//! The loss against class indices, and its gradient, against the f64 oracle.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xent_fuzz::SparseInput;

fuzz_target!(|input: SparseInput| input.check());
