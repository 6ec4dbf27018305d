//! Log-probabilities of tokens: what servers and evaluations read from a model's logits.

mod outputs;
mod sampler;
mod sequences;

pub use outputs::TokenOutputs;
pub use sampler::Sampler;
pub use sequences::SequenceLogProb;

use outputs::Valid;

use super::{CrossEntropy, allocate, expect_rows};
use crate::engine::parallel;
use crate::engine::tokens::TokenCall;
use crate::views::labels::RowLabels;
use crate::{Error, Rows};

/// The log-probabilities of tokens: the chosen one's and its rank, the `k` largest, those of named tokens, and the entropy,
/// all from one read of each row of logits.
///
/// For a row of logits `x` the log-probability of class `i` is `x_i - ln sum_j e^(x_j)`, in nats, after temperature, soft cap
/// and masks. It is at most 3 ULP off for every class, and next to 0 as well; that of a class does not depend on what else is asked
/// for. Logits are compared as they are given, without temperature and soft cap, which may make equal logits of different
/// ones. Of equal logits the one of the lower class comes first.
///
/// | a row | has |
/// |---|---|
/// | with a NaN | log-probabilities, entropy and log-sum-exp of NaN; the argmax is the class of the first NaN; other token ids, and counts for the rank, are [`NO_TOKEN`](Self::NO_TOKEN) |
/// | with `+inf`, or nothing but `-inf` | log-probabilities and an entropy of NaN; ids and counts as ever |
/// | with a chosen or named class of `-inf`, or masked | a log-probability of `-inf` there; such a class is never among the largest |
/// | whose chosen token is [ignored](Self::ignore_index) | log-probabilities, counts and entropy of 0, ids of `NO_TOKEN`, and is never read |
///
/// ```
/// use xent::{Rows, TokenLogProbs, TokenOutputs};
///
/// let logits = Rows::new(&[1.0, 3.0, 2.0, 3.0], 1, 4)?;
/// let (mut chosen, mut above, mut equal) = ([0.0], [0], [0]);
/// let (mut ids, mut log_probs) = ([0; 2], [0.0; 2]);
/// let wanted = TokenOutputs::new()
///     .chosen(&[2_u8], &mut chosen)
///     .rank(&mut above, &mut equal)
///     .top(2, &mut ids, &mut log_probs);
/// TokenLogProbs::new().read_into(logits, wanted)?;
/// assert_eq!((above, equal, ids), ([2], [1], [1, 3]));
/// assert!((chosen[0] + 1.917_575_8).abs() < 1e-6 && (log_probs[0] + 0.917_575_8).abs() < 1e-6);
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TokenLogProbs<'a> {
    options: CrossEntropy<'a>,
    temperatures: Option<&'a [f32]>,
}

impl<'a> TokenLogProbs<'a> {
    /// The id that stands for no token, `u32::MAX`: after the classes that take part, where there are fewer than are asked
    /// for. It is also the rank's counts in a row with a NaN, which is in no order.
    pub const NO_TOKEN: u32 = crate::engine::tokens::NO_TOKEN;

    /// No temperature, no mask, no row ignored.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Divides the logits, as [`CrossEntropy::temperature`].
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless `temperature` is a positive number, and its inverse one that an f32 can hold.
    pub fn temperature(self, temperature: f64) -> Result<Self, Error> {
        Ok(Self { options: self.options.temperature(temperature)?, ..self })
    }

    /// Divides the logits of each row by a temperature of its own, as the requests of a batch have them; beside a
    /// [`temperature`](Self::temperature) for all, by both.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless each is a positive number, and its inverse one that an f32 can hold. A request for the largest
    /// logit alone, which some servers call a temperature of 0, has a temperature of 1 here, and its
    /// [`argmax`](TokenOutputs::argmax).
    ///
    /// ```
    /// use xent::{Rows, TokenLogProbs};
    ///
    /// let logits = Rows::new(&[0.0, 2.0, 0.0, 2.0], 2, 2)?;
    /// let (_, log_probs) = TokenLogProbs::new().row_temperatures(&[1.0, 2.0])?.top(1, logits)?;
    /// assert!((log_probs[0] + 0.126_928).abs() < 1e-6); // -ln(1 + e^-2)
    /// assert!((log_probs[1] + 0.313_261_7).abs() < 1e-6); // -ln(1 + e^-1)
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn row_temperatures(self, temperatures: &'a [f32]) -> Result<Self, Error> {
        let bad = temperatures.iter().position(|&one| CrossEntropy::new().temperature(one.into()).is_err());
        match bad {
            None => Ok(Self { temperatures: Some(temperatures), ..self }),
            Some(index) => Err(Error::Option {
                what: "row temperature",
                index: Some(index),
                given: temperatures[index].to_string(),
                expected: "a positive number whose inverse an f32 can hold",
            }),
        }
    }

    /// Multiplies the logits, as [`CrossEntropy::logit_scale`].
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless `scale` is a positive number that an f32 can hold.
    pub fn logit_scale(self, scale: f64) -> Result<Self, Error> {
        Ok(Self { options: self.options.logit_scale(scale)?, ..self })
    }

    /// Makes of each logit `cap tanh(x / cap)`, before the temperature, as [`CrossEntropy::soft_cap`].
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless `cap` is a positive number.
    pub fn soft_cap(self, cap: f64) -> Result<Self, Error> {
        Ok(Self { options: self.options.soft_cap(cap)?, ..self })
    }

    /// Takes classes out of every row: those that are `false`, as [`CrossEntropy::class_mask`]. They count as `-inf`.
    #[must_use]
    pub const fn class_mask(self, mask: &'a [bool]) -> Self {
        Self { options: self.options.class_mask(mask), ..self }
    }

    /// As [`class_mask`](Self::class_mask), with a mask for each row, rows × classes: what a grammar allows next.
    #[must_use]
    pub const fn row_class_masks(self, masks: &'a [bool]) -> Self {
        Self { options: self.options.row_class_masks(masks), ..self }
    }

    /// The chosen token of rows that are not read, such as those of a prompt: any number, also outside of the classes.
    #[must_use]
    pub const fn ignore_index(self, token: i64) -> Self {
        Self { options: self.options.ignore_index(token), ..self }
    }

    /// Reads logits of rows × classes once, and writes what is wanted. Nothing is allocated per row or per class, but for
    /// what each thread keeps for the next call: room for `2 k` tokens of a row, and, where logits are masked, scaled or
    /// capped, or do not follow each other, for up to sixteen rows.
    ///
    /// # Errors
    ///
    /// [`Error::RowCount`] for a buffer of another length than rows (times `k`, times the number of names);
    /// [`Error::LabelOutOfRange`] and [`Error::TokenOutOfRange`] for a chosen and a named token that is no class;
    /// [`Error::NeedsLabels`] for the rank of no chosen token; [`Error::TooManyClasses`] from 2³² - 1 classes on;
    /// [`Error::OptionLength`], [`Error::UnknownBackend`] and [`Error::UnavailableBackend`].
    pub fn read_into(&self, logits: Rows<'_>, wanted: TokenOutputs<'_>) -> Result<(), Error> {
        self.run(logits, wanted, &mut [])
    }

    /// The `k` most probable tokens of each row, rows × `k`, and their log-probabilities, in falling order; after all classes
    /// that take part [`NO_TOKEN`](Self::NO_TOKEN) with a log-probability of `-inf`.
    ///
    /// # Errors
    ///
    /// As [`read_into`](Self::read_into), [`Error::SizeOverflow`] and [`Error::OutOfMemory`].
    ///
    /// ```
    /// use xent::{Rows, TokenLogProbs};
    ///
    /// let masked = TokenLogProbs::new().class_mask(&[true, true, false]);
    /// let (ids, log_probs) = masked.top(3, Rows::new(&[0.0, 0.0, 9.0], 1, 3)?)?;
    /// assert_eq!(ids, [0, 1, TokenLogProbs::NO_TOKEN]);
    /// assert_eq!(log_probs, [-core::f32::consts::LN_2, -core::f32::consts::LN_2, f32::NEG_INFINITY]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn top(&self, k: usize, logits: Rows<'_>) -> Result<(Vec<u32>, Vec<f32>), Error> {
        let rows = logits.rows();
        let values = rows.checked_mul(k).ok_or(Error::SizeOverflow { rows, stride: k })?;
        let (mut ids, mut log_probs) = (allocate(0, values)?, allocate(0.0, values)?);
        self.read_into(logits, TokenOutputs::new().top(k, &mut ids, &mut log_probs))?;
        Ok((ids, log_probs))
    }

    /// A token of each row, drawn as the [`Sampler`] says, and its log-probability.
    ///
    /// # Errors
    ///
    /// As [`read_into`](Self::read_into), and [`Error::OutOfMemory`].
    ///
    /// ```
    /// use xent::{Rows, Sampler, TokenLogProbs};
    ///
    /// let logits = Rows::new(&[0.0, f32::NEG_INFINITY, 0.0], 1, 3)?;
    /// let (tokens, log_probs) = TokenLogProbs::new().sample(Sampler::new(7), logits)?;
    /// assert!(tokens[0] != 1 && log_probs == [-core::f32::consts::LN_2]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn sample(&self, sampler: Sampler<'_>, logits: Rows<'_>) -> Result<(Vec<u32>, Vec<f32>), Error> {
        let (mut ids, mut log_probs) = (allocate(0, logits.rows())?, allocate(0.0, logits.rows())?);
        self.read_into(logits, TokenOutputs::new().sample(sampler, &mut ids, &mut log_probs))?;
        Ok((ids, log_probs))
    }

    /// As [`read_into`](Self::read_into); with the log-probabilities of the chosen tokens as they are before they are
    /// rounded, where there is room for them.
    fn run(&self, logits: Rows<'_>, wanted: TokenOutputs<'_>, exact: &mut [f64]) -> Result<(), Error> {
        let (rows, classes) = (logits.rows(), logits.classes());
        self.expect_options(rows, classes)?;
        if rows > 0 && u32::try_from(classes).map_or(true, |classes| classes == Self::NO_TOKEN) {
            return Err(Error::TooManyClasses { given: classes });
        }
        let Valid { chosen, top, named, draws, mut outputs } = wanted.validated(rows, classes)?;
        let ignored = self.options.ignored;
        let chosen = chosen.map(|labels| RowLabels::new(labels, rows, classes, ignored)).transpose()?;
        outputs.exact = exact;
        let (map, temperatures) = (self.options.map, self.temperatures.unwrap_or_default());
        let call =
            TokenCall { logits: logits.values(), map, temperatures, chosen, top, named, draws, outputs };
        parallel::run(call, logits.execution()).map(drop)
    }

    /// An error unless all options have the lengths that the logits need.
    fn expect_options(&self, rows: usize, classes: usize) -> Result<(), Error> {
        self.options.expect_lengths(rows, classes)?;
        match self.temperatures {
            Some(temperatures) => expect_rows("row temperatures", temperatures.len(), rows),
            None => Ok(()),
        }
    }

    /// The options of the first rows.
    fn of_first_rows(&self, rows: usize, classes: usize) -> Self {
        let mut first = *self;
        (first.options.map, _) = self.options.map.split_at(rows, classes);
        first.temperatures = self.temperatures.map(|temperatures| &temperatures[..rows]);
        first
    }
}
