//! How a token of each row is drawn.

use crate::Error;
use crate::engine::tokens::{Draws, PerRow, Truncation};
use crate::ops::expect_rows;

impl Truncation {
    /// None: any class can be drawn that takes part.
    #[must_use]
    pub const fn new() -> Self {
        Self { top_k: 0, top_p: 1.0, min_p: 0.0 }
    }

    /// Only the `k` largest logits; with 1 the largest one, which is a temperature of 0. 0 is no limit.
    #[must_use]
    pub const fn top_k(self, k: usize) -> Self {
        Self { top_k: k, ..self }
    }

    /// Only the fewest most probable tokens that have this share of the mass, the nucleus. 1 is no limit.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless `share` is above 0 and at most 1.
    pub fn top_p(self, share: f64) -> Result<Self, Error> {
        Ok(Self { top_p: valid("top-p", share, share > 0.0, "above 0, and at most 1")?, ..self })
    }

    /// Only tokens that have at least `ratio` times the probability of the most probable one. 0 is no limit.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless `ratio` is from 0 to 1.
    pub fn min_p(self, ratio: f64) -> Result<Self, Error> {
        Ok(Self { min_p: valid("min-p", ratio, ratio >= 0.0, "from 0 to 1")?, ..self })
    }
}

impl Default for Truncation {
    fn default() -> Self {
        Self::new()
    }
}

fn valid(what: &'static str, given: f64, above: bool, expected: &'static str) -> Result<f64, Error> {
    let error = || Error::Option { what, index: None, given: given.to_string(), expected };
    if above && given <= 1.0 { Ok(given) } else { Err(error()) }
}

/// How a token of each row is drawn: by the Gumbel-max trick, with random numbers that a seed, the row's position and the
/// class determine.
///
/// The token is the class of the largest `z_i - ln E_i`, for the logits `z` after temperature, soft cap and masks, and
/// exponential variates `E_i = -ln(1 - u_i)`: it is class `i` with the probability `softmax_i`. The uniform `u_i` is
/// `(n + 1/2) / 2^64` of 64 bits `n` of Philox4x32-10, with the seed as its key; the counter holds the class and the
/// position. Nothing else goes into it, so that
///
/// - the draw of a row is the same for every thread count, batch, stride and backend, those that do not fuse among them;
/// - where the token that is drawn of all classes is among those of a [truncation](Self::truncation), it is also the one
///   that is drawn of them;
/// - two models that draw with the same seeds and positions draw the same token more often than by chance, which makes them
///   comparable.
///
/// Logits of equal scores would give the lower class. A masked class, and one of `-inf`, is never drawn. A row with a NaN or
/// `+inf`, and one of nothing but `-inf`, has no distribution: its token is [`NO_TOKEN`](crate::TokenLogProbs::NO_TOKEN), its
/// log-probability NaN.
///
/// Of all classes, a draw takes about three times as long as the row's log-sum-exp, because each class has a random number of
/// its own; of the `k` largest, as long as these take. A nucleus of thousands of tokens, which only flat rows have, takes a
/// hundred times as long, as all of them are put in order: a top-k beside the top-p bounds that.
///
/// ```
/// use xent::{Rows, Sampler, TokenLogProbs, Truncation};
///
/// let logits = Rows::new(&[1.0, 3.0, 2.0, f32::NEG_INFINITY, 1.0, 3.0, 2.0, 9.0], 2, 4)?;
/// let warm = TokenLogProbs::new().row_temperatures(&[0.7, 1.3])?;
/// // Two requests, each with a seed, and so many tokens already generated.
/// let sampler = Sampler::new(0).row_seeds(&[42, 7]).positions(&[11, 3]);
/// let usual = Truncation::new().top_k(2).top_p(0.9)?;
/// let (tokens, log_probs) = warm.sample(sampler.truncation(usual), logits)?;
/// assert!(tokens[0] == 1 || tokens[0] == 2);
/// assert!(tokens[1] == 3 && log_probs[1] < 0.0);
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler<'a> {
    draws: Draws<'a>,
}

impl<'a> Sampler<'a> {
    /// Draws of all classes. The position of a row is its number in the call.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        let (seeds, positions) = (PerRow::All(seed), PerRow::All(0));
        let truncations = PerRow::All(Truncation::new());
        Self { draws: Draws { seeds, positions, truncations, of_truncated: false } }
    }

    /// A seed for each row, in place of the one for all: that of its request.
    #[must_use]
    pub const fn row_seeds(self, seeds: &'a [u64]) -> Self {
        Self { draws: Draws { seeds: PerRow::Each(seeds), ..self.draws } }
    }

    /// A position for each row, such as the number of tokens before it. Rows of the same seed and position have the same random
    /// numbers.
    #[must_use]
    pub const fn positions(self, positions: &'a [u64]) -> Self {
        Self { draws: Draws { positions: PerRow::Each(positions), ..self.draws } }
    }

    /// The position of the first row of a call; the others follow it.
    #[must_use]
    pub const fn first_position(self, position: u64) -> Self {
        Self { draws: Draws { positions: PerRow::All(position), ..self.draws } }
    }

    /// Draws only of the most probable tokens.
    #[must_use]
    pub const fn truncation(self, truncation: Truncation) -> Self {
        Self { draws: Draws { truncations: PerRow::All(truncation), ..self.draws } }
    }

    /// The same with a truncation for each row.
    #[must_use]
    pub const fn row_truncations(self, truncations: &'a [Truncation]) -> Self {
        Self { draws: Draws { truncations: PerRow::Each(truncations), ..self.draws } }
    }

    /// Whether the log-probability of a draw is that in the truncated distribution, among the tokens that could be drawn, as
    /// importance weights and policy gradients need it. Otherwise it is that in the softmax of all classes that take part, as
    /// servers report it; either after the temperature.
    #[must_use]
    pub const fn truncated_log_probs(self, truncated: bool) -> Self {
        Self { draws: Draws { of_truncated: truncated, ..self.draws } }
    }

    /// What the engine needs, once there is as much of everything as there are rows.
    pub(super) fn validated(self, rows: usize) -> Result<Draws<'a>, Error> {
        expect_each("seeds", &self.draws.seeds, rows)?;
        expect_each("positions", &self.draws.positions, rows)?;
        expect_each("truncations", &self.draws.truncations, rows)?;
        Ok(self.draws)
    }
}

fn expect_each<T>(what: &'static str, values: &PerRow<'_, T>, rows: usize) -> Result<(), Error> {
    if let PerRow::Each(values) = values { expect_rows(what, values.len(), rows) } else { Ok(()) }
}
