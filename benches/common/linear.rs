//! The inputs of a linear classifier, and the products alone that its loss and its gradients are made of.

#![allow(unsafe_code, reason = "the products by themselves take pointers")]

use core::fmt;
use core::str::FromStr;

use rayon::prelude::*;

use super::inputs;
use super::shape::{Shape, shape};

/// How large a linear classifier and its batch are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub rows: usize,
    pub classes: usize,
    pub features: usize,
}

const fn size(rows: usize, classes: usize, features: usize) -> Size {
    Size { rows, classes, features }
}

/// A vocabulary, images as CIFAR has them, a larger vocabulary, and a classifier.
pub const SIZES: [Size; 4] =
    [size(256, 32_000, 512), size(1024, 10, 3072), size(64, 128_256, 768), size(4096, 1000, 512)];

/// Classifiers have a bias, the heads of language models have none.
const MOST_CLASSES_WITH_BIAS: usize = 1000;

impl Size {
    /// Its logits.
    pub const fn shape(self) -> Shape {
        shape(self.rows, self.classes)
    }

    pub const fn has_bias(self) -> bool {
        self.classes <= MOST_CLASSES_WITH_BIAS
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.rows, self.classes, self.features)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lengths: Option<Vec<usize>> = text.split('x').map(|length| length.parse().ok()).collect();
        match lengths.as_deref() {
            Some(&[rows, classes, features]) => Ok(size(rows, classes, features)),
            _ => Err(format!("{text} is no rows x classes x features, such as 256x32000x512")),
        }
    }
}

/// A batch and a classifier.
pub struct Problem {
    pub size: Size,
    /// Rows × features.
    pub x: Vec<f32>,
    /// Classes × features.
    pub weights: Vec<f32>,
    /// One for each class, or none at all.
    pub bias: Vec<f32>,
    pub labels: Vec<u32>,
}

impl Problem {
    /// Features with a standard deviation of 1, and weights that make the usual logits of them.
    pub fn new(size: Size) -> Self {
        let Size { rows, classes, features } = size;
        // One after the other in the sequence: weights that are multiples of features would make odd logits.
        let (of_x, of_weights) = (rows * features, classes * features);
        let of_bias = if size.has_bias() { classes } else { 0 };
        #[expect(clippy::cast_precision_loss, reason = "features are some thousands")]
        let deviation = inputs::SPREAD / (features as f32).sqrt();
        Self {
            size,
            x: inputs::normal(0..of_x, 1.0),
            weights: inputs::normal(of_x..of_x + of_weights, deviation),
            bias: inputs::normal(of_x + of_weights..of_x + of_weights + of_bias, 1.0),
            labels: inputs::labels(size.shape()),
        }
    }

    /// The logits without a bias: `x W^T`.
    pub fn multiply(&self, logits: &mut [f32], threads: usize) {
        let Size { rows, classes, features } = self.size;
        let weights = Matrix::new(&self.weights, classes, features).transposed();
        product(Matrix::new(&self.x, rows, features), weights, logits, threads);
    }

    /// The gradients of `x` and of the weights, `G W` and `G^T x`, for a gradient `G` of the logits.
    pub fn multiply_back(&self, gradient: &[f32], of_x: &mut [f32], of_weights: &mut [f32], threads: usize) {
        let Size { rows, classes, features } = self.size;
        let gradient = Matrix::new(gradient, rows, classes);
        product(gradient, Matrix::new(&self.weights, classes, features), of_x, threads);
        product(gradient.transposed(), Matrix::new(&self.x, rows, features), of_weights, threads);
    }
}

/// A matrix that lies by rows, or by columns, or a part of one.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// From a row to the next, and from a column to the next.
    steps: [usize; 2],
}

impl<'a> Matrix<'a> {
    fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "a matrix of {rows} x {columns}");
        Self { values, rows, columns, steps: [columns, 1] }
    }

    fn transposed(self) -> Self {
        let [by_row, by_column] = self.steps;
        Self { rows: self.columns, columns: self.rows, steps: [by_column, by_row], ..self }
    }

    fn rows_from(self, first: usize, rows: usize) -> Self {
        assert!(first + rows <= self.rows);
        Self { values: &self.values[first * self.steps[0]..], rows, ..self }
    }
}

/// Where a product goes, by rows; threads write different parts of it.
#[derive(Clone, Copy)]
struct Target(*mut f32);

// SAFETY: whoever shares it sees to it that no part is written twice.
unsafe impl Sync for Target {}

/// `to = a b`, the longer side of the result cut into as many parts as there are threads.
fn product(a: Matrix<'_>, b: Matrix<'_>, to: &mut [f32], threads: usize) {
    assert!(a.columns == b.rows && to.len() == a.rows * b.columns, "matrices that fit");
    let by_rows = a.rows >= b.columns;
    let length = if by_rows { a.rows } else { b.columns };
    let share = length.div_ceil(threads);
    let (columns, target) = (b.columns, &Target(to.as_mut_ptr()));
    (0..length.div_ceil(share)).into_par_iter().for_each(|part| {
        let first = part * share;
        let count = share.min(length - first);
        let (a, b, offset) = if by_rows {
            (a.rows_from(first, count), b, first * columns)
        } else {
            (a, b.transposed().rows_from(first, count).transposed(), first)
        };
        let [[ra, ca], [rb, cb]] = [a.steps, b.steps].map(|steps| steps.map(usize::cast_signed));
        // SAFETY: both matrices lie within their slices, by rows or by columns, as their making has checked. The result
        // has the rows of one and the columns of the other, and each part of it is that of one thread.
        unsafe {
            let (to, apart) = (target.0.add(offset), columns.cast_signed());
            let (x, y) = (a.values.as_ptr(), b.values.as_ptr());
            matrixmultiply::sgemm(a.rows, a.columns, b.columns, 1.0, x, ra, ca, y, rb, cb, 0.0, to, apart, 1);
        }
    });
}
