//! Rows that are made in a worker's memory before they are read: mapped logits.
//!
//! A group of rows is copied and mapped where it stays in the cache, and is then read as any other rows are:
//! no operation, and no loop, knows what was done to its logits.

use super::flow::Move;
use super::map::Map;
use super::mixed::Spread;
use super::operation::Row;
use super::place::Place;
use super::share::narrow;
use super::weights::Weights;
use crate::element::Lanewise;
use crate::simd::{LANES, Simd};

/// The memory of a worker for rows that it makes, kept from one group to the next.
#[derive(Default)]
pub(crate) struct Buffers {
    pub(super) logits: Vec<f32>,
    /// What results are multiplied by.
    pub(super) factors: Vec<f32>,
    pub(super) labels: Vec<f32>,
}

impl Buffers {
    pub(crate) const fn new() -> Self {
        Self { logits: Vec::new(), factors: Vec::new(), labels: Vec::new() }
    }
}

/// What results are multiplied by once they are written.
#[derive(Clone, Copy)]
pub(crate) enum After<'a> {
    Nothing,
    /// The derivative of a soft cap.
    Slope,
    /// How much of a label counts: by its class, its row, and what smoothing leaves of it; 0 for classes that are masked.
    Labels(Weights<'a>, Spread),
}

impl After<'_> {
    fn split_at(self, row: usize) -> (Self, Self) {
        match self {
            Self::Labels(weights, spread) => {
                let (first, rest) = weights.split_at(row);
                (Self::Labels(first, spread), Self::Labels(rest, spread))
            }
            other => (other, other),
        }
    }
}

/// Logits that are mapped, with the place of their results.
pub(crate) struct Loaded<'a, P> {
    pub(crate) place: P,
    pub(crate) map: Map<'a>,
    pub(crate) after: After<'a>,
    logits: Vec<f32>,
    factors: Vec<f32>,
    /// The first row of the group.
    first: usize,
}

impl<'a, P: Place> Loaded<'a, P> {
    pub(crate) fn new(place: P, map: Map<'a>, after: After<'a>) -> Self {
        Self { place, map, after, logits: Vec::new(), factors: Vec::new(), first: 0 }
    }

    fn start(&self, row: usize) -> usize {
        (row - self.first) * self.place.classes()
    }

    /// Copies and maps a row.
    #[inline(always)]
    fn load_row(&mut self, row: usize) {
        let (start, classes) = (self.start(row), self.place.classes());
        let logits = &mut self.logits[start..start + classes];
        for (to, x) in logits.iter_mut().zip(self.place.logits(row)) {
            *to = x.to_f32();
        }
        let factors = match self.after {
            After::Nothing => &mut [],
            _ => &mut self.factors[start..start + classes],
        };
        let After::Labels(weights, spread) = self.after else {
            return self.map.apply(row, logits, factors);
        };
        self.map.apply(row, logits, &mut []);
        let (kept, _) = spread.shares(logits);
        for (class, factor) in factors.iter_mut().enumerate() {
            *factor = narrow(kept * weights.of(row, class));
        }
        self.map.mask.fill(row, factors, 0.0);
    }
}

impl<P: Place> Place for Loaded<'_, P> {
    type Element = f32;
    type Flow<'b>
        = Move<'b, f32>
    where
        Self: 'b;

    type Shares = P::Shares;
    type SharesAndLabels = P::SharesAndLabels;

    const WRITES: bool = P::WRITES;
    const LOADS: bool = true;

    fn rows(&self) -> usize {
        self.place.rows()
    }

    fn classes(&self) -> usize {
        self.place.classes()
    }

    fn stride(&self) -> usize {
        self.place.classes()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (map, other_map) = self.map.split_at(row, self.place.classes());
        let (place, other_place) = self.place.split_at(row);
        let (after, other_after) = self.after.split_at(row);
        (Self::new(place, map, after), Self::new(other_place, other_map, other_after))
    }

    fn exchange(&mut self, buffers: &mut Buffers) {
        core::mem::swap(&mut self.logits, &mut buffers.logits);
        core::mem::swap(&mut self.factors, &mut buffers.factors);
    }

    #[inline(always)]
    fn load<S: Simd>(&mut self, simd: S, first: usize, rows: &[Row]) {
        let Some(last) = rows.last() else { return };
        let len = (last.index - first + 1) * self.place.classes();
        if self.logits.len() < len {
            self.logits.resize(len, 0.0);
        }
        if !matches!(self.after, After::Nothing) && self.factors.len() < len {
            self.factors.resize(len, 0.0);
        }
        self.first = first;
        simd.outline(
            #[inline(always)]
            || {
                for row in rows {
                    self.load_row(row.index);
                }
            },
        );
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, rows: &[Row]) {
        if !P::WRITES || matches!(self.after, After::Nothing) {
            return;
        }
        simd.outline(
            #[inline(always)]
            || {
                for row in rows {
                    let factors = &self.factors[self.start(row.index)..];
                    for (result, factor) in self.place.results(row.index).iter_mut().zip(factors) {
                        // A class that is masked has no part in anything, also where its result is infinite.
                        *result = if *factor == 0.0 && !result.is_nan() { 0.0 } else { *result * factor };
                    }
                }
            },
        );
    }

    #[inline(always)]
    fn flow_before(&mut self, row: usize, other: Option<usize>) -> (Move<'_, f32>, &[f32]) {
        let classes = self.place.classes();
        let other = match other {
            Some(other) => &self.logits[self.start(other)..][..classes],
            None => &[],
        };
        (Move(&self.logits[self.start(row)..][..classes], self.place.results(row)), other)
    }

    #[inline(always)]
    fn logits(&self, row: usize) -> &[f32] {
        &self.logits[self.start(row)..][..self.place.classes()]
    }

    #[inline(always)]
    fn logits_from(&self, row: usize) -> &[f32] {
        &self.logits[self.start(row)..]
    }

    #[inline(always)]
    fn write<S: Simd>(&mut self, simd: S, row: usize, start: usize, following: usize, values: &[f32; LANES]) {
        self.place.write(simd, row, start, following, values);
    }

    #[inline(always)]
    fn results(&mut self, row: usize) -> &mut [f32] {
        self.place.results(row)
    }

    #[inline(always)]
    fn written(&self, row: usize) -> &[f32] {
        self.place.written(row)
    }
}
