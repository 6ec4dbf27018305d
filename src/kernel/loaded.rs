//! Rows that are made in a worker's memory before they are read: mapped logits, and rows of any layout.
//!
//! A group of rows is copied and mapped where it stays in the cache, and is then read as any other rows are:
//! no operation, and no loop, knows what was done to its logits, or where they lie. Only where nothing is done to them
//! do a tile's go straight to the lanes, and its results straight back.

use super::across::{gather, make_room, to_lanes};
use super::flow::Move;
use super::lines::{LinesMut, Nowhere, Results};
use super::map::Map;
use super::mixed::Spread;
use super::operation::{GROUP, Row};
use super::place::Place;
use super::share::narrow;
use super::tile::turn;
use super::weights::Weights;
use crate::simd::strided::Strided;
use crate::simd::{LANES, Simd};
use crate::{Rows, RowsMut};

/// The memory of a worker for rows that it makes, kept from one group to the next.
#[derive(Default)]
pub(crate) struct Buffers {
    pub(super) logits: Vec<f32>,
    /// What results are multiplied by: in f64, where what is too small for an f32 is as exact as the rest.
    pub(super) factors: Vec<f64>,
    pub(super) labels: Vec<f32>,
    pub(super) results: Vec<f32>,
}

impl Buffers {
    pub(crate) const fn new() -> Self {
        Self { logits: Vec::new(), factors: Vec::new(), labels: Vec::new(), results: Vec::new() }
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

/// Logits of any layout, mapped, with the place of their results.
pub(crate) struct Loaded<'a, R> {
    /// None where the results overwrite them.
    source: Option<Strided<'a, f32>>,
    results: R,
    pub(crate) map: Map<'a>,
    after: After<'a>,
    logits: Vec<f32>,
    factors: Vec<f64>,
    /// The first row of the group.
    first: usize,
    /// Rows and classes.
    shape: (usize, usize),
}

impl<'a> Loaded<'a, Nowhere> {
    /// Logits alone.
    pub(crate) fn read_only(logits: Rows<'a>) -> Self {
        Self::new(Some(logits.values()), Nowhere, (logits.rows(), logits.classes()))
    }
}

impl<'a> Loaded<'a, LinesMut<'a>> {
    /// Logits, and results of the same shape elsewhere.
    pub(crate) fn out_of_place(logits: Rows<'a>, results: RowsMut<'a>) -> Self {
        let results = LinesMut::new(results.into_values());
        Self::new(Some(logits.values()), results, (logits.rows(), logits.classes()))
    }

    /// Logits that the results overwrite.
    pub(crate) fn in_place(logits: RowsMut<'a>) -> Self {
        let shape = (logits.rows(), logits.classes());
        Self::new(None, LinesMut::new(logits.into_values()), shape)
    }
}

impl<'a, R: Results<'a>> Loaded<'a, R> {
    fn new(source: Option<Strided<'a, f32>>, results: R, shape: (usize, usize)) -> Self {
        let (logits, factors) = (Vec::new(), Vec::new());
        Self { source, results, map: Map::default(), after: After::Nothing, logits, factors, first: 0, shape }
    }

    /// The same with logits that are mapped.
    pub(crate) fn mapped(self, map: Map<'a>, after: After<'a>) -> Self {
        Self { map, after, ..self }
    }

    /// Where logits come from.
    #[inline(always)]
    fn source(&self) -> Option<Strided<'_, f32>> {
        match &self.source {
            Some(source) => Some(*source),
            None => self.results.lines().map(LinesMut::values),
        }
    }

    fn start(&self, row: usize) -> usize {
        (row - self.first) * self.shape.1
    }

    /// Whether results are written as slices where they belong, so that nothing is left to be done.
    #[inline(always)]
    fn writes_slices(&self) -> bool {
        self.results.lines().is_none_or(LinesMut::are_slices)
    }

    /// Maps a row that was copied.
    #[inline(always)]
    fn map_row(&mut self, row: usize) {
        let (start, classes) = (self.start(row), self.shape.1);
        let logits = &mut self.logits[start..start + classes];
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
            *factor = kept * weights.of(row, class);
        }
        self.map.mask.fill(row, factors, 0.0);
    }

    /// Multiplies the results of a row by its factors.
    #[inline(always)]
    fn multiply(&mut self, row: usize) {
        let start = self.start(row);
        let Some(lines) = self.results.lines_mut() else { return };
        for (result, factor) in lines.row_mut(row).iter_mut().zip(&self.factors[start..]) {
            // A class that is masked has no part in anything, also where its result is infinite.
            *result =
                if *factor == 0.0 && !result.is_nan() { 0.0 } else { narrow(f64::from(*result) * factor) };
        }
    }
}

impl<'a, R: Results<'a>> Place for Loaded<'a, R> {
    type Element = f32;
    type Flow<'b>
        = Move<'b, f32>
    where
        Self: 'b;

    type Shares = R::Shares;
    type SharesAndLabels = R::SharesAndLabels;

    const WRITES: bool = R::WRITES;
    const LOADS: bool = true;

    fn rows(&self) -> usize {
        self.shape.0
    }

    fn classes(&self) -> usize {
        self.shape.1
    }

    fn stride(&self) -> usize {
        self.shape.1
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (rows, classes) = self.shape;
        let (map, other_map) = self.map.split_at(row, classes);
        let (after, other_after) = self.after.split_at(row);
        let (results, other_results) = self.results.split_at(row);
        let source = self.source.map(|source| source.part(0, row));
        let other_source = self.source.map(|source| source.part(row, rows - row));
        (
            Self::new(source, results, (row, classes)).mapped(map, after),
            Self::new(other_source, other_results, (rows - row, classes)).mapped(other_map, other_after),
        )
    }

    fn seam(&self, near: usize) -> Option<usize> {
        let of_source = self.source.and_then(|source| source.layout().seam(near));
        of_source.or_else(|| self.results.lines().and_then(|lines| lines.seam(near)))
    }

    fn exchange(&mut self, buffers: &mut Buffers) {
        core::mem::swap(&mut self.logits, &mut buffers.logits);
        core::mem::swap(&mut self.factors, &mut buffers.factors);
        if let Some(lines) = self.results.lines_mut() {
            lines.exchange(&mut buffers.results);
        }
    }

    #[inline(always)]
    fn is_direct(&self) -> bool {
        matches!(self.after, After::Nothing) && self.map == Map::default()
    }

    /// As many rows as one vector has of each class, as long as they stay in the cache: that is how they are read.
    #[inline(always)]
    fn group(&self) -> usize {
        const LOGITS: usize = 128 * 1024;
        let across = |strided: Strided<'_, f32>| strided.layout().class_stride != 1;
        if self.source().is_some_and(across) || !self.writes_slices() {
            (LOGITS / self.shape.1).clamp(4, GROUP)
        } else {
            1
        }
    }

    #[inline(always)]
    fn load<S: Simd>(&mut self, simd: S, first: usize, rows: &[Row]) {
        let Some(last) = rows.last() else { return };
        let len = (last.index - first + 1) * self.shape.1;
        self.first = first;
        make_room(&mut self.logits, len);
        if !matches!(self.after, After::Nothing) {
            make_room(&mut self.factors, len);
        }
        if let Some(lines) = self.results.lines_mut() {
            lines.load(first, rows);
        }
        // Taken out, because logits may be where results go.
        let mut logits = core::mem::take(&mut self.logits);
        if let Some(source) = self.source() {
            simd.outline(
                #[inline(always)]
                || gather(simd, &source, first, rows, &mut logits),
            );
        }
        self.logits = logits;
        if self.map == Map::default() && matches!(self.after, After::Nothing) {
            return;
        }
        simd.outline(
            #[inline(always)]
            || {
                for row in rows {
                    self.map_row(row.index);
                }
            },
        );
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, rows: &[Row], tiled: bool) {
        if !R::WRITES {
            return;
        }
        let plain = matches!(self.after, After::Nothing);
        if !plain {
            simd.outline(
                #[inline(always)]
                || {
                    for row in rows {
                        self.multiply(row.index);
                    }
                },
            );
        }
        // A tile has written its results where they belong.
        if let Some(lines) = self.results.lines_mut()
            && !(plain && tiled)
        {
            lines.store(simd, rows);
        }
    }

    fn clear(&mut self, row: usize) {
        if let Some(lines) = self.results.lines_mut() {
            lines.fill(row, 0.0);
        }
    }

    #[inline(always)]
    fn to_lanes<S: Simd>(
        &self,
        simd: S,
        rows: &[Row],
        squares: &mut [[f32; LANES]],
        to: &mut [[f32; LANES]],
    ) {
        match self.source() {
            Some(source) if self.is_direct() => simd.outline(
                #[inline(always)]
                || to_lanes(simd, &source, rows, 0, to),
            ),
            _ => {
                let data = &self.logits[self.start(rows[0].index)..];
                turn(simd, self.shape.1, rows, data, self.shape.1, squares, to);
            }
        }
    }

    #[inline(always)]
    fn store_lanes<S: Simd>(&mut self, simd: S, from: &[[f32; LANES]], rows: &[Row]) -> bool {
        match self.results.lines_mut() {
            Some(lines) if matches!(self.after, After::Nothing) && !lines.are_slices() => {
                lines.store_lanes(simd, from, rows);
                true
            }
            _ => false,
        }
    }

    #[inline(always)]
    fn flow_before(&mut self, row: usize, other: Option<usize>) -> (Move<'_, f32>, &[f32]) {
        let classes = self.shape.1;
        let start = self.start(row);
        let other = match other {
            Some(other) => &self.logits[self.start(other)..][..classes],
            None => &[],
        };
        let results = match self.results.lines_mut() {
            Some(lines) => lines.row_mut(row),
            None => &mut [],
        };
        (Move(&self.logits[start..][..classes], results), other)
    }

    #[inline(always)]
    fn logits(&self, row: usize) -> &[f32] {
        &self.logits[self.start(row)..][..self.shape.1]
    }

    #[inline(always)]
    fn logits_from(&self, row: usize) -> &[f32] {
        &self.logits[self.start(row)..]
    }

    #[inline(always)]
    fn write<S: Simd>(&mut self, simd: S, row: usize, start: usize, following: usize, values: &[f32; LANES]) {
        if let Some(lines) = self.results.lines_mut() {
            lines.write(simd, row, start, following, values);
        }
    }

    #[inline(always)]
    fn results(&mut self, row: usize) -> &mut [f32] {
        match self.results.lines_mut() {
            Some(lines) => lines.row_mut(row),
            None => &mut [],
        }
    }

    #[inline(always)]
    fn written(&self, row: usize) -> &[f32] {
        match self.results.lines() {
            Some(lines) => lines.row(row),
            None => &[],
        }
    }
}
