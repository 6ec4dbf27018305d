//! The loss with any options, valid or not, against the f64 oracle.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xent_fuzz::OptionsInput;

fuzz_target!(|input: OptionsInput| input.check());
