//! What a server does with a model's logits: from a `&[f32]`, as candle, `ort` and others give it, to a token that is drawn, and
//! to the `logprobs` of `OpenAI`'s chat completions as JSON.
//!
//! ```text
//! cargo run --release --example server
//! ```

use serde_json::{Value, json};
use xent::{Error, Rows, Sampler, TokenLogProbs, TokenOutputs, Truncation};

/// The `content` of a choice's `logprobs`: one entry for each generated token, with the `k` most probable ones (0 to 20 in
/// `OpenAI`'s interface). The log-probabilities are those of the model: no temperature is asked for.
///
/// Takes the logits of the tokens after each other, tokens × vocabulary.
fn logprobs(logits: &[f32], tokens: &[u32], k: usize, text: impl Fn(u32) -> String) -> Result<Value, Error> {
    let (rows, vocabulary) = (tokens.len(), logits.len() / tokens.len().max(1));
    let (mut chosen, mut ids, mut top) = (vec![0.0; rows], vec![0; rows * k], vec![0.0; rows * k]);
    let wanted = TokenOutputs::new().chosen(tokens, &mut chosen).top(k, &mut ids, &mut top);
    TokenLogProbs::new().read_into(Rows::new(logits, rows, vocabulary)?, wanted)?;
    // JSON has no infinity: -9999.0 is OpenAI's number for a token that is very unlikely.
    let entry = |token: u32, log_prob: f32| {
        let text = text(token);
        json!({ "token": text, "logprob": log_prob.max(-9999.0), "bytes": text.as_bytes() })
    };
    let content = (0..rows).map(|row| {
        let of_row = row * k..(row + 1) * k;
        let taking_part =
            ids[of_row.clone()].iter().zip(&top[of_row]).filter(|(id, _)| **id != TokenLogProbs::NO_TOKEN);
        let mut one = entry(tokens[row], chosen[row]);
        one["top_logprobs"] = taking_part.map(|(id, log_prob)| entry(*id, *log_prob)).collect();
        one
    });
    Ok(content.collect())
}

/// The next token of each request: its temperature and its seed, and how many tokens it has so far, with the same nucleus for all.
fn draw(logits: Rows<'_>, temperatures: &[f32], seeds: &[u64], generated: &[u64]) -> Result<Vec<u32>, Error> {
    let nucleus = Truncation::new().top_k(50).top_p(0.95)?;
    let sampler = Sampler::new(0).row_seeds(seeds).positions(generated).truncation(nucleus);
    Ok(TokenLogProbs::new().row_temperatures(temperatures)?.sample(sampler, logits)?.0)
}

fn main() -> Result<(), Error> {
    let vocabulary = ["Hello", "world", ",", "!", "<pad>"];
    let logits = [3.0, 1.0, -2.0, 0.0, f32::NEG_INFINITY, -1.0, 0.5, 4.0, 2.0, f32::NEG_INFINITY];
    let text = |token: u32| vocabulary[token as usize].to_owned();
    let next = draw(Rows::new(&logits, 2, 5)?, &[0.7, 1.0], &[42, 7], &[0, 12])?;
    let logprobs = json!({ "content": logprobs(&logits, &[0, 3], 3, text)? });
    println!(
        "{:#}",
        json!({ "logprobs": logprobs, "drawn": next.into_iter().map(text).collect::<Vec<_>>() })
    );
    Ok(())
}
