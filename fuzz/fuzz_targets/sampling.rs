//! Tokens that are drawn.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xent_fuzz::SamplingInput;

fuzz_target!(|input: SamplingInput| input.check());
