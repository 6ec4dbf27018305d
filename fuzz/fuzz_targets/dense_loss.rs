//! The loss against distributions, and its gradient, against the f64 oracle.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xent_fuzz::DenseInput;

fuzz_target!(|input: DenseInput| input.check());
