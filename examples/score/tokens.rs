//! What `--top-k` and `--sequences` print.

use std::io::{self, Read, Write};

use anyhow::{Context, Result};
use xent::{Error, Labels, Rows, SequenceLogProb, TokenLogProbs};

use super::sum::Sum;
use super::values::Integers;

/// How many rows have their label among the `k` most probable classes. A row with a NaN has none.
pub(crate) fn among_top(k: usize, labels: Labels<'_>, logits: Rows<'_>) -> Result<usize, Error> {
    let k = k.min(logits.classes());
    let (ids, _) = TokenLogProbs::new().top(k, logits)?;
    let holds = |&row: &usize| ids[row * k..][..k].iter().any(|&id| Some(i128::from(id)) == labels.get(row));
    Ok((0..logits.rows()).filter(holds).count())
}

/// The sequences that rows are cut into: from each offset up to the next.
pub(crate) struct Sequences {
    offsets: Vec<usize>,
    scores: Vec<Sequence>,
    /// How many rows have been scored.
    rows: usize,
}

/// What is known of a sequence, some of whose rows may be in later pieces.
#[derive(Clone, Default)]
struct Sequence {
    sum: Sum,
    tokens: usize,
    has_others: bool,
}

impl Sequences {
    /// Reads where the sequences of so many rows begin.
    pub(crate) fn read(mut offsets: Integers<impl Read>, rows: usize) -> Result<Self> {
        let offsets = offsets.read(offsets.len)?;
        let offset = |index| offsets.get(index).and_then(|offset: i128| usize::try_from(offset).ok());
        let offsets: Option<Vec<usize>> = (0..offsets.len()).map(offset).collect();
        let offsets = offsets.context("an offset is negative; expected numbers of rows")?;
        let mut before = 0;
        for (index, &offset) in offsets.iter().enumerate() {
            if offset < before || offset > rows {
                let expected = "at least the one before, and at most the number of rows";
                let (what, index) = ("sequence offset", Some(index));
                return Err(Error::Option { what, index, given: offset.to_string(), expected }.into());
            }
            before = offset;
        }
        let scores = vec![Sequence::default(); offsets.len().saturating_sub(1)];
        Ok(Self { offsets, scores, rows: 0 })
    }

    /// Scores the next rows.
    pub(crate) fn add(&mut self, labels: Labels<'_>, logits: Rows<'_>) -> Result<(), Error> {
        // Each row by itself, since sequences may go on in the next piece.
        let rows: Vec<usize> = (0..=logits.rows()).collect();
        for row in TokenLogProbs::new().sequence_log_probs(labels, logits, &rows)? {
            let begun = self.offsets.partition_point(|&offset| offset <= self.rows);
            if let Some(score) = begun.checked_sub(1).and_then(|index| self.scores.get_mut(index)) {
                score.sum.add(row.sum);
                score.tokens += row.tokens;
                score.has_others |= !row.is_greedy;
            }
            self.rows += 1;
        }
        Ok(())
    }

    /// One line for each sequence.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "sequences       {}", self.scores.len())?;
        for (i, score) in self.scores.iter().enumerate() {
            let (sum, tokens, is_greedy) = (score.sum.value(), score.tokens, !score.has_others);
            let perplexity = SequenceLogProb { sum, tokens, is_greedy }.perplexity();
            writeln!(
                out,
                "sequence {i:<6} {tokens} tokens, {sum:?} nats, perplexity {perplexity:?}, greedy {is_greedy}"
            )?;
        }
        Ok(())
    }
}
