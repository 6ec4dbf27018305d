//! What can be wrong with a call: one enum, each variant with the numbers that were given.

use core::fmt;

use crate::Backend;

/// Why a call was refused. Nothing has been written to any output when one is returned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A buffer is shorter or longer than its rows need.
    DataLength {
        /// Values in the buffer.
        given: usize,
        /// Values that the shape needs.
        expected: usize,
        /// Rows of the view.
        rows: usize,
        /// Classes of each row.
        classes: usize,
        /// Values from the start of one row to the start of the next.
        stride: usize,
    },
    /// The rows of a mutable view would overlap.
    StrideTooSmall {
        /// The stride that was given.
        stride: usize,
        /// The classes of a row: the smallest possible stride.
        classes: usize,
    },
    /// `rows * stride` does not fit in `usize`.
    SizeOverflow {
        /// Rows of the view.
        rows: usize,
        /// The stride, or the number of classes.
        stride: usize,
    },
    /// A buffer does not have the length that outer × classes × inner values with their strides need.
    AxesLength {
        /// Values in the buffer.
        given: usize,
        /// Values that the shape needs.
        expected: usize,
        /// Outer, classes and inner.
        shape: [usize; 3],
        /// The stride of each.
        strides: [usize; 3],
    },
    /// Values of a mutable view would, or might, share a place.
    AxesOverlap {
        /// Outer, classes and inner.
        shape: [usize; 3],
        /// The stride of each.
        strides: [usize; 3],
    },
    /// The number of values, or the place of the last one, does not fit in `usize`.
    AxesOverflow {
        /// Outer, classes and inner.
        shape: [usize; 3],
        /// The stride of each.
        strides: [usize; 3],
    },
    /// An array does not have the axis that classes were to lie along.
    AxisOutOfRange {
        /// The axis that was given, counted from 0.
        axis: usize,
        /// How many axes there are.
        axes: usize,
    },
    /// An array whose axes beside that of the classes cannot be put together to an outer and an inner one, or
    /// has a negative stride.
    AxesNotViewable {
        /// The length of each axis.
        shape: Vec<usize>,
        /// The stride of each axis.
        strides: Vec<isize>,
        /// The axis of the classes.
        axis: usize,
    },
    /// There are rows, but no classes.
    NoClasses {
        /// Rows of the view.
        rows: usize,
    },
    /// Two views that must have one shape do not.
    ShapeMismatch {
        /// What the second view is: `"output"`, `"labels"`, `"upstream gradient"`, ...
        what: &'static str,
        /// Its rows and classes.
        given: (usize, usize),
        /// Rows and classes of the logits.
        expected: (usize, usize),
    },
    /// A slice that holds one value per row has another length.
    RowCount {
        /// What the slice is: `"labels"`, `"losses"`, ...
        what: &'static str,
        /// Its length.
        given: usize,
        /// Rows of the logits.
        expected: usize,
    },
    /// The weights of classes have another number of features than the rows.
    FeatureCount {
        /// Features of the weights.
        given: usize,
        /// Features of the rows.
        expected: usize,
    },
    /// The rows of weights, or of their gradient, do not lie at one stride.
    UnevenRows {
        /// What the view is: `"weights"`, ...
        what: &'static str,
    },
    /// The values of a view are of a type that a call does not take.
    ElementType {
        /// What the view is: `"weights"`, ...
        what: &'static str,
        /// Its type.
        given: &'static str,
        /// The type that is taken.
        expected: &'static str,
    },
    /// The workspace is too small for what a call needs at once.
    Workspace {
        /// Its bytes.
        given: usize,
        /// Bytes that are needed.
        expected: usize,
    },
    /// An integer label is no class and not the ignored label.
    LabelOutOfRange {
        /// The row of the label.
        row: usize,
        /// The label.
        label: i128,
        /// The number of classes: labels are `0..classes`.
        classes: usize,
    },
    /// A token that is named is no class.
    TokenOutOfRange {
        /// Where in the list of names it stands.
        index: usize,
        /// The token.
        token: u32,
        /// The number of classes: tokens are `0..classes`.
        classes: usize,
    },
    /// Rows have more classes than a `u32` has numbers for them, of which one stands for none.
    TooManyClasses {
        /// The number of classes.
        given: usize,
    },
    /// A shard reaches beyond the classes that all shards have together, or these are more than a partial row can count.
    ShardOutOfRange {
        /// The first class of the shard.
        first: usize,
        /// How many classes it has.
        classes: usize,
        /// How many all shards have.
        total: usize,
    },
    /// The label of a row is in none of its parts: that of the shard that has it was not merged.
    LabelNotMerged {
        /// The row.
        row: usize,
    },
    /// One upstream gradient per row was given for a loss reduced to one number.
    UpstreamPerRow {
        /// The length of the slice.
        given: usize,
    },
    /// An option was given a number that it cannot have.
    Option {
        /// The option: `"label smoothing"`, `"class weight"`, ...
        what: &'static str,
        /// Where in its slice the number stands, for options that are slices.
        index: Option<usize>,
        /// The number.
        given: String,
        /// What it can be.
        expected: &'static str,
    },
    /// An option that holds one value per class, or one per row and class, has another length.
    OptionLength {
        /// The option: `"class weights"`, `"class mask"`, ...
        what: &'static str,
        /// Its length.
        given: usize,
        /// The length it should have.
        expected: usize,
    },
    /// A sum that was saved for a row is one over nothing: it cannot be that of a row that counts.
    EmptySum {
        /// The row.
        row: usize,
    },
    /// A statistic that is asked for is one of labels, and there are none.
    NeedsLabels {
        /// The statistic: `"log-probabilities"`, `"correct"`, `"ranks"`.
        what: &'static str,
    },
    /// The results do not fit in memory.
    OutOfMemory {
        /// How many values were to be allocated.
        values: usize,
    },
    /// `XENT_BACKEND`, or a string that was parsed, is not the name of a backend.
    UnknownBackend {
        /// The name that was given.
        name: String,
    },
    /// A backend that this CPU cannot run.
    UnavailableBackend {
        /// The backend that was asked for.
        backend: Backend,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataLength { given, expected, rows, classes, stride } => write!(
                f,
                "the buffer holds {given} values, but {rows} rows of {classes} classes at stride {stride} need {expected}"
            ),
            Self::StrideTooSmall { stride, classes } => write!(
                f,
                "a stride of {stride} makes mutable rows of {classes} classes overlap; expected at least {classes}"
            ),
            Self::SizeOverflow { rows, stride } => {
                write!(f, "{rows} rows of {stride} values overflow the address space")
            }
            Self::AxesLength { given, expected, shape, strides } => write!(
                f,
                "the buffer holds {given} values, but a shape of {shape:?} at strides {strides:?} needs {expected}"
            ),
            Self::AxesOverlap { shape, strides } => write!(
                f,
                "values of a mutable view of shape {shape:?} at strides {strides:?} overlap; expected each stride to be larger than all that axes of smaller strides reach"
            ),
            Self::AxesOverflow { shape, strides } => {
                write!(f, "a shape of {shape:?} at strides {strides:?} overflows the address space")
            }
            Self::AxisOutOfRange { axis, axes } => {
                write!(f, "axis {axis} of an array of {axes}; expected an axis below that")
            }
            Self::AxesNotViewable { shape, strides, axis } => write!(
                f,
                "an array of shape {shape:?} at strides {strides:?} has no outer and inner axis around axis {axis}; expected strides that are not negative, and axes that follow each other to be evenly spaced"
            ),
            Self::NoClasses { rows } => {
                write!(f, "{rows} rows have 0 classes; expected at least 1")
            }
            Self::ShapeMismatch { what, given, expected } => write!(
                f,
                "the {what} has {} rows of {} values; expected {} rows of {}",
                given.0, given.1, expected.0, expected.1
            ),
            Self::RowCount { what, given, expected } => {
                write!(f, "{what}: {given} given for {expected} rows")
            }
            Self::FeatureCount { given, expected } => {
                write!(
                    f,
                    "the weights have {given} features for each class; expected {expected}, as many as the rows"
                )
            }
            Self::UnevenRows { what } => {
                write!(f, "the rows of the {what} do not lie evenly; expected one stride between them")
            }
            Self::ElementType { what, given, expected } => write_element(f, what, given, expected),
            Self::Workspace { given, expected } => {
                write!(f, "a workspace of {given} bytes is too small; expected at least {expected}")
            }
            Self::LabelOutOfRange { row, label, classes } => write!(
                f,
                "the label {label} of row {row} is out of range; expected 0 to {}",
                classes.saturating_sub(1)
            ),
            Self::TokenOutOfRange { index, token, classes } => write!(
                f,
                "the named token {token} at {index} is out of range; expected 0 to {}",
                classes.saturating_sub(1)
            ),
            Self::TooManyClasses { given } => {
                write!(f, "{given} classes have no ids of 32 bits; expected at most {}", u32::MAX - 1)
            }
            Self::ShardOutOfRange { first, classes, total } => write_shard(f, *first, *classes, *total),
            Self::LabelNotMerged { row } => write_label(f, *row),
            Self::UpstreamPerRow { given } => write!(
                f,
                "{given} upstream gradients for a loss reduced to one number; expected a uniform one"
            ),
            Self::Option { what, index, given, expected } => {
                write!(f, "the {what} ")?;
                if let Some(index) = index {
                    write!(f, "at {index} ")?;
                }
                write!(f, "is {given}; expected {expected}")
            }
            Self::OptionLength { what, given, expected } => {
                write!(f, "{what}: {given} values given; expected {expected}")
            }
            Self::EmptySum { row } => write!(
                f,
                "the log-sum-exp that was saved for row {row} is EMPTY, which no row of numbers has; expected what `forward` gave"
            ),
            Self::NeedsLabels { what } => {
                write!(f, "{what} need labels, and none were given; give one for each row")
            }
            Self::OutOfMemory { values } => write!(f, "no memory for {values} results"),
            Self::UnknownBackend { name } => {
                write!(f, "unknown backend {name:?}; available here: ")?;
                write_available(f)
            }
            Self::UnavailableBackend { backend } => {
                write!(f, "this CPU cannot run the backend {backend}; available here: ")?;
                write_available(f)
            }
        }
    }
}

fn write_shard(f: &mut fmt::Formatter<'_>, first: usize, classes: usize, total: usize) -> fmt::Result {
    let most = crate::PartialRow::MAX_CLASSES;
    write!(
        f,
        "a shard of {classes} classes from {first} on reaches beyond {total} in all; expected no more, and at most {most} in all"
    )
}

fn write_element(f: &mut fmt::Formatter<'_>, what: &str, given: &str, expected: &str) -> fmt::Result {
    write!(f, "the {what}: values are {given}; expected {expected}")
}

fn write_label(f: &mut fmt::Formatter<'_>, row: usize) -> fmt::Result {
    write!(f, "no part of row {row} holds its label; expected those of all shards, merged")
}

/// The names of the backends that this CPU can run.
fn write_available(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (i, backend) in Backend::available().enumerate() {
        write!(f, "{}{backend}", if i == 0 { "" } else { ", " })?;
    }
    Ok(())
}

impl core::error::Error for Error {}
