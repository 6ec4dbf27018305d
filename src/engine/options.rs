//! What a call has beside its views.

use crate::Upstream;
use crate::kernels::group::{Group, LossSum};
use crate::numbers::factor::narrow_normal;
use crate::simd::LANES;
use super::call::Call;

/// How much of a label's mass goes to other classes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spread {
    pub(crate) mass: f64,
    pub(crate) others: bool,
}
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(crate) struct Map<'a> { pub(crate) m: Option<&'a [bool]> }
impl Map<'_> { pub(crate) fn split_at(self, _r: usize, _c: usize) -> (Self, Self) { (self, self) } }
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(crate) struct Weights<'a> { pub(crate) rows: Option<&'a [f32]> }
impl Weights<'_> { pub(crate) fn split_at(self, _r: usize) -> (Self, Self) { (self, self) } }
#[derive(Clone, Copy)]
pub(crate) struct Scale<'a> { pub(crate) upstream: Upstream<'a>, pub(crate) constant: f64 }
impl Scale<'_> { pub(crate) fn split_at(self, _r: usize) -> (Self, Self) { (self, self) } }
#[derive(Default)]
pub(crate) struct Outputs<'a> { pub(crate) losses: &'a mut [f32] }
impl Outputs<'_> { pub(crate) fn split_at(self, r: usize) -> (Self, Self) { let (a, b) = self.losses.split_at_mut(r.min(self.losses.len())); (Self { losses: a }, Self { losses: b }) } }
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Total { pub(crate) high: f64, pub(crate) low: f64 }
impl Total {
    pub(crate) fn of(sum: &LossSum) -> Self {
        let mut t = Self::default();
        for i in 0..LANES { t = t.plus(sum.high[i]).plus(sum.low[i]); }
        t
    }
    pub(crate) fn plus(self, value: f64) -> Self {
        let sum = self.high + value;
        let part = sum - self.high;
        Self { high: sum, low: self.low + ((self.high - (sum - part)) + (value - part)) }
    }
    pub(crate) fn merge(self, other: Self) -> Self { self.plus(other.high).plus(other.low) }
}
impl Call<'_> {
    pub(crate) fn collect(&self, first: usize, groups: &mut [Group]) -> (usize, usize) {
        let rows = self.rows();
        let (mut at, mut used) = (first, 0);
        for group in groups {
            if at >= rows { break; }
            at = self.collect_some(at, group, LANES);
            used += 1;
        }
        (used, at)
    }
    pub(crate) fn collect_some(&self, first: usize, group: &mut Group, at_once: usize) -> usize {
        let rows = self.rows();
        let len = (rows - first).min(at_once);
        if let Some(labels) = &self.labels { labels.classes(first, &mut group.labels[..len]); }
        for (i, row) in group.rows.iter_mut().enumerate() { *row = first + i; }
        if len != group.len {
            for i in 0..LANES { group.weight[i] = if i < len { 1.0 } else { 0.0 }; }
            group.len = len;
        }
        if len < LANES {
            for i in len..LANES { group.labels[i] = group.labels[0]; group.rows[i] = first; }
        }
        first + len
    }
    pub(crate) fn put_losses(&mut self, groups: &mut [Group]) {
        if self.outputs.losses.is_empty() { return; }
        for group in groups {
            let to = &mut self.outputs.losses[group.rows[0]..];
            if let (LANES, Some(to)) = (group.len, to.first_chunk_mut()) { *to = group.results; }
            else { to[..group.len].copy_from_slice(&group.results[..group.len]); }
        }
    }
}
