//! What a call has beside its views: weights, factors, smoothing, and where what there is one of per row goes.

use crate::PartialRow;
use crate::Upstream;
use crate::numbers::log_sum_exp::LogSumExp;
use crate::views::labels::ELSEWHERE;

/// Weights of classes and of rows, 1 where there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Weights<'a> {
    pub(crate) classes: Option<&'a [f32]>,
    pub(crate) rows: Option<&'a [f32]>,
    /// Where the classes at hand begin, among those that have weights.
    pub(crate) first: usize,
}

impl Weights<'_> {
    pub(crate) fn is_none(&self) -> bool {
        self.classes.is_none() && self.rows.is_none()
    }

    pub(crate) fn of_row(&self, row: usize) -> f64 {
        self.rows.map_or(1.0, |weights| weights[row].into())
    }

    /// 1 for no class.
    pub(crate) fn of_class(&self, class: usize) -> f64 {
        let Some(weights) = self.classes else { return 1.0 };
        let class = if class >= ELSEWHERE { class - ELSEWHERE } else { class + self.first };
        weights.get(class).map_or(1.0, |&weight| weight.into())
    }

    /// That of a row with its label.
    pub(crate) fn of(&self, row: usize, label: usize) -> f64 {
        self.of_row(row) * self.of_class(label)
    }

    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        let (first, rest) = self.rows.map(|rows| rows.split_at(row)).unzip();
        (Self { rows: first, ..self }, Self { rows: rest, ..self })
    }
}

/// A factor per row: an upstream gradient times a constant.
#[derive(Clone, Copy)]
pub(crate) struct Scale<'a> {
    pub(crate) upstream: Upstream<'a>,
    pub(crate) constant: f64,
}

impl Default for Scale<'_> {
    fn default() -> Self {
        Self::ONE
    }
}

impl Scale<'_> {
    pub(crate) const ONE: Self = Self { upstream: Upstream::Uniform(1.0), constant: 1.0 };

    /// The factors times a number.
    pub(crate) fn times(self, number: f64) -> Self {
        Self { constant: self.constant * number, ..self }
    }

    /// The one of the largest magnitude; NaN counts as none.
    pub(crate) fn largest(&self) -> f64 {
        let upstream = match self.upstream {
            Upstream::Uniform(value) => value,
            Upstream::PerRow(values) => {
                values.iter().fold(0.0, |max, x| if x.abs() > max { x.abs() } else { max })
            }
        };
        self.constant * f64::from(upstream)
    }

    /// Whether all rows have the same.
    pub(crate) fn is_uniform(&self) -> bool {
        matches!(self.upstream, Upstream::Uniform(_))
    }

    pub(crate) fn of(&self, row: usize) -> f64 {
        self.constant * f64::from(self.upstream.of(row))
    }

    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        let (first, rest) = self.upstream.split_at(row);
        (Self { upstream: first, ..self }, Self { upstream: rest, ..self })
    }
}

/// The sums of rows: not wanted, wanted, or known.
#[derive(Default)]
pub(crate) enum Sums<'a> {
    #[default]
    Discard,
    Save(&'a mut [LogSumExp]),
    Saved(&'a [LogSumExp]),
    /// Known, of rows of which only some classes are at hand.
    Merged(&'a [PartialRow]),
}

impl Sums<'_> {
    /// How many there are, if any are wanted or known.
    pub(crate) fn len(&self) -> Option<usize> {
        match self {
            Self::Discard => None,
            Self::Save(sums) => Some(sums.len()),
            Self::Saved(sums) => Some(sums.len()),
            Self::Merged(rows) => Some(rows.len()),
        }
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        match self {
            Self::Discard => (Self::Discard, Self::Discard),
            Self::Save(sums) => {
                let (first, rest) = sums.split_at_mut(row);
                (Self::Save(first), Self::Save(rest))
            }
            Self::Saved(sums) => {
                let (first, rest) = sums.split_at(row);
                (Self::Saved(first), Self::Saved(rest))
            }
            Self::Merged(rows) => {
                let (first, rest) = rows.split_at(row);
                (Self::Merged(first), Self::Merged(rest))
            }
        }
    }
}

/// Defines where what there is one of per row goes, each slice empty where it is not wanted.
macro_rules! outputs {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $ignored:expr,)+) => {
        /// Where what there is one of per row goes; each slice is empty where it is not wanted.
        #[derive(Default)]
        pub(crate) struct Outputs<'a> {
            $($(#[$doc])* pub(crate) $name: &'a mut [$type],)+
            pub(crate) sums: Sums<'a>,
        }

        impl Outputs<'_> {
            pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
                $(let $name = self.$name.split_at_mut(row.min(self.$name.len()));)+
                let sums = self.sums.split_at(row);
                (Self { $($name: $name.0,)+ sums: sums.0 }, Self { $($name: $name.1,)+ sums: sums.1 })
            }

            /// Writes what a row has that is ignored.
            pub(crate) fn ignore(&mut self, row: usize) {
                $(set(self.$name, row, $ignored);)+
                if let Sums::Save(sums) = &mut self.sums {
                    sums[row] = LogSumExp::EMPTY;
                }
            }
        }
    };
}

outputs! {
    losses: f32 = 0.0,
    log_sum_exp: f32 = f32::NEG_INFINITY,
    log_probability: f32 = 0.0,
    z_loss: f32 = 0.0,
    argmax: usize = usize::MAX,
    correct: bool = false,
    entropy: f32 = 0.0,
    /// The largest logits.
    max: f32 = 0.0,
}

impl Outputs<'_> {
    /// Whether losses are all that is wanted of rows.
    pub(crate) fn are_losses(&self) -> bool {
        self.have_no_statistics() && matches!(self.sums, Sums::Discard)
    }

    /// Whether losses are all that is written of rows, whose sums may be given.
    pub(crate) fn write_only_losses(&self) -> bool {
        self.have_no_statistics() && !matches!(self.sums, Sums::Save(_))
    }

    /// Whether nothing is wanted of rows but losses, and perhaps their sums.
    pub(crate) fn have_no_statistics(&self) -> bool {
        self.log_sum_exp.is_empty()
            && self.log_probability.is_empty()
            && self.z_loss.is_empty()
            && self.argmax.is_empty()
            && self.correct.is_empty()
            && self.entropy.is_empty()
            && self.max.is_empty()
    }
}

/// Sets a value, where there are any.
pub(crate) fn set<T>(all: &mut [T], row: usize, value: T) {
    if let Some(to) = all.get_mut(row) {
        *to = value;
    }
}
