//! Shapes at the edges of what 16 bits count, and of the crate's own loops, with little memory behind them: rows
//! that overlap, one class, no rows.

use arbitrary::{Arbitrary, Result, Unstructured};
use xent::{
    Backend, BinaryCrossEntropy, CrossEntropy, ElementReduction, Error, Hinge, Labels, Reduction, Rows,
    Smoothing, argmax, log_softmax, log_sum_exp, row_max, softmax,
};

use super::logits::Row;
use super::oracle::{CONTRACT, Expected, Value, assert_all};
use super::same::{Fused, VALID, assert_same, in_pools};
use super::{reference, ulp};

/// A view of overlapping rows, and what is computed of it.
#[derive(Arbitrary, Debug)]
pub struct ShapeInput {
    size: Size,
    stride: Stride,
    operation: Operation,
    label: u16,
    contents: Row,
}

/// Numbers at which something begins or ends: vectors, tiles, blocks, groups of blocks, tasks, 16 bits.
const EDGES: [usize; 13] = [1, 2, 4, 8, 16, 32, 64, 96, 512, 1024, 16_384, 32_768, 65_536];

/// Rows and classes, each at an edge or next to it.
#[derive(Clone, Copy, Debug)]
struct Size {
    rows: usize,
    classes: usize,
}

impl<'a> Arbitrary<'a> for Size {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        // One in eight has as many logits as 16 bits count, the others take a hundredth of its time.
        let most = if u.ratio(1, 8)? { EDGES[EDGES.len() - 1] + 1 } else { 1500 };
        let mut edge = |most: usize| -> Result<usize> {
            let edges = EDGES.partition_point(|&edge| edge <= most);
            let edge = EDGES[..edges.max(1)][u.choose_index(edges.max(1))?];
            Ok((edge + u.int_in_range(0..=2)? - 1).min(most))
        };
        let classes = edge(most)?;
        Ok(Self { rows: edge(most / classes.max(1))?, classes })
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Stride {
    /// One row, over and over.
    None,
    /// So many values from row to row, which are fewer than a row has.
    Overlapping(u8),
    /// The rows apart, with so many values between them.
    Apart(u8),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Operation {
    Softmax,
    LogSoftmax,
    Reductions,
    Sparse,
    Dense,
    Smoothed,
    Binary,
    Hinge,
}

/// What an operation gives: its name, how many values for each row, and the values.
type Results = Vec<(&'static str, usize, Vec<f32>)>;

impl ShapeInput {
    /// Checks that each row of a view has the results that it has alone, in every pool, on every backend.
    ///
    /// # Panics
    ///
    /// Where something does not hold.
    pub fn check(&self) {
        let Size { rows, classes } = self.size;
        if classes == 0 {
            let refusal = (rows > 0).then_some(Error::NoClasses { rows });
            return assert_eq!(Rows::with_stride(&[] as &[f32], rows, 0, 1).err(), refusal);
        }
        let stride = match self.stride {
            Stride::None => 0,
            Stride::Overlapping(stride) => usize::from(stride) % classes,
            Stride::Apart(gap) => classes + usize::from(gap % 4),
        };
        let buffer = self.contents.logits(rows.saturating_sub(1) * stride + classes);
        let mut fused = Fused::default();
        for backend in Backend::available() {
            let view = Rows::with_stride(&buffer, rows, classes, stride).expect(VALID).with_backend(backend);
            let [alone, shared] = in_pools(|| self.results(view, 0));
            for ((what, per_row, values), (_, _, others)) in alone.iter().zip(&shared) {
                assert_eq!(values.len(), per_row * rows, "{what}");
                assert_same(&format!("{what} in a larger pool"), others, values);
                fused.assert(backend, what, values);
            }
            if stride == 0 && !self.has_labels() {
                assert_repeated(&alone, rows);
            }
            for row in [0, rows / 2, rows.saturating_sub(1)].into_iter().take(rows) {
                self.assert_row(backend, view, row, &alone);
            }
        }
    }

    fn has_labels(&self) -> bool {
        matches!(self.operation, Operation::Sparse | Operation::Smoothed | Operation::Hinge)
    }

    /// The class of a row, which is another one for each.
    fn label(&self, row: usize, classes: usize) -> usize {
        (usize::from(self.label) + row) % classes
    }

    /// The results of all rows of a view, the first of which has the label of row `first`.
    fn results(&self, logits: Rows<'_>, first: usize) -> Results {
        let (rows, classes) = (logits.rows(), logits.classes());
        let labels: Vec<usize> = (0..rows).map(|row| self.label(first + row, classes)).collect();
        // As 16 bits, where they hold them all.
        let narrow: Option<Vec<u16>> = labels.iter().map(|&label| u16::try_from(label).ok()).collect();
        let labels = narrow.as_ref().map_or(Labels::from(&labels), Labels::from);
        let sparse = |loss: CrossEntropy<'_>| {
            let (loss, gradient) = loss.loss_and_gradient(labels, logits).expect(VALID);
            vec![("sparse loss", 1, loss.rows), ("sparse gradient", classes, gradient)]
        };
        match self.operation {
            Operation::Softmax => vec![("softmax", classes, softmax(logits).expect(VALID))],
            Operation::LogSoftmax => vec![("log-softmax", classes, log_softmax(logits).expect(VALID))],
            Operation::Reductions => {
                let indices = argmax(logits).expect(VALID).into_iter().map(index).collect();
                vec![
                    ("log-sum-exp", 1, log_sum_exp(logits).expect(VALID)),
                    ("row maximum", 1, row_max(logits).expect(VALID)),
                    ("argmax", 1, indices),
                ]
            }
            Operation::Sparse => sparse(CrossEntropy::new().reduction(Reduction::Sum)),
            Operation::Smoothed => {
                sparse(CrossEntropy::new().label_smoothing(0.1, Smoothing::Uniform).expect(VALID))
            }
            Operation::Dense => {
                // The logits of one row, as labels of all: any numbers will do.
                let labels = self.contents.logits(classes).into_iter().map(|x| x.abs().min(1.0));
                let labels: Vec<f32> = labels.map(|t| if t.is_nan() { 0.0 } else { t }).collect();
                let labels = Rows::with_stride(&labels, rows, classes, 0).expect(VALID);
                let (loss, gradient) = CrossEntropy::new().loss_and_gradient(labels, logits).expect(VALID);
                vec![("dense loss", 1, loss.rows), ("dense gradient", classes, gradient)]
            }
            Operation::Binary => {
                let binary = BinaryCrossEntropy::new().reduction(ElementReduction::Sum);
                let targets = vec![0.25; classes];
                let targets = Rows::with_stride(&targets, rows, classes, 0).expect(VALID);
                let (loss, gradient) = binary.loss_and_gradient(targets, logits).expect(VALID);
                vec![("binary loss", classes, loss.values), ("binary gradient", classes, gradient)]
            }
            Operation::Hinge => {
                let (loss, gradient) = Hinge::new().loss_and_gradient(labels, logits).expect(VALID);
                vec![("hinge", 1, loss.rows), ("gradient of the hinge", classes, gradient)]
            }
        }
    }

    /// Asserts that a row has the results that it has alone, and that they are those of the oracle.
    fn assert_row(&self, backend: Backend, view: Rows<'_>, row: usize, all: &Results) {
        let (logits, classes) = (view.row(row).expect("one of the rows"), view.classes());
        let alone = Rows::new(logits, 1, classes).expect(VALID).with_backend(backend);
        let alone = self.results(alone, row);
        for ((what, per_row, values), (_, _, alone)) in all.iter().zip(&alone) {
            assert_same(&format!("{what} of a row alone"), &values[row * per_row..][..*per_row], alone);
        }
        let [(what, _, values), ..] = &alone[..] else { unreachable!("every operation has a result") };
        let of = |want: Vec<f64>| want.into_iter().map(|want| Value::new(want, CONTRACT));
        match self.operation {
            Operation::Softmax => assert_all(backend, what, values, of(reference::softmax(logits))),
            Operation::LogSoftmax => assert_all(backend, what, values, of(reference::log_softmax(logits))),
            Operation::Reductions => {
                let want = Value::new(reference::log_sum_exp(logits), CONTRACT);
                want.in_ulp_of(reference::row_max(logits)).assert(backend, what, values[0]);
                assert_same("row maximum", &alone[1].2, &[ulp::round(reference::row_max(logits))]);
                assert_same("argmax", &alone[2].2, &[index(reference::argmax(logits))]);
            }
            Operation::Sparse => {
                let expected = Expected::sparse(self.label(row, classes), logits, 1.0);
                expected.assert(backend, row, values[0], &alone[1].2);
            }
            // Their oracles are those of other targets.
            Operation::Dense | Operation::Smoothed | Operation::Binary | Operation::Hinge => {}
        }
    }
}

/// Asserts that the results of rows which are one and the same are one and the same.
fn assert_repeated(results: &Results, rows: usize) {
    for (what, per_row, values) in results {
        for row in 1..rows {
            assert_same(what, &values[row * per_row..][..*per_row], &values[..*per_row]);
        }
    }
}

/// A class as an f32, which holds every one of those here.
fn index(class: usize) -> f32 {
    ulp::round(ulp::count(class))
}
