//! Labels: class indices of any integer type without a copy, or distributions.

#![expect(clippy::cast_lossless, reason = "`usize` has no lossless conversion to i128")]

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
            fn first_bad(&self, classes: usize, ignored: Option<i64>) -> Option<(usize, i128)> {
                let ignored = ignored.map(i128::from);
                match self {
                    $(Self::$variant(labels) => labels
                        .iter()
                        .map(|&label| label as i128)
                        .enumerate()
                        .find(|&(_, label)| !(0..classes as i128).contains(&label) && Some(label) != ignored),)+
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

labels!(U8(u8), U16(u16), U32(u32), U64(u64), Usize(usize), I8(i8), I16(i16), I32(i32), I64(i64));

impl Labels<'_> {
    /// Whether there are no labels.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks the number of labels and each of them.
    pub(crate) fn validate(&self, rows: usize, classes: usize, ignored: Option<i64>) -> Result<(), Error> {
        if self.len() != rows {
            return Err(Error::RowCount { what: "labels", given: self.len(), expected: rows });
        }
        match self.first_bad(classes, ignored) {
            Some((row, label)) => Err(Error::LabelOutOfRange { row, label, classes }),
            None => Ok(()),
        }
    }
}

/// Labels that have been validated, and the one that marks a row as ignored.
#[derive(Clone, Copy)]
pub(crate) struct RowLabels<'a> {
    labels: Labels<'a>,
    ignored: Option<i64>,
    classes: usize,
}

impl<'a> RowLabels<'a> {
    pub(crate) fn new(
        labels: Labels<'a>,
        rows: usize,
        classes: usize,
        ignored: Option<i64>,
    ) -> Result<Self, Error> {
        labels.validate(rows, classes, ignored)?;
        Ok(Self { labels, ignored, classes })
    }

    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        let (first, rest) = self.labels.split_at(row);
        (Self { labels: first, ..self }, Self { labels: rest, ..self })
    }

    /// The class of a row, `None` if the row is ignored.
    #[inline(always)]
    pub(crate) fn class(&self, row: usize) -> Option<usize> {
        let label = self.labels.get(row)?;
        if self.ignored.map(i128::from) == Some(label) {
            return None;
        }
        usize::try_from(label).ok().filter(|&class| class < self.classes)
    }

    /// The number of rows that are not ignored.
    pub(crate) fn used(&self) -> usize {
        let rows = self.labels.len();
        match self.ignored {
            Some(_) => (0..rows).filter(|&row| self.class(row).is_some()).count(),
            None => rows,
        }
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
