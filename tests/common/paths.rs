//! Every path to one result: allocating, into a buffer, in place, from rows that lie anywhere in memory.
//! All must give the same bits, and none may write between the rows.

use xent::{Backend, CrossEntropy, Error, LogSumExp, Rows, RowsMut, Summary, Targets};

use super::strategies::Matrix;
use super::{assert_same_bits, same_bits};

/// Where rows lie: this many f32 past a 64-byte boundary, with so many f32 between one row and the next; or, where their
/// classes are another axis than the last, between one run of neighbours and the next.
#[derive(Clone, Copy, Debug, Default)]
pub struct Layout {
    pub offset: usize,
    pub padding: usize,
    pub axes: Axes,
}

impl Layout {
    /// Rows whose classes follow each other.
    pub const fn new(offset: usize, padding: usize) -> Self {
        Self { offset, padding, axes: Axes::Rows }
    }

    /// The same with other axes.
    pub const fn along(self, axes: Axes) -> Self {
        Self { axes, ..self }
    }
}

/// In which order values lie, from the axis with the largest stride to the one with the smallest. Rows are pairs of an
/// outer and an inner index wherever their number is no prime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Axes {
    /// Rows, classes.
    #[default]
    Rows,
    /// Classes, rows.
    Columns,
    /// Outer, classes, inner: images with their channels as classes.
    Images,
    /// The same with a gap behind each value.
    Sparse,
    /// Inner, outer, classes: rows that do not lie in their order.
    Shuffled,
    /// Classes, inner, outer.
    Turned,
}

impl Axes {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Rows, Self::Columns, Self::Images, Self::Sparse, Self::Shuffled, Self::Turned];

    /// Another order.
    fn next(self) -> Self {
        let at = Self::ALL.iter().position(|axes| *axes == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }

    /// Outer × classes × inner with their strides.
    fn arrange(self, rows: usize, classes: usize, padding: usize) -> ([usize; 3], [usize; 3]) {
        let outer = (2..rows).find(|n| rows.is_multiple_of(*n)).unwrap_or(1);
        let inner = rows / outer;
        let strides = match self {
            Self::Rows => [inner * (classes + padding), 1, classes + padding],
            Self::Columns => [inner, rows + padding, 1],
            Self::Images => [classes * (inner + padding), inner + padding, 1],
            Self::Sparse => {
                let inside = inner * (padding + 1);
                [classes * inside, inside, padding + 1]
            }
            Self::Shuffled => [classes + padding, 1, outer * (classes + padding)],
            Self::Turned => [1, inner * (outer + padding), outer + padding],
        };
        ([outer, classes, inner], strides)
    }
}

/// What lies around rows. A NaN, so that reading it shows as well as writing over it.
const GAP: f32 = f32::from_bits(0x7fc0_dead);

/// f32 behind the last row, also where there is no padding: a vector written past it shows.
const MARGIN: usize = 16;

/// Rows in a larger buffer.
pub struct Strided {
    buffer: Vec<f32>,
    start: usize,
    shape: [usize; 3],
    strides: [usize; 3],
    axes: Axes,
}

impl Strided {
    /// A copy of some rows.
    pub fn of(matrix: &Matrix, layout: Layout) -> Self {
        let mut strided = Self::unwritten(matrix.rows, matrix.classes, layout);
        let places: Vec<_> = strided.places().collect();
        for (place, value) in places.into_iter().zip(&matrix.values) {
            strided.buffer[place] = *value;
        }
        strided
    }

    /// Rows to be written.
    pub fn unwritten(rows: usize, classes: usize, layout: Layout) -> Self {
        let (shape, strides) = layout.axes.arrange(rows, classes, layout.padding);
        let span: usize = shape.iter().zip(strides).map(|(len, stride)| len * stride).sum();
        let buffer = vec![GAP; 16 + layout.offset + span + MARGIN];
        // At most 15 f32 to the next boundary, or, where alignment cannot be told, none.
        let start = buffer.as_ptr().align_offset(64).min(15) + layout.offset;
        Self { buffer, start, shape, strides, axes: layout.axes }
    }

    /// Where each value is, row after row.
    fn places(&self) -> impl Iterator<Item = usize> + use<> {
        let ([outer, classes, inner], strides, start) = (self.shape, self.strides, self.start);
        (0..outer * inner).flat_map(move |row| {
            let first = start + row / inner * strides[0] + row % inner * strides[2];
            (0..classes).map(move |class| first + class * strides[1])
        })
    }

    /// # Panics
    ///
    /// Where the view is refused.
    pub fn view(&self, backend: Backend) -> Rows<'_> {
        let (data, [outer, classes, inner]) = (&self.buffer[self.start..], self.shape);
        let rows = match self.axes {
            Axes::Rows => Rows::with_stride(data, outer * inner, classes, self.strides[2]),
            _ => Rows::with_strides(data, self.shape, self.strides),
        };
        rows.expect("a correct layout").with_backend(backend)
    }

    /// # Panics
    ///
    /// Where the view is refused.
    pub fn view_mut(&mut self, backend: Backend) -> RowsMut<'_> {
        let (data, [outer, classes, inner]) = (&mut self.buffer[self.start..], self.shape);
        let rows = match self.axes {
            Axes::Rows => RowsMut::with_stride(data, outer * inner, classes, self.strides[2]),
            _ => RowsMut::with_strides(data, self.shape, self.strides),
        };
        rows.expect("a correct layout").with_backend(backend)
    }

    /// The rows one after the other.
    ///
    /// # Panics
    ///
    /// Where something was written around them.
    pub fn into_values(mut self) -> Vec<f32> {
        let places = self.places();
        let values = places.map(|place| core::mem::replace(&mut self.buffer[place], GAP)).collect();
        let untouched = self.buffer.iter().all(|gap| gap.to_bits() == GAP.to_bits());
        assert!(untouched, "written around {:?} at {:?}", self.shape, self.strides);
        values
    }
}

/// The result of an operation with one value per logit, the same from each of its three forms.
///
/// # Panics
///
/// Where a form fails, differs, or writes between rows.
pub fn every_path(
    input: &Matrix,
    layout: Layout,
    backend: Backend,
    allocating: impl Fn(Rows<'_>) -> Result<Vec<f32>, Error>,
    into: impl Fn(Rows<'_>, RowsMut<'_>) -> Result<(), Error>,
    in_place: impl Fn(RowsMut<'_>) -> Result<(), Error>,
) -> Vec<f32> {
    let strided = Strided::of(input, layout);
    let result = allocating(strided.view(backend)).expect("a valid call");
    // Another alignment than the input's, and other axes.
    let elsewhere =
        Layout { offset: layout.offset + 3, padding: layout.padding / 2, axes: layout.axes.next() };
    let mut output = Strided::unwritten(input.rows, input.classes, elsewhere);
    into(strided.view(backend), output.view_mut(backend)).expect("a valid call");
    assert_same_bits("into a buffer", &output.into_values(), &result);
    assert_same_bits("the input, after the call", &strided.into_values(), &input.values);
    let mut over = Strided::of(input, layout);
    in_place(over.view_mut(backend)).expect("a valid call");
    assert_same_bits("in place", &over.into_values(), &result);
    result
}

/// The result of an operation with one value per row, the same from both of its forms.
///
/// # Panics
///
/// Where a form fails or they differ.
pub fn every_row_path<T: Copy + Default>(
    input: &Matrix,
    layout: Layout,
    backend: Backend,
    same: impl Fn(T, T) -> bool,
    allocating: impl Fn(Rows<'_>) -> Result<Vec<T>, Error>,
    into: impl Fn(Rows<'_>, &mut [T]) -> Result<(), Error>,
) -> Vec<T> {
    let strided = Strided::of(input, layout);
    let result = allocating(strided.view(backend)).expect("a valid call");
    let mut other = vec![T::default(); input.rows];
    into(strided.view(backend), &mut other).expect("a valid call");
    let all_same = result.len() == other.len() && result.iter().zip(&other).all(|(&a, &b)| same(a, b));
    assert!(all_same, "into a slice: another result");
    assert_same_bits("the input, after the call", &strided.into_values(), &input.values);
    result
}

/// What cross-entropy gives, the same from all of its calls.
#[derive(Clone, Debug)]
pub struct Evaluated {
    pub losses: Vec<f32>,
    pub gradient: Vec<f32>,
    pub summary: Summary,
    pub sums: Vec<LogSumExp>,
}

/// The loss and its gradient from every call of `loss`: alone, together, in two passes; allocating, into
/// buffers, in place.
///
/// # Panics
///
/// Where a call fails, differs, or writes between rows.
pub fn every_loss_path(
    loss: CrossEntropy<'_>,
    targets: Targets<'_>,
    input: &Matrix,
    layout: Layout,
    backend: Backend,
) -> Evaluated {
    let strided = Strided::of(input, layout);
    let logits = strided.view(backend);
    let (forward, sums) = loss.forward(targets, logits).expect("a valid call");
    let gradient = every_path(
        input,
        layout,
        backend,
        |logits| loss.backward(targets, logits, &sums),
        |logits, gradient| loss.backward_into(targets, logits, &sums, gradient),
        |logits| loss.backward_in_place(targets, logits, &sums),
    );
    let check = |losses: &[f32], summary: Summary| {
        assert_same_bits("losses of another call", losses, &forward.rows);
        assert!(same_bits(summary.value, forward.summary.value), "reduced: another value");
        assert_eq!(summary.used_rows, forward.summary.used_rows);
    };
    let mut losses = vec![GAP; input.rows];
    let mut saved = vec![LogSumExp::EMPTY; input.rows];
    let summary = loss.forward_into(targets, logits, &mut losses, &mut saved).expect("a valid call");
    check(&losses, summary);
    let values = |sums: &[LogSumExp]| sums.iter().map(|sum| sum.value()).collect::<Vec<_>>();
    assert_same_bits("saved sums", &values(&saved), &values(&sums));
    let alone = loss.loss(targets, logits).expect("a valid call");
    check(&alone.rows, alone.summary);
    let summary = loss.loss_into(targets, logits, &mut losses).expect("a valid call");
    check(&losses, summary);

    let together = every_path(
        input,
        layout,
        backend,
        |logits| {
            let (loss, gradient) = loss.loss_and_gradient(targets, logits)?;
            check(&loss.rows, loss.summary);
            Ok(gradient)
        },
        |logits, gradient| {
            let mut losses = vec![GAP; logits.rows()];
            let summary = loss.loss_and_gradient_into(targets, logits, &mut losses, gradient)?;
            check(&losses, summary);
            Ok(())
        },
        |logits| {
            let mut losses = vec![GAP; logits.rows()];
            let summary = loss.loss_and_gradient_in_place(targets, logits, &mut losses)?;
            check(&losses, summary);
            Ok(())
        },
    );
    assert_same_bits("the gradient from saved sums", &gradient, &together);
    Evaluated { losses: forward.rows, gradient, summary: forward.summary, sums }
}
