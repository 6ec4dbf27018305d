//! The files that the example `score` reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xent_fuzz::ScoreInput;

fuzz_target!(|input: ScoreInput| input.check());
