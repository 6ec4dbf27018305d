//! Log-sum-exp: `ln sum_j e^(x_j)`.

use super::row::{Row, read_row};
use super::{Job, Scratch};
use crate::element::Element;
use crate::simd::Simd;
use crate::{LogSumExp, Rows};

pub(crate) struct LogSumExps<'a, E: Element, T> {
    pub(crate) logits: Rows<'a, E>,
    pub(crate) results: &'a mut [T],
}

impl<E: Element, T: From<Row> + Send> Job for LogSumExps<'_, E, T> {
    fn rows(&self) -> usize {
        self.logits.rows()
    }

    fn classes(&self) -> usize {
        self.logits.classes()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (logits, rest) = self.logits.split_at(row);
        let (results, other) = self.results.split_at_mut(row);
        (Self { logits, results }, Self { logits: rest, results: other })
    }

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S, scratch: &mut Scratch) {
        for (row, result) in self.results.iter_mut().enumerate() {
            *result = read_row(simd, self.logits.row_at(row), scratch).into();
        }
    }
}

/// The sum, not evaluated.
impl From<Row> for LogSumExp {
    #[inline(always)]
    fn from(row: Row) -> Self {
        row.sum
    }
}

/// The log-sum-exp.
impl From<Row> for f32 {
    #[inline(always)]
    fn from(row: Row) -> Self {
        row.log_sum_exp()
    }
}
