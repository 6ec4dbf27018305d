//! What is wanted of rows, and where it goes.

use super::Sampler;
use crate::engine::tokens::{Draws, Named, Outputs};
use crate::ops::{checked, expect_rows};
use crate::{Error, IntoLabels, Labels};

/// What [`TokenLogProbs::read_into`](crate::TokenLogProbs::read_into) writes: a buffer for each thing that is wanted.
///
/// ```
/// use xent::{Rows, TokenLogProbs, TokenOutputs};
///
/// // Is the answer "yes" (token 7) or "no" (token 2)?
/// let logits = Rows::new(&[0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 2.0], 1, 8)?;
/// let (mut answers, mut entropy) = ([0.0; 2], [0.0]);
/// let wanted = TokenOutputs::new().named(&[7, 2], &mut answers).entropy(&mut entropy);
/// TokenLogProbs::new().read_into(logits, wanted)?;
/// assert!((answers[0] + 0.779_274_94).abs() < 1e-6 && (answers[1] + 1.779_274_9).abs() < 1e-6);
/// assert!((entropy[0] - 1.693_037_5).abs() < 1e-6);
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct TokenOutputs<'a> {
    chosen: Option<(Labels<'a>, &'a mut [f32])>,
    rank: Option<[&'a mut [u32]; 2]>,
    top: Option<(usize, &'a mut [u32], &'a mut [f32])>,
    named: Option<(Names<'a>, &'a mut [f32])>,
    entropy: Option<&'a mut [f32]>,
    log_sum_exp: Option<&'a mut [f32]>,
    argmax: Option<&'a mut [u32]>,
    sample: Option<(Sampler<'a>, &'a mut [u32], &'a mut [f32])>,
}

/// Tokens that are named for all rows, or so many for each.
#[derive(Debug)]
enum Names<'a> {
    Shared(&'a [u32]),
    PerRow(usize, &'a [u32]),
}

impl<'a> TokenOutputs<'a> {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The log-probability of one token per row: the one that was sampled, or that a text has. Tokens are integers of any
    /// type, as the labels of a loss.
    pub fn chosen(self, tokens: impl IntoLabels<'a>, to: &'a mut [f32]) -> Self {
        Self { chosen: Some((tokens.into_labels(), to)), ..self }
    }

    /// How many logits of a row are above that of its chosen token, and how many equal it, itself among them. Its rank is
    /// `above + 1`, and `above + equal` as vLLM counts it. A masked class counts as a logit of `-inf`.
    pub fn rank(self, above: &'a mut [u32], equal: &'a mut [u32]) -> Self {
        Self { rank: Some([above, equal]), ..self }
    }

    /// The `k` most probable tokens and their log-probabilities, rows × `k`, in falling order; of equal logits the lower
    /// token first. After all classes that take part there are [`TokenLogProbs::NO_TOKEN`](crate::TokenLogProbs::NO_TOKEN) and `-inf`.
    pub fn top(self, k: usize, ids: &'a mut [u32], log_probs: &'a mut [f32]) -> Self {
        Self { top: Some((k, ids, log_probs)), ..self }
    }

    /// The log-probabilities of the same tokens in every row, rows × tokens, whatever their rank.
    pub fn named(self, tokens: &'a [u32], to: &'a mut [f32]) -> Self {
        Self { named: Some((Names::Shared(tokens), to)), ..self }
    }

    /// The log-probabilities of `count` tokens for each row, both rows × `count`.
    pub fn named_per_row(self, count: usize, tokens: &'a [u32], to: &'a mut [f32]) -> Self {
        Self { named: Some((Names::PerRow(count, tokens), to)), ..self }
    }

    /// The entropy of each row's distribution, `-sum p_i ln p_i`, in nats. It is within 8 ULP, and may be another one of
    /// these than [`Statistics::entropy`](crate::Statistics::entropy) is, which adds in another order.
    pub fn entropy(self, to: &'a mut [f32]) -> Self {
        Self { entropy: Some(to), ..self }
    }

    /// `ln sum_j e^(x_j)` of each row, in nats: at most 3 ULP off, near zero of the larger of it and the largest logit. It may
    /// be another one of these than [`log_sum_exp`](crate::log_sum_exp) gives, which does not look for the largest logit.
    pub fn log_sum_exp(self, to: &'a mut [f32]) -> Self {
        Self { log_sum_exp: Some(to), ..self }
    }

    /// The token of each row's largest logit, the first of equal ones; of the first NaN where there is one. In a row of
    /// nothing but `-inf` it is [`TokenLogProbs::NO_TOKEN`](crate::TokenLogProbs::NO_TOKEN).
    pub fn argmax(self, to: &'a mut [u32]) -> Self {
        Self { argmax: Some(to), ..self }
    }

    /// A token of each row that is drawn, and its log-probability: [`Sampler`] says how, and in which distribution.
    pub fn sample(self, sampler: Sampler<'a>, ids: &'a mut [u32], log_probs: &'a mut [f32]) -> Self {
        Self { sample: Some((sampler, ids, log_probs)), ..self }
    }

    /// Checks every length and every named token, and takes the outputs apart.
    pub(super) fn validated(self, rows: usize, classes: usize) -> Result<Valid<'a>, Error> {
        let Self { chosen, rank, top, named, entropy, log_sum_exp, argmax, sample } = self;
        if rank.is_some() && chosen.is_none() {
            return Err(Error::NeedsLabels { what: "ranks" });
        }
        let (labels, chosen) = chosen.unzip();
        let [above, equal] = rank.map_or([None, None], |rank| rank.map(Some));
        let (top, top_ids, top_log_probs) =
            top.map_or((0, None, None), |(k, ids, log_probs)| (k, Some(ids), Some(log_probs)));
        let (names, of_names) = named.unzip();
        let named = match names {
            None => Named::default(),
            Some(Names::Shared(ids)) => Named { ids, count: ids.len(), per_row: false },
            Some(Names::PerRow(count, ids)) => {
                expect_rows("named tokens", ids.len(), rows.saturating_mul(count))?;
                Named { ids, count, per_row: true }
            }
        };
        if let Some(index) = named.ids.iter().position(|&id| id as usize >= classes && rows > 0) {
            return Err(Error::TokenOutOfRange { index, token: named.ids[index], classes });
        }
        let (sampler, sample_ids, samples) =
            sample.map_or((None, None, None), |(sampler, ids, to)| (Some(sampler), Some(ids), Some(to)));
        let draws = sampler.map(|sampler| sampler.validated(rows)).transpose()?;
        let outputs = Outputs {
            chosen: checked("log-probabilities", chosen, rows)?,
            exact: &mut [],
            above: checked("counts above", above, rows)?,
            equal: checked("counts of equals", equal, rows)?,
            top_ids: checked("top ids", top_ids, rows.saturating_mul(top))?,
            top: checked("top log-probabilities", top_log_probs, rows.saturating_mul(top))?,
            named: checked("named log-probabilities", of_names, rows.saturating_mul(named.count))?,
            entropy: checked("entropies", entropy, rows)?,
            log_sum_exp: checked("log-sum-exps", log_sum_exp, rows)?,
            argmax: checked("argmax", argmax, rows)?,
            sample_ids: checked("sampled ids", sample_ids, rows)?,
            samples: checked("sampled log-probabilities", samples, rows)?,
        };
        Ok(Valid { chosen: labels, top, named, draws, outputs })
    }
}

/// What is wanted, once it has been checked.
pub(super) struct Valid<'a> {
    pub(super) chosen: Option<Labels<'a>>,
    pub(super) top: usize,
    pub(super) named: Named<'a>,
    pub(super) draws: Option<Draws<'a>>,
    pub(super) outputs: Outputs<'a>,
}
