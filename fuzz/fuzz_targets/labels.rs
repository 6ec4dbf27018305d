//! Labels of every integer type and value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xent_fuzz::LabelsInput;

fuzz_target!(|input: LabelsInput| input.check());
