//! What `--top-k` and `--sequences` print.

use std::io::{self, Write};

use anyhow::{Context, Result};
use xent::{Error, Labels, Rows, SequenceLogProb, TokenLogProbs};

/// How many rows have their label among the `k` most probable classes. A row with a NaN has none.
pub(crate) fn among_top(k: usize, labels: Labels<'_>, logits: Rows<'_>) -> Result<usize, Error> {
    let k = k.min(logits.classes());
    let (ids, _) = TokenLogProbs::new().top(k, logits)?;
    let holds = |&row: &usize| ids[row * k..][..k].iter().any(|&id| Some(i128::from(id)) == labels.get(row));
    Ok((0..logits.rows()).filter(holds).count())
}

/// Scores the sequences that rows are cut into: from each offset up to the next.
pub(crate) fn sequences(
    offsets: Labels<'_>,
    labels: Labels<'_>,
    logits: Rows<'_>,
) -> Result<Vec<SequenceLogProb>> {
    let offset = |index| offsets.get(index).and_then(|offset: i128| usize::try_from(offset).ok());
    let offsets: Option<Vec<usize>> = (0..offsets.len()).map(offset).collect();
    let offsets = offsets.context("an offset is negative; expected numbers of rows")?;
    Ok(TokenLogProbs::new().sequence_log_probs(labels, logits, &offsets)?)
}

/// One line for each sequence.
pub(crate) fn print(sequences: &[SequenceLogProb], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "sequences       {}", sequences.len())?;
    for (i, sequence) in sequences.iter().enumerate() {
        let SequenceLogProb { sum, tokens, is_greedy } = sequence;
        let perplexity = sequence.perplexity();
        writeln!(
            out,
            "sequence {i:<6} {tokens} tokens, {sum:?} nats, perplexity {perplexity:?}, greedy {is_greedy}"
        )?;
    }
    Ok(())
}
