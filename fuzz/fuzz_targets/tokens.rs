//! Log-probabilities of tokens, ranks and the largest logits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xent_fuzz::TokensInput;

fuzz_target!(|input: TokensInput| input.check());
