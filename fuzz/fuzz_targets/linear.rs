//! The loss of a linear classifier, against that of logits made by hand.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xent_fuzz::LinearInput;

fuzz_target!(|input: LinearInput| input.check());
