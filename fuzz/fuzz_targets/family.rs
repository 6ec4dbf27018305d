//! The losses beside cross-entropy, against f64 formulas.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xent_fuzz::FamilyInput;

fuzz_target!(|input: FamilyInput| input.check());
