//! The example `server`: JSON of `OpenAI`'s shape.

use crate::common::example::run;

#[test]
fn the_shape_is_that_of_openai() {
    let run = run("server", [""; 0]);
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{run:?}");
    let json: serde_json::Value = serde_json::from_str(&run.out).expect("JSON");
    let content = json["logprobs"]["content"].as_array().expect("one entry for each token");
    assert_eq!(content.len(), 2);
    let drawn = json["drawn"].as_array().expect("one token of each row");
    assert!(drawn.len() == 2 && drawn.iter().all(|token| *token != "<pad>"));
    let second = &content[1];
    assert_eq!((&second["token"], &second["bytes"]), (&"!".into(), &vec![33].into()));
    let top = second["top_logprobs"].as_array().expect("a list");
    let tokens: Vec<_> = top.iter().map(|entry| entry["token"].as_str().expect("text")).collect();
    assert_eq!(tokens, [",", "!", "world"]);
    // The chosen token is the second of them, with the same number.
    assert_eq!(top[1]["logprob"], second["logprob"]);
    let log_prob = second["logprob"].as_f64().expect("a number");
    // -ln(1 + e^2 + e^-1.5 + e^-3), of f32.
    let want = -(1.0 + 2.0_f64.exp() + (-1.5_f64).exp() + (-3.0_f64).exp()).ln();
    assert!((log_prob - want).abs() < 3e-7, "{log_prob}, not {want}");
}
