//! Log-probabilities of whole sequences: what evaluations by likelihood, and perplexities, are made of.

use super::{TokenLogProbs, TokenOutputs};
use crate::engine::total::Total;
use crate::ops::{allocate, expect_rows};
use crate::{Error, IntoLabels, Labels, Rows};

/// What a model gives a sequence of tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SequenceLogProb {
    /// The sum of the log-probabilities of its tokens, in nats: of those in f64, before they are rounded to f32.
    pub sum: f64,
    /// How many tokens were scored: those that are not ignored.
    pub tokens: usize,
    /// Whether each of them is the argmax of its row: whether the model, asked for one token after the other, would have given
    /// this sequence. True of no tokens.
    pub is_greedy: bool,
}

impl SequenceLogProb {
    /// The mean log-probability of a token, in nats; NaN of none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "tokens are fewer than 2^53")]
    pub fn mean(&self) -> f64 {
        self.sum / self.tokens as f64
    }

    /// `e^-mean`: among so many tokens the model was undecided, on average. NaN of none.
    #[must_use]
    pub fn perplexity(&self) -> f64 {
        (-self.mean()).exp()
    }
}

impl TokenLogProbs<'_> {
    /// The log-probability of each sequence of a batch whose rows follow each other: sequence `i` is the rows from
    /// `offsets[i]` up to `offsets[i + 1]`, and row `r` is scored against `tokens[r]`. Tokens that are to be
    /// [ignored](Self::ignore_index), such as those of a prompt, are not scored.
    ///
    /// Takes logits of rows × classes and one token for each row, and gives one value for each sequence. Allocates 16 bytes
    /// for each row.
    ///
    /// # Errors
    ///
    /// As [`read_into`](Self::read_into); [`Error::Option`] for an offset that is below the one before it, or above the
    /// number of rows; [`Error::OutOfMemory`].
    ///
    /// ```
    /// use xent::{Rows, TokenLogProbs};
    ///
    /// // Two sequences, of one token and of two.
    /// let logits = Rows::new(&[0.0, 0.0, 1.0, 0.0, 0.0, 2.0], 3, 2)?;
    /// let scores = TokenLogProbs::new().sequence_log_probs(&[1_u8, 0, 0], logits, &[0, 1, 3])?;
    /// assert!((scores[0].sum + core::f64::consts::LN_2).abs() < 1e-12);
    /// assert!((scores[1].sum + 2.440_189_7).abs() < 1e-7 && !scores[1].is_greedy);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn sequence_log_probs<'t>(
        &self,
        tokens: impl IntoLabels<'t>,
        logits: Rows<'_>,
        offsets: &[usize],
    ) -> Result<Vec<SequenceLogProb>, Error> {
        self.sequences(tokens.into_labels(), logits, offsets, 0)
    }

    /// As [`sequence_log_probs`](Self::sequence_log_probs), for logits as a causal model gives them: those of a token are of
    /// the token *after* it. Row `r` is scored against `tokens[r + 1]`, by a view of both, and the last row of each sequence
    /// against none.
    ///
    /// # Errors
    ///
    /// As [`sequence_log_probs`](Self::sequence_log_probs).
    ///
    /// ```
    /// use xent::{Rows, TokenLogProbs};
    ///
    /// // One sequence of three tokens, the first of which nothing was to foresee.
    /// let logits = Rows::new(&[0.0, 0.0, 1.0, 0.0, 0.0, 2.0], 3, 2)?;
    /// let score = TokenLogProbs::new().next_token_log_probs(&[0_u8, 1, 0], logits, &[0, 3])?[0];
    /// assert_eq!((score.tokens, score.is_greedy), (2, false)); // of equal logits the first is the argmax
    /// assert!((score.sum + 1.006_408_9).abs() < 1e-7); // -ln 2 - ln(1 + e^-1)
    /// assert!((score.perplexity() - 1.654_013).abs() < 1e-6);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn next_token_log_probs<'t>(
        &self,
        tokens: impl IntoLabels<'t>,
        logits: Rows<'_>,
        offsets: &[usize],
    ) -> Result<Vec<SequenceLogProb>, Error> {
        self.sequences(tokens.into_labels(), logits, offsets, 1)
    }

    /// Scores rows against the token that is so many after theirs.
    fn sequences(
        &self,
        tokens: Labels<'_>,
        logits: Rows<'_>,
        offsets: &[usize],
        shift: usize,
    ) -> Result<Vec<SequenceLogProb>, Error> {
        let (rows, classes) = (logits.rows(), logits.classes());
        expect_rows("labels", tokens.len(), rows)?;
        self.expect_options(rows, classes)?;
        let mut before = 0;
        for (index, &offset) in offsets.iter().enumerate() {
            if offset < before || offset > rows {
                let expected = "at least the one before, and at most the number of rows";
                let (what, index) = ("sequence offset", Some(index));
                return Err(Error::Option { what, index, given: offset.to_string(), expected });
            }
            before = offset;
        }
        let scored = rows.saturating_sub(shift);
        let (_, tokens) = tokens.split_at(rows - scored);
        let logits = Rows::of(logits.values().part(0, scored), logits.execution());
        let (mut rounded, mut exact) = (allocate(0.0, scored)?, allocate(0.0, scored)?);
        let mut argmax = allocate(0, scored)?;
        let wanted = TokenOutputs::new().chosen(tokens, &mut rounded).argmax(&mut argmax);
        self.of_first_rows(scored, classes).run(logits, wanted, &mut exact)?;
        let score = |first: usize, end: usize| {
            let (mut sum, mut count, mut is_greedy) = (Total::default(), 0, true);
            for row in first..end.saturating_sub(shift) {
                let Some(token) = tokens.get(row).filter(|&token| !self.options.ignored.holds(token)) else {
                    continue;
                };
                sum = sum.plus(exact[row]);
                count += 1;
                is_greedy &= i128::from(argmax[row]) == token && !exact[row].is_nan();
            }
            SequenceLogProb { sum: sum.value(), tokens: count, is_greedy }
        };
        let mut scores = allocate(score(0, 0), offsets.len().saturating_sub(1))?;
        for (to, ends) in scores.iter_mut().zip(offsets.windows(2)) {
            *to = score(ends[0], ends[1]);
        }
        Ok(scores)
    }
}
