//! Labels: class indices of any integer type without a copy, or distributions.

#![expect(clippy::cast_lossless, reason = "`usize` has no lossless conversion to i128")]
#![expect(
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "a negative label, extended by its sign, is no class; a class fits"
)]

use crate::kernels::group::NO_LABEL as IGNORED;
use crate::{Error, Rows};

/// Defines [`Labels`] and its conversions for the listed integer types.
macro_rules! labels {
    ($($variant:ident($type:ty)),+) => {
        /// One class index per row (sparse labels), in the integer type that the caller has.
        ///
        /// Made by `From` from slices, arrays and vectors of `u8`, `u16`, `u32`, `u64`, `usize`,
        /// `i8`, `i16`, `i32` and `i64`. Nothing is copied.
        ///
        /// ```
        /// use xent::Labels;
        ///
        /// assert_eq!(Labels::from(&[3_u8, 1]).len(), 2);
        /// assert_eq!(Labels::from(&vec![-100_i64]).len(), 1);
        /// ```
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub enum Labels<'a> {
            $(
                #[doc = concat!("Labels of type `", stringify!($type), "`.")]
                $variant(&'a [$type]),
            )+
        }

        impl<'a> Labels<'a> {
            /// The number of labels.
            #[must_use]
            pub const fn len(&self) -> usize {
                match self { $(Self::$variant(labels) => labels.len(),)+ }
            }

            /// The label of a row, `None` past the end.
            #[must_use]
            pub fn get(&self, row: usize) -> Option<i128> {
                match self { $(Self::$variant(labels) => labels.get(row).map(|&label| label as i128),)+ }
            }

            /// The first `row` labels and the others. `row` is at most `self.len()`.
            pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
                match self {
                    $(Self::$variant(labels) => {
                        let (a, b) = labels.split_at(row);
                        (Self::$variant(a), Self::$variant(b))
                    })+
                }
            }

            /// The first row whose label is neither a class nor ignored, with its label.
            fn first_bad(&self, classes: usize, ignored: Ignored<'_>) -> Option<(usize, i128)> {
                match self {
                    $(Self::$variant(labels) => {
                        let row = match ignored {
                            Ignored::Several(all) => labels.iter().position(|&label| {
                                !is_class(label as u64, classes) && !holds(all, label as i128)
                            }),
                            _ => {
                                let one: Option<$type> = ignored.one();
                                let is_bad = |label: $type| !is_class(label as u64, classes) & (Some(label) != one);
                                // The top bit is set of a label, or of what the largest class is above it, where it is
                                // no class: without an early exit, so that it is a vector loop, and of all but the largest
                                // numbers of classes. There is hardly ever one.
                                let top: $type = 1 << (<$type>::BITS - 1);
                                let largest = <$type>::try_from(classes.wrapping_sub(1)).unwrap_or(top);
                                let tells = largest & top == 0;
                                let above = |label: $type| label | largest.wrapping_sub(label);
                                let any = match one {
                                    _ if !tells => top,
                                    Some(one) => labels.iter().fold(0, |any, &label| {
                                        any | if label == one { 0 } else { above(label) }
                                    }),
                                    None => labels.iter().fold(0, |any, &label| any | above(label)),
                                };
                                if any & top == 0 { None } else { labels.iter().position(|&label| is_bad(label)) }
                            }
                        };
                        row.map(|row| (row, labels[row] as i128))
                    })+
                }
            }

            /// The classes of rows from `first` on, `IGNORED` for rows that are.
            #[inline(always)]
            fn classes(&self, first: usize, ignored: Ignored<'_>, to: &mut [usize]) {
                match self {
                    // Validated, so that each is a class or ignored.
                    $(Self::$variant(labels) => match ignored {
                        Ignored::Several(all) => {
                            for (to, &label) in to.iter_mut().zip(&labels[first..]) {
                                *to = if holds(all, label as i128) { IGNORED } else { label as usize };
                            }
                        }
                        _ => match ignored.one::<$type>() {
                            Some(one) => {
                                for (to, &label) in to.iter_mut().zip(&labels[first..]) {
                                    *to = if label == one { IGNORED } else { label as usize };
                                }
                            }
                            None => {
                                for (to, &label) in to.iter_mut().zip(&labels[first..]) {
                                    *to = label as usize;
                                }
                            }
                        }
                    })+
                }
            }

            /// How many labels are not ignored.
            fn used(&self, ignored: Ignored<'_>) -> usize {
                match self {
                    $(Self::$variant(labels) => match ignored {
                        Ignored::None => labels.len(),
                        Ignored::One(_) => ignored.one::<$type>().map_or(labels.len(), |one| {
                            labels.iter().filter(|&&label| label != one).count()
                        }),
                        Ignored::Several(all) => {
                            labels.iter().filter(|&&label| !holds(all, label as i128)).count()
                        }
                    })+
                }
            }
        }

        $(
            impl<'a> From<&'a [$type]> for Labels<'a> {
                fn from(labels: &'a [$type]) -> Self {
                    Self::$variant(labels)
                }
            }

            impl<'a, const N: usize> From<&'a [$type; N]> for Labels<'a> {
                fn from(labels: &'a [$type; N]) -> Self {
                    Self::$variant(labels)
                }
            }

            impl<'a> From<&'a Vec<$type>> for Labels<'a> {
                fn from(labels: &'a Vec<$type>) -> Self {
                    Self::$variant(labels)
                }
            }
        )+
    };
}

/// What serves as class indices: slices, arrays and vectors of integers, by reference, and [`Labels`].
///
/// ```
/// let logits = xent::Rows::new(&[2.0, 0.5, -1.0], 1, 3)?;
/// assert_eq!(xent::sparse_softmax_cross_entropy_with_logits(&[0_u8], logits)?.len(), 1);
/// # Ok::<(), xent::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot serve as class indices",
    label = "expected integers, one for each row",
    note = "class indices are `&[u8]`, `&[i32]`, `&[i64]`, `&[usize]` and the like, or a reference to an array or a `Vec` of them",
    note = "an ndarray of integers gives a slice by `as_slice()`; numbers of another type are converted first"
)]
pub trait IntoLabels<'a> {
    /// The labels.
    fn into_labels(self) -> Labels<'a>;
}

#[diagnostic::do_not_recommend]
impl<'a, L: Into<Labels<'a>>> IntoLabels<'a> for L {
    fn into_labels(self) -> Labels<'a> {
        self.into()
    }
}

/// What a loss can be compared with: all that serves as class indices ([`IntoLabels`]), [`Rows`] of distributions, and
/// [`Targets`].
///
/// ```
/// use xent::{CrossEntropy, Rows};
///
/// let logits = Rows::new(&[2.0, 0.5, -1.0], 1, 3)?;
/// let distribution = Rows::new(&[0.5, 0.5, 0.0], 1, 3)?;
/// assert_eq!(CrossEntropy::new().loss(&[0_i64], logits)?.rows.len(), 1);
/// assert_eq!(CrossEntropy::new().loss(distribution, logits)?.rows.len(), 1);
/// # Ok::<(), xent::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot serve as the targets of a loss",
    label = "expected class indices, or `Rows` of distributions",
    note = "class indices are integers, one for each row: `&[u8]`, `&[i64]`, `&[usize]`, a reference to a `Vec` of them, ...",
    note = "distributions are f32, rows x classes after each other: `Rows::new(&labels, rows, classes)?`"
)]
pub trait IntoTargets<'a> {
    /// The targets.
    fn into_targets(self) -> Targets<'a>;
}

#[diagnostic::do_not_recommend]
impl<'a, T: Into<Targets<'a>>> IntoTargets<'a> for T {
    fn into_targets(self) -> Targets<'a> {
        self.into()
    }
}

/// The labels of rows that take no part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Ignored<'a> {
    #[default]
    None,
    One(i64),
    Several(&'a [i64]),
}

impl Ignored<'_> {
    /// The only one; none where the type cannot hold it, because it is never met.
    #[inline(always)]
    fn one<T: TryFrom<i64>>(self) -> Option<T> {
        if let Self::One(label) = self { T::try_from(label).ok() } else { None }
    }

    pub(crate) fn holds(self, label: i128) -> bool {
        match self {
            Self::None => false,
            Self::One(one) => i128::from(one) == label,
            Self::Several(all) => holds(all, label),
        }
    }
}

fn holds(all: &[i64], label: i128) -> bool {
    all.iter().any(|&one| i128::from(one) == label)
}

/// Whether a label is a class. A negative one, extended by its sign, is larger than every number of classes.
#[inline(always)]
const fn is_class(label: u64, classes: usize) -> bool {
    label < classes as u64
}

labels!(U8(u8), U16(u16), U32(u32), U64(u64), Usize(usize), I8(i8), I16(i16), I32(i32), I64(i64));

impl Labels<'_> {
    /// Whether there are no labels.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks the number of labels and each of them.
    pub(crate) fn validate(&self, rows: usize, classes: usize, ignored: Ignored<'_>) -> Result<(), Error> {
        if self.len() != rows {
            return Err(Error::RowCount { what: "labels", given: self.len(), expected: rows });
        }
        match self.first_bad(classes, ignored) {
            Some((row, label)) => Err(Error::LabelOutOfRange { row, label, classes }),
            None => Ok(()),
        }
    }
}

/// Labels that have been validated, and those that mark a row as ignored.
#[derive(Clone, Copy)]
pub(crate) struct RowLabels<'a> {
    labels: Labels<'a>,
    ignored: Ignored<'a>,
    /// The classes at hand: the first, and the one after the last.
    at_hand: (usize, usize),
}

/// Added to classes that are not at hand: far from any that is, and from what stands for none.
pub(crate) const ELSEWHERE: usize = usize::MAX - usize::MAX / 2;

impl<'a> RowLabels<'a> {
    pub(crate) fn new(
        labels: Labels<'a>,
        rows: usize,
        classes: usize,
        ignored: Ignored<'a>,
    ) -> Result<Self, Error> {
        labels.validate(rows, classes, ignored)?;
        Ok(Self { labels, ignored, at_hand: (0, usize::MAX) })
    }

    /// The same labels, where only the classes from `first` to `end` are at hand.
    pub(crate) fn of_shard(self, first: usize, end: usize) -> Self {
        Self { at_hand: (first, end), ..self }
    }

    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        let (first, rest) = self.labels.split_at(row);
        (Self { labels: first, ..self }, Self { labels: rest, ..self })
    }

    /// The classes of rows from `first` on, counted from the first at hand; `IGNORED` for rows that are, and those that are not
    /// at hand with [`ELSEWHERE`] added.
    #[inline(always)]
    pub(crate) fn classes(&self, first: usize, to: &mut [usize]) {
        self.labels.classes(first, self.ignored, to);
        let (start, end) = self.at_hand;
        if (start, end) != (0, usize::MAX) {
            for class in to.iter_mut().filter(|class| **class != IGNORED) {
                *class = if (start..end).contains(class) { *class - start } else { *class + ELSEWHERE };
            }
        }
    }

    /// Whether rows can be ignored because of their labels.
    pub(crate) fn may_ignore(&self) -> bool {
        self.ignored != Ignored::None
    }

    /// The number of rows that are not ignored.
    pub(crate) fn used(&self) -> usize {
        self.labels.used(self.ignored)
    }

    /// Whether a row is not ignored.
    pub(crate) fn is_used(&self, row: usize) -> bool {
        self.labels.get(row).is_some_and(|label| !self.ignored.holds(label))
    }

    /// The rows that are not ignored, with their classes.
    pub(crate) fn used_rows(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.labels.len()).filter_map(|row| {
            let label = self.labels.get(row).filter(|&label| !self.ignored.holds(label))?;
            Some((row, label as usize))
        })
    }
}

/// What a loss compares the logits with: one class per row, or one distribution per row.
///
/// Made by `From` from whatever [`Labels`] is made from, and from [`Rows`] of the logits' shape.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    /// Class indices.
    Sparse(Labels<'a>),
    /// Distributions over the classes, rows × classes. They need not sum to 1.
    Dense(Rows<'a>),
}

impl<'a, L: Into<Labels<'a>>> From<L> for Targets<'a> {
    fn from(labels: L) -> Self {
        Self::Sparse(labels.into())
    }
}

impl<'a> From<Rows<'a>> for Targets<'a> {
    fn from(labels: Rows<'a>) -> Self {
        Self::Dense(labels)
    }
}
