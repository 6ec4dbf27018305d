//! Softmax and what belongs to it, with the gradients, against the f64 oracle and without one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xent_fuzz::SoftmaxInput;

fuzz_target!(|input: SoftmaxInput| input.check());
