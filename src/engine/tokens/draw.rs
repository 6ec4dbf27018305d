//! Tokens that are drawn: of all classes, in the race that a row's reading is; or of its most probable ones, of which as
//! many are looked for as it takes.

use super::super::options::set;
use super::super::parallel::Join;
use super::read::{Row, Run};
use super::{NO_TOKEN, TokenCall};
use crate::numbers::factor::narrow_normal;
use crate::numbers::math::{exp, ln_1p};
use crate::numbers::philox::Stream;
use crate::numbers::race::Race;
use crate::numbers::spread::Spread;
use crate::simd::LANES;

/// Classes that are looked at first where no number of them is given, and how many times as many next.
const FIRST: usize = 16 * LANES;
const NEXT: usize = 8;

/// Which tokens of a row can be drawn: its most probable ones.
///
/// All three limits hold, in this order: the `top_k` largest logits; of these, the fewest most probable ones that have the
/// share `top_p` of their mass; of these, those with at least `min_p` times the probability of the most probable one. That
/// one always remains. Of equal logits the lower token comes first.
///
/// ```
/// use xent::Truncation;
///
/// let usual = Truncation::new().top_k(50).top_p(0.95)?;
/// assert!(Truncation::new().min_p(1.5).is_err());
/// # assert_ne!(usual, Truncation::new());
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truncation {
    pub(crate) top_k: usize,
    pub(crate) top_p: f64,
    pub(crate) min_p: f64,
}

impl Truncation {
    /// How many classes can be drawn at most, if that follows from a number that was given.
    fn count(&self, classes: usize) -> Option<usize> {
        Some(self.top_k).filter(|&k| k > 0 && k < classes)
    }

    fn is_none(&self, classes: usize) -> bool {
        self.count(classes).is_none() && self.top_p >= 1.0 && self.min_p <= 0.0
    }
}

/// One value for all rows, or one for each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum PerRow<'a, T> {
    All(T),
    Each(&'a [T]),
}

impl<T: Copy> PerRow<'_, T> {
    fn of(&self, row: usize) -> T {
        match self {
            Self::All(value) => *value,
            Self::Each(values) => values[row],
        }
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        match self {
            Self::All(_) => (self, self),
            Self::Each(values) => {
                let (first, rest) = values.split_at(row);
                (Self::Each(first), Self::Each(rest))
            }
        }
    }
}

/// How the tokens of rows are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Draws<'a> {
    pub(crate) seeds: PerRow<'a, u64>,
    /// What tells rows of one seed apart: for all of them the number of the first.
    pub(crate) positions: PerRow<'a, u64>,
    pub(crate) truncations: PerRow<'a, Truncation>,
    /// Whether log-probabilities are those among the tokens that can be drawn.
    pub(crate) of_truncated: bool,
}

impl Draws<'_> {
    pub(super) fn split_at(self, row: usize) -> (Self, Self) {
        let (seeds, other_seeds) = self.seeds.split_at(row);
        let (positions, mut other_positions) = self.positions.split_at(row);
        if let PerRow::All(first) = &mut other_positions {
            *first = first.wrapping_add(row as u64);
        }
        let (truncations, other_truncations) = self.truncations.split_at(row);
        (
            Self { seeds, positions, truncations, ..self },
            Self { seeds: other_seeds, positions: other_positions, truncations: other_truncations, ..self },
        )
    }

    pub(super) fn of(&self, row: usize, classes: usize) -> Draw {
        let position = match self.positions {
            PerRow::All(first) => first.wrapping_add(row as u64),
            PerRow::Each(positions) => positions[row],
        };
        let truncation = self.truncations.of(row);
        Draw {
            stream: Stream { key: self.seeds.of(row), position },
            truncation: Some(truncation).filter(|truncation| !truncation.is_none(classes)),
        }
    }
}

/// How the token of one row is drawn.
#[derive(Clone, Copy)]
pub(super) struct Draw {
    stream: Stream,
    truncation: Option<Truncation>,
}

impl Draw {
    /// What the row is read with, if any class of it can be drawn.
    pub(super) fn of_all(self) -> Option<Stream> {
        self.truncation.is_none().then_some(self.stream)
    }

    /// How many of the largest logits are wanted.
    pub(super) fn wanted(self, classes: usize) -> usize {
        self.truncation.map_or(0, |truncation| truncation.count(classes).unwrap_or(FIRST))
    }
}

impl TokenCall<'_> {
    /// Writes the token that is drawn, given the largest logit and the logarithm of what all terms are of its term.
    #[expect(clippy::too_many_arguments, reason = "a row, and where it was read")]
    pub(super) fn draw(
        &mut self,
        row: usize,
        of: &Row<'_>,
        draw: Draw,
        (max, log): (f32, f64),
        runs: &mut Vec<Run>,
        spreads: &mut Vec<Spread>,
        join: Option<Join>,
    ) {
        let (mut id, mut log_prob) = (NO_TOKEN, f32::NAN);
        if !log.is_nan() {
            let mut log_drawn = log;
            if let Some(truncation) = draw.truncation {
                let classes = of.given.len();
                let mut wanted = draw.wanted(classes);
                loop {
                    let whole = truncation.count(classes) == Some(wanted) || wanted >= classes;
                    let race = Race::new(draw.stream);
                    if let Some((race, log)) =
                        race_of_largest(truncation, race, of, max, log, &mut runs[0], whole)
                    {
                        runs[0].race = Some(race);
                        log_drawn = log;
                        break;
                    }
                    wanted = wanted.saturating_mul(NEXT);
                    let again = Row { chosen: f32::NAN, entropy: false, ..*of };
                    again.read(wanted, runs, spreads, join);
                }
            }
            id = runs[0].race.as_ref().map_or(NO_TOKEN, |race| race.class);
            if id != NO_TOKEN {
                let logit = of.logit(id as usize);
                let of_truncated = self.draws.is_some_and(|draws| draws.of_truncated);
                let log = if of_truncated { log_drawn } else { log };
                log_prob = narrow_normal(0.0 - ((f64::from(max) - f64::from(logit)) + log));
            }
        }
        set(self.outputs.sample_ids, row, id);
        set(self.outputs.samples, row, log_prob);
    }
}

/// Lets the largest logits race that can be drawn, and gives the logarithm of what all of these are of the largest term; or
/// nothing, if there are fewer of them than that takes. With `whole` there are no more.
fn race_of_largest(
    truncation: Truncation,
    mut race: Race,
    of: &Row<'_>,
    max: f32,
    log: f64,
    run: &mut Run,
    whole: bool,
) -> Option<(Race, f64)> {
    let Truncation { top_k, top_p, min_p } = truncation;
    let classes = of.given.len();
    let limit = truncation.count(classes).unwrap_or(classes);
    let term = |class: u32| exp(f64::from(of.logit(class as usize)) - f64::from(max));
    let all = match truncation.count(classes) {
        None => exp(log),
        Some(_) if top_p >= 1.0 => f64::INFINITY,
        Some(_) => run.top.classes().take(top_k).map(term).sum(),
    };
    // The first of them has a term of 1.
    let (mut mass, mut others) = (0.0, 0.0);
    for (found, class) in run.top.classes().take(limit).enumerate() {
        let one = term(class);
        if found > 0 && ((top_p < 1.0 && mass >= top_p * all) || one < min_p) {
            return Some((race, ln_1p(others)));
        }
        race.enter(of.logit(class as usize), class);
        mass += one;
        others += if found > 0 { one } else { 0.0 };
    }
    whole.then(|| (race, ln_1p(others)))
}
