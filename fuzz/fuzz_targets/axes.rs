//! Views of outer × classes × inner values with any strides.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xent_fuzz::AxesInput;

fuzz_target!(|input: AxesInput| input.check());
