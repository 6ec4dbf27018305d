//! Class indices of every integer type, of every value, with every set of labels to ignore: accepted just where
//! a label is a class or ignored, and then with the results of the same indices as `usize`.

use arbitrary::{Arbitrary, Result, Unstructured};
use xent::{
    Backend, CrossEntropy, Error, Hinge, Labels, NegativeLogLikelihood, Rows, RowsMut, Statistics, Targets,
};

use super::logits::Row;
use super::same::{Fused, UNTOUCHED, VALID, assert_same, untouched};

/// Labels, as one of the types, for rows of one content.
#[derive(Arbitrary, Debug)]
pub struct LabelsInput {
    labels: Typed,
    ignored: Ignored,
    classes: Classes,
    row: Row,
}

/// Few classes, where labels are seldom ones; as many as 8 or 16 bits can tell, and a few more or less.
#[derive(Clone, Copy, Debug)]
struct Classes(usize);

impl<'a> Arbitrary<'a> for Classes {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let around = *u.choose(&[3_usize, 16, 128, 256, 32_768, 65_536])?;
        Ok(Self(around + u.int_in_range(0..=4)? - 2))
    }
}

/// A label, before it gets its type.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Number {
    Class(u16),
    Last,
    /// As many as there are classes: the first number that is none.
    Count,
    Negative(u8),
    /// One of those to ignore.
    Ignored(u8),
    Bits(u64),
}

#[derive(Arbitrary, Debug)]
enum Ignored {
    None,
    One(i64),
    Several(Vec<i64>),
}

impl Ignored {
    fn labels(&self) -> &[i64] {
        match self {
            Self::None => &[],
            Self::One(label) => std::slice::from_ref(label),
            Self::Several(labels) => labels,
        }
    }

    fn of<'a>(&'a self, loss: CrossEntropy<'a>) -> CrossEntropy<'a> {
        match self {
            Self::None => loss,
            Self::One(label) => loss.ignore_index(*label),
            Self::Several(labels) => loss.ignore_indices(labels),
        }
    }
}

/// The rows of a batch, at most: enough for groups of 16 and a rest, where they are short.
const fn rows(classes: usize) -> usize {
    if classes > 300 { 3 } else { 37 }
}

/// Defines [`Typed`] for the integer types that labels can have.
macro_rules! typed {
    ($($variant:ident($type:ty)),+) => {
        /// Labels, in the type that they will have.
        #[derive(Arbitrary, Debug)]
        enum Typed {
            $($variant(Vec<Number>),)+
        }

        impl Typed {
            /// Calls `with` the labels in their type, and as numbers.
            #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "as many bits as a type has")]
            #[expect(clippy::cast_lossless, reason = "`usize` has no lossless conversion")]
            fn with(&self, classes: usize, ignored: &[i64], with: impl FnOnce(Labels<'_>, Vec<i128>)) {
                match self {
                    $(Self::$variant(numbers) => {
                        let numbers = numbers.iter().take(rows(classes));
                        let labels: Vec<$type> = numbers.map(|n| n.bits(classes, ignored) as $type).collect();
                        with(Labels::from(&labels), labels.iter().map(|&label| label as i128).collect());
                    })+
                }
            }
        }
    };
}

typed!(U8(u8), U16(u16), U32(u32), U64(u64), Usize(usize), I8(i8), I16(i16), I32(i32), I64(i64));

impl Number {
    /// Of which a type takes as many bits as it has.
    fn bits(self, classes: usize, ignored: &[i64]) -> u64 {
        let class = |class: usize| u64::try_from(class).unwrap_or(u64::MAX);
        match self {
            Self::Class(number) => class(usize::from(number) % classes),
            Self::Last => class(classes - 1),
            Self::Count => class(classes),
            Self::Negative(number) => (-1 - i64::from(number)).cast_unsigned(),
            Self::Ignored(number) if ignored.is_empty() => number.into(),
            Self::Ignored(number) => ignored[usize::from(number) % ignored.len()].cast_unsigned(),
            Self::Bits(bits) => bits,
        }
    }
}

impl LabelsInput {
    /// Checks which labels are accepted, and what they give.
    ///
    /// # Panics
    ///
    /// Where something does not hold.
    pub fn check(&self) {
        let Classes(classes) = self.classes;
        let logits = self.row.logits(classes);
        let ignored = self.ignored.labels();
        self.labels.with(classes, ignored, |labels, numbers| {
            let mut fused = Fused::default();
            for backend in Backend::available() {
                let logits = Rows::with_stride(&logits, numbers.len(), classes, 0).expect(VALID);
                let case = Case { labels, numbers: &numbers, logits: logits.with_backend(backend) };
                case.check(self.ignored.of(CrossEntropy::new()), ignored, &mut fused);
            }
        });
    }
}

struct Case<'a> {
    labels: Labels<'a>,
    numbers: &'a [i128],
    logits: Rows<'a>,
}

impl Case<'_> {
    fn check(&self, loss: CrossEntropy<'_>, ignored: &[i64], fused: &mut Fused) {
        let Self { labels, numbers, logits } = *self;
        let (rows, classes) = (numbers.len(), logits.classes());
        assert_eq!((labels.len(), labels.is_empty()), (rows, rows == 0));
        assert!((0..rows).all(|row| labels.get(row) == Some(numbers[row])) && labels.get(rows).is_none());

        let is_ignored = |label: i128| ignored.iter().any(|&one| i128::from(one) == label);
        let class = |label: i128| usize::try_from(label).ok().filter(|&label| label < classes);
        let bad = numbers.iter().position(|&label| !is_ignored(label) && class(label).is_none());
        let used: Vec<_> =
            numbers.iter().enumerate().filter(|&(_, &label)| bad.is_none() && !is_ignored(label)).collect();

        let mut losses = vec![UNTOUCHED; rows];
        let mut gradient = vec![UNTOUCHED; rows * classes];
        let mut probabilities = vec![UNTOUCHED; rows];
        let into = RowsMut::new(&mut gradient, rows, classes).expect(VALID);
        let wanted = Statistics::new().log_probability(&mut probabilities);
        let results = [
            loss.loss_and_gradient_into(labels, logits, &mut losses, into).map(|summary| summary.used_rows),
            loss.statistics_into(labels, logits, wanted).map(|()| used.len()),
        ];
        let expected = match bad {
            Some(row) => Err(Error::LabelOutOfRange { row, label: numbers[row], classes }),
            None => Ok(used.len()),
        };
        for result in results {
            assert_eq!(result, expected);
        }
        if let [label] = ignored {
            let hinge = Hinge::new().ignore_index(*label).loss(labels, logits);
            let likelihood = NegativeLogLikelihood::of_log_probabilities().ignore_index(*label);
            let likelihood = likelihood.loss(Targets::from(labels), logits);
            for result in [hinge, likelihood] {
                assert_eq!(result.map(|loss| loss.summary.used_rows), expected);
            }
        }
        if expected.is_err() {
            let all = losses.iter().chain(&gradient).chain(&probabilities);
            return assert!(all.copied().all(untouched), "a refused call wrote");
        }

        // The same rows as `usize`, without those that are ignored.
        let indices: Vec<usize> = used.iter().filter_map(|&(_, &label)| class(label)).collect();
        let backend = logits.backend().expect("chosen");
        let plain = Rows::with_stride(logits.row(0).unwrap_or_default(), indices.len(), classes, 0);
        let plain = plain.expect(VALID).with_backend(backend);
        let (of_used, gradient_of_used) =
            CrossEntropy::new().loss_and_gradient(&indices, plain).expect(VALID);
        let (mut all_losses, mut all_gradients) = (vec![0.0; rows], vec![0.0; rows * classes]);
        for (from, &(row, _)) in used.iter().enumerate() {
            all_losses[row] = of_used.rows[from];
            let from = &gradient_of_used[from * classes..][..classes];
            all_gradients[row * classes..][..classes].copy_from_slice(from);
        }
        assert_same("losses", &losses, &all_losses);
        assert_same("gradients", &gradient, &all_gradients);
        let negative: Vec<f32> = losses.iter().map(|loss| 0.0 - loss).collect();
        assert_same("log-probabilities", &probabilities, &negative);
        fused.assert(backend, "losses", &losses);
    }
}
