//! Shapes at the edges of 16 bits and of the crate's loops, with little memory behind them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xent_fuzz::ShapeInput;

fuzz_target!(|input: ShapeInput| input.check());
