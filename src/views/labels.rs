//! Labels: class indices of any integer type without a copy, or distributions.

#![expect(clippy::cast_lossless, reason = "`usize` has no lossless conversion to i128")]
#![expect(
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "a negative label, extended by its sign, is no class; a class fits"
)]

mod row_labels;

pub(crate) use self::row_labels::{ELSEWHERE, RowLabels};
use super::layout::Layout;
use crate::kernels::group::NO_LABEL as IGNORED;
#[cfg(feature = "ndarray")]
use crate::simd::arrays::Spaced;
use crate::{Error, Rows};

/// One class index per row (sparse labels), in the integer type that the caller has.
///
/// Made by `From` from slices, arrays and vectors of `u8`, `u16`, `u32`, `u64`, `usize`, `i8`, `i16`, `i32` and `i64`, or, where
/// labels do not follow each other, [with strides](Self::with_strides). Nothing is copied.
///
/// ```
/// use xent::Labels;
///
/// assert_eq!(Labels::from(&[3_u8, 1]).len(), 2);
/// assert_eq!(Labels::from(&vec![-100_i64]).len(), 1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    values: Values<'a>,
    /// Where they are among the values, as rows of one class each, from the origin on.
    layout: Layout,
    origin: usize,
}

/// Values of one type that labels are among.
#[derive(Clone, Copy, Debug)]
enum Run<'a, T> {
    Slice(&'a [T]),
    #[cfg(feature = "ndarray")]
    Array(Spaced<'a, T>),
}

impl<T: Copy> Run<'_, T> {
    fn get(&self, index: usize) -> Option<T> {
        match self {
            Self::Slice(values) => values.get(index).copied(),
            #[cfg(feature = "ndarray")]
            Self::Array(values) => values.get(index),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Slice(values) => values.len(),
            #[cfg(feature = "ndarray")]
            Self::Array(values) => values.len(),
        }
    }
}

/// Defines [`Values`] and conversions of them for the listed integer types.
macro_rules! labels {
    ($($variant:ident($type:ty)),+) => {
        #[derive(Clone, Copy, Debug)]
        enum Values<'a> {
            $($variant(Run<'a, $type>),)+
        }

        impl Values<'_> {
            fn len(&self) -> usize {
                match self { $(Self::$variant(values) => values.len(),)+ }
            }

            fn get(&self, index: usize) -> Option<i128> {
                match self { $(Self::$variant(values) => values.get(index).map(|label| label as i128),)+ }
            }
        }

        impl<'a> Labels<'a> {
            /// The first row whose label is neither a class nor ignored, with its label.
            fn first_bad(&self, classes: usize, ignored: Ignored<'_>) -> Option<(usize, i128)> {
                match self.values {
                    $(Values::$variant(Run::Slice(values)) if self.layout.is_a_run() => {
                        let labels = self.among(values);
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
                    _ => self.one_by_one(0).enumerate().find(|(_, label)| {
                        !usize::try_from(*label).is_ok_and(|label| label < classes) && !ignored.holds(*label)
                    }),
                }
            }

            /// The classes of rows from `first` on, `IGNORED` for rows that are.
            #[inline(never)]
            fn classes(&self, first: usize, ignored: Ignored<'_>, to: &mut [usize]) {
                match self.values {
                    // Validated, so that each is a class or ignored.
                    $(Values::$variant(Run::Slice(values)) if self.layout.is_a_run() && !matches!(ignored, Ignored::Several(_)) => {
                        let labels = self.among(values);
                        match ignored.one::<$type>() {
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
                    _ => {
                        for (to, label) in to.iter_mut().zip(self.one_by_one(first)) {
                            *to = if ignored.holds(label) { IGNORED } else { label as usize };
                        }
                    }
                }
            }

            /// How many labels are not ignored.
            fn used(&self, ignored: Ignored<'_>) -> usize {
                match self.values {
                    _ if ignored == Ignored::None => self.len(),
                    $(Values::$variant(Run::Slice(values)) if self.layout.is_a_run() && !matches!(ignored, Ignored::Several(_)) => {
                        let labels = self.among(values);
                        ignored.one::<$type>().map_or(labels.len(), |one| {
                            labels.iter().filter(|&&label| label != one).count()
                        })
                    })+
                    _ => self.one_by_one(0).filter(|label| !ignored.holds(*label)).count(),
                }
            }
        }

        $(
            impl<'a> From<&'a [$type]> for Labels<'a> {
                fn from(labels: &'a [$type]) -> Self {
                    Self::all(Values::$variant(Run::Slice(labels)))
                }
            }

            impl<'a, const N: usize> From<&'a [$type; N]> for Labels<'a> {
                fn from(labels: &'a [$type; N]) -> Self {
                    labels.as_slice().into()
                }
            }

            impl<'a> From<&'a Vec<$type>> for Labels<'a> {
                fn from(labels: &'a Vec<$type>) -> Self {
                    labels.as_slice().into()
                }
            }

            /// With any stride, also a negative one.
            #[cfg(feature = "ndarray")]
            impl<'a> From<ndarray::ArrayView1<'a, $type>> for Labels<'a> {
                fn from(labels: ndarray::ArrayView1<'a, $type>) -> Self {
                    Self::all(Values::$variant(labels.to_slice().map_or_else(|| Run::Array(Spaced::of_array(labels)), Run::Slice)))
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
    note = "of an ndarray of integers: `array.view()`, of one axis (feature `ndarray`); numbers of another type are converted first"
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

impl<'a> Labels<'a> {
    /// All of some values, in their order.
    fn all(values: Values<'a>) -> Self {
        Self { values, layout: Layout::run(values.len()), origin: 0 }
    }

    /// Outer × inner labels among those of a slice, with a stride for each: in the order of the rows of
    /// [`Rows::with_strides`].
    ///
    /// # Errors
    ///
    /// [`Error::AxesLength`] where the slice ends before the last label; [`Error::AxesOverflow`].
    ///
    /// ```
    /// use xent::{Labels, Rows, sparse_softmax_cross_entropy_with_logits};
    ///
    /// // Two sequences of three tokens of four. Each position predicts the token after it: the logits of the last and the
    /// // first token of each sequence have no part.
    /// let (logits, tokens) = ([0.0; 2 * 3 * 4], [1_u32, 0, 3, 2, 2, 1]);
    /// let logits = Rows::with_strides(&logits, [2, 4, 2], [12, 1, 4])?;
    /// let next = Labels::with_strides(&tokens[1..], [2, 2], [3, 1])?;
    /// assert_eq!((0..4).map(|row| next.get(row)).collect::<Vec<_>>(), [Some(0), Some(3), Some(2), Some(1)]);
    /// assert_eq!(sparse_softmax_cross_entropy_with_logits(next, logits)?, [4.0_f32.ln(); 4]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn with_strides<T>(labels: &'a [T], shape: [usize; 2], strides: [usize; 2]) -> Result<Self, Error>
    where
        &'a [T]: Into<Self>,
    {
        let (shape, strides) = ([shape[0], 1, shape[1]], [strides[0], 1, strides[1]]);
        let (layout, expected) = Layout::of_axes(shape, strides)?;
        let given = labels.len();
        if given < expected {
            return Err(Error::AxesLength { given, expected, shape, strides });
        }
        Ok(Self { layout, ..labels.into() })
    }

    /// The number of labels.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.layout.rows
    }

    /// Whether there are no labels.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The label of a row, `None` past the end.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<i128> {
        if row < self.len() { self.values.get(self.origin + self.layout.offset(row, 0)) } else { None }
    }

    /// The labels among values, where they follow each other.
    fn among<T>(&self, values: &'a [T]) -> &'a [T] {
        &values[self.origin..][..self.layout.rows]
    }

    /// The labels of rows from `first` on, whatever their type and their places.
    fn one_by_one(&self, first: usize) -> impl Iterator<Item = i128> {
        (first..self.len()).filter_map(|row| self.get(row))
    }

    /// The first `row` labels and the others. `row` is at most `self.len()`.
    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        let part = |from: usize, rows: usize| {
            let (layout, shift) = self.layout.part(from, rows);
            Self { layout, origin: self.origin + shift, ..self }
        };
        (part(0, row), part(row, self.len() - row))
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
