//! Views of any sizes and strides.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xent_fuzz::ViewsInput;

fuzz_target!(|input: ViewsInput| input.check());
