//! Two sets of logits compared.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xent_fuzz::ComparisonInput;

fuzz_target!(|input: ComparisonInput| input.check());
