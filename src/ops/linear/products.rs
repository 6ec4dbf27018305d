//! Products of matrices on several threads.

use crate::engine::parallel;
use crate::simd::LANES;
use crate::simd::gemm::{Matrix, MatrixMut, multiply};
use crate::views::rows::Execution;

/// Columns of a product that are made from a bias while they are in the cache.
pub(super) const COLUMNS: usize = 1024;

/// Multiplications that are worth another thread: what takes some 20 µs.
const WORTH_A_THREAD: usize = 1 << 20;

/// How many threads a product is worth that takes so many rows, columns and sums.
pub(super) fn threads(execution: Execution, shape: [usize; 3]) -> usize {
    let work = shape.into_iter().fold(1_usize, usize::saturating_mul);
    parallel::threads(execution, work / WORTH_A_THREAD)
}

/// One product: what it is made of, and where it goes.
pub(super) struct Product<'a> {
    pub(super) a: Matrix<'a>,
    pub(super) b: Matrix<'a>,
    pub(super) start: Start<'a>,
    pub(super) to: MatrixMut<'a>,
}

/// What a product is added to.
#[derive(Clone, Copy)]
pub(super) enum Start<'a> {
    Zero,
    /// What is there.
    There,
    /// One value for each column.
    Bias(&'a [f32]),
}

impl Product<'_> {
    /// Makes the product on as many threads as it is worth. Where it is cut changes no bit.
    pub(super) fn run(self, execution: Execution) {
        let (rows, columns) = (self.a.rows(), self.b.columns());
        let threads = threads(execution, [rows, columns, self.a.columns()]);
        // Twice as many as threads, so that none waits long for the last.
        let pieces = if threads == 1 { 1 } else { 2 * threads };
        let mut size = rows.max(columns).div_ceil(pieces).next_multiple_of(LANES);
        if matches!(self.start, Start::Bias(_)) {
            size = size.min(COLUMNS);
        }
        parallel::each(&mut self.cut(size), threads, &|piece: &mut Option<Product<'_>>| {
            if let Some(piece) = piece.take() {
                piece.make();
            }
        });
    }

    /// Cuts rows or columns, whichever are more, into pieces of a size; where there is a bias, columns.
    fn cut(self, size: usize) -> Vec<Option<Self>> {
        let Self { a, b, mut start, to } = self;
        let by_columns = matches!(start, Start::Bias(_)) || b.columns() > a.rows();
        // Columns are rows of the same product on its side.
        let (a, b, mut rest) =
            if by_columns { (b.transposed(), a.transposed(), to.transposed()) } else { (a, b, to) };
        let mut pieces = Vec::new();
        for first in (0..a.rows()).step_by(size) {
            let rows = size.min(a.rows() - first);
            let (to, others) = rest.split_at(rows);
            rest = others;
            let mut own = start;
            if let Start::Bias(bias) = start {
                let (first, others) = bias.split_at(rows);
                (own, start) = (Start::Bias(first), Start::Bias(others));
            }
            let (a, start) = (a.part(first..first + rows), own);
            pieces.push(Some(if by_columns {
                Self { a: b.transposed(), b: a.transposed(), start, to: to.transposed() }
            } else {
                Self { a, b, start, to }
            }));
        }
        pieces
    }

    fn make(self) {
        let Self { a, b, start, mut to } = self;
        if let Start::Bias(bias) = start {
            to.change(|_, column, _| bias[column]);
        }
        multiply(a, b, !matches!(start, Start::Zero), &mut to);
    }
}
