//! Sixteen short rows in the lanes: one vector holds one class of each.
//!
//! A row that does not fill a few vectors spends its time on what there is one of for each row: reductions
//! across lanes, a logarithm. Turned around, a reduction is lane by lane, and all that follows is done for
//! sixteen rows at once.
//!
//! Identity: the order of additions is that of [`block_terms`](super::block::block_terms), where lane `l` adds
//! up the classes `l, l + 16, ...` and a tree adds up the lanes; hence the same bits. What that kernel adds for
//! the padding of its last vector is so small that it vanishes in f64.

use super::block::{bias, exponent_of};
use super::ends::{Ends, Unsure};
use super::epilogue::{CONSTANTS, Epilogue, Values};
use super::exp::{Exp, LARGEST_TERM, NEGLIGIBLE, reference_for};
use super::operation::{Row, Seen};
use super::place::{LabelRows, Place};
use super::residues::{add_up, tree_of};
use crate::element::Element;
use crate::simd::{LANES, Lanes, Simd, Wide};

/// Up to here rows go into the lanes. Beyond, turning them around costs more than it saves.
pub(crate) const MAX_CLASSES: usize = 96;

/// Fewer rows are quicker one by one.
pub(crate) const MIN_ROWS: usize = 4;

/// The memory of a tile, kept from one to the next. Classes are rounded up to squares.
#[derive(Default)]
pub(crate) struct Buffers {
    logits: Vec<[f32; LANES]>,
    terms: Vec<[f32; LANES]>,
    labels: Vec<[f32; LANES]>,
    /// Squares of rows.
    rows: Vec<[f32; LANES]>,
}

impl Buffers {
    pub(crate) const fn new() -> Self {
        Self { logits: Vec::new(), terms: Vec::new(), labels: Vec::new(), rows: Vec::new() }
    }
}

/// Sixteen rows, one in each lane.
pub(crate) struct Tile<'a, S: Simd> {
    simd: S,
    classes: usize,
    buffers: &'a mut Buffers,
}

impl<'a, S: Simd> Tile<'a, S> {
    #[inline(always)]
    pub(crate) fn new(simd: S, classes: usize, buffers: &'a mut Buffers) -> Self {
        // At least one vector more than there are classes, for results that nobody wants.
        let len = (classes + 1).next_multiple_of(LANES);
        for buffer in [&mut buffers.logits, &mut buffers.terms, &mut buffers.labels, &mut buffers.rows] {
            if buffer.len() < len {
                buffer.resize(len, [0.0; LANES]);
            }
        }
        Self { simd, classes, buffers }
    }

    /// Takes the logits of rows; lanes without a row of their own take after the first.
    #[inline(always)]
    pub(crate) fn load_logits<P: Place>(&mut self, place: &P, rows: &[Row]) {
        let Buffers { rows: squares, logits, .. } = &mut *self.buffers;
        place.to_lanes(self.simd, rows, squares, &mut logits[..self.classes.next_multiple_of(LANES)]);
    }

    /// Takes the dense labels of rows.
    #[inline(always)]
    pub(crate) fn load_labels(&mut self, from: LabelRows<'_>, rows: &[Row]) {
        let Buffers { rows: squares, labels, .. } = &mut *self.buffers;
        turn(self.simd, self.classes, rows, from.tail_at(rows[0].index), from.stride(), squares, labels);
    }

    /// Takes all dense labels for 0.
    pub(crate) fn clear_labels(&mut self) {
        self.buffers.labels[..self.classes].fill([0.0; LANES]);
    }

    #[inline(always)]
    fn logits(&self) -> &[[f32; LANES]] {
        &self.buffers.logits[..self.classes]
    }

    /// The largest logit of each row; NaN is passed over.
    #[inline(always)]
    pub(crate) fn max(&self) -> S::Lanes {
        let simd = self.simd;
        let mut max = [simd.splat(f32::NEG_INFINITY); 2];
        for (i, x) in self.logits().iter().enumerate() {
            max[i % 2] = simd.load(x).max(max[i % 2]);
        }
        max[0].max(max[1])
    }

    /// The class of each row whose logit is `max`, for rows that have one of them.
    #[inline(always)]
    pub(crate) fn class_of(&self, max: S::Lanes) -> [usize; LANES] {
        // 2^23: a class in the low bits of a number of this size is no conversion.
        const INTEGER: u32 = 8_388_608.0_f32.to_bits();
        let simd = self.simd;
        let mut classes = simd.splat(f32::from_bits(INTEGER));
        for (class, x) in (INTEGER..).zip(self.logits()) {
            classes = simd.load(x).where_equal(max, simd.splat(f32::from_bits(class)), classes);
        }
        classes.to_array().map(|class| (class.to_bits() - INTEGER) as usize)
    }

    /// Computes the terms of all rows, and their ends.
    #[inline(always)]
    pub(crate) fn ends(&mut self, max: S::Lanes) -> Ends<LANES> {
        let (mut ends, mut unsure) = (Ends::EMPTY, Unsure::NONE);
        let tops = self.simd.outline(
            #[inline(always)]
            || self.sums(max, &mut ends, &mut unsure),
        );
        // Of all rows at once, when the first asks for its own.
        let mut without_max = None;
        ends.resolve(
            &unsure,
            #[inline(always)]
            |i| {
                let rests = match without_max {
                    Some(rests) => rests,
                    None => self.simd.outline(
                        #[inline(always)]
                        || self.sums_without(tops),
                    ),
                };
                without_max = Some(rests);
                rests[i]
            },
        );
        ends
    }

    /// The ends of the rows, short of sums that must be taken again; gives the terms of the maxima.
    #[inline(always)]
    fn sums(&mut self, max: S::Lanes, ends: &mut Ends<LANES>, unsure: &mut Unsure<LANES>) -> S::Lanes {
        let simd = self.simd;
        let maxima = max.to_array();
        let (mut pivot, mut exponent) = ([0.0; LANES], [0.0; LANES]);
        for i in 0..LANES {
            (pivot[i], exponent[i]) = reference_for(maxima[i]);
        }
        let exp = Exp::per_lane(simd, simd.load(&pivot), simd.load(&exponent));
        let Buffers { logits, terms, .. } = &mut *self.buffers;
        let mut sums = add_up(
            simd,
            self.classes,
            simd.splat(bias(LARGEST_TERM)),
            #[inline(always)]
            |class| {
                let logits = [simd.load(&logits[class]), simd.load(&logits[class + 1])];
                let (p, scale) = exp.split_from_pivot(logits);
                (p[0] * scale[0]).store(&mut terms[class]);
                (p[1] * scale[1]).store(&mut terms[class + 1]);
                (p, scale)
            },
        );
        for i in 0..LANES {
            if maxima[i] == f32::NEG_INFINITY && !sums[i].is_nan() {
                // Logits that are all -inf leave their negligible terms, which are no sum.
                sums[i] = 0.0;
            }
        }
        if maxima.contains(&f32::INFINITY) {
            for i in 0..LANES {
                if maxima[i] == f32::INFINITY && !self.logits().iter().any(|x| x[i].is_nan()) {
                    sums[i] = f64::INFINITY;
                }
            }
        }
        let tops = exp.term(max);
        ends.max = maxima.map(f64::from);
        ends.pivot = pivot.map(f64::from);
        ends.exponent = exponent.map(f64::from);
        ends.sum = sums;
        ends.settle(&tops.widen().to_array(), unsure);
        tops
    }

    /// The sums of rows without their largest terms, which no other class has.
    #[inline(always)]
    fn sums_without(&mut self, tops: S::Lanes) -> [f64; LANES] {
        let simd = self.simd;
        let zero = simd.splat(0.0);
        let Buffers { terms, .. } = &mut *self.buffers;
        let mut max = simd.splat(f32::NEG_INFINITY);
        for term in &terms[..self.classes] {
            let term = simd.load(term);
            max = term.where_equal(tops, zero, term).max(max);
        }
        let max = max.to_array();
        let mut biases = [0.0; LANES];
        for (to, max) in biases.iter_mut().zip(max) {
            // Whatever it is for terms that are negligible: they are no sum.
            *to = bias(exponent_of(if max > NEGLIGIBLE { max } else { 1.0 }));
        }
        let one = simd.splat(1.0);
        let mut sums = add_up(
            simd,
            self.classes,
            simd.load(&biases),
            #[inline(always)]
            |class| {
                let (term, next) = (simd.load(&terms[class]), simd.load(&terms[class + 1]));
                ([term.where_equal(tops, zero, term), next.where_equal(tops, zero, next)], [one, one])
            },
        );
        for (sum, max) in sums.iter_mut().zip(max) {
            if max <= NEGLIGIBLE {
                *sum = 0.0;
            }
        }
        sums
    }

    /// What the dense labels add up to, and their distances from the maximum.
    #[inline(always)]
    pub(crate) fn weigh(&mut self, max: S::Lanes, seen: &mut [Seen; LANES]) {
        self.simd.outline(
            #[inline(always)]
            || self.weights(max, seen),
        );
    }

    #[inline(always)]
    fn weights(&mut self, max: S::Lanes, seen: &mut [Seen; LANES]) {
        let simd = self.simd;
        let Buffers { logits, labels, .. } = &mut *self.buffers;
        // Where there is none any finite origin will do: a label there makes the loss infinite.
        let origin = max.where_equal(simd.splat(f32::NEG_INFINITY), simd.splat(0.0), max).widen();
        let mass = tree_of(
            self.classes,
            #[inline(always)]
            |residue| {
                let mut sum = simd.wide_zero();
                for class in (residue..self.classes).step_by(LANES) {
                    sum = sum + simd.load(&labels[class]).widen();
                }
                sum
            },
        );
        let distance = tree_of(
            self.classes,
            #[inline(always)]
            |residue| {
                let mut sum = simd.wide_zero();
                for class in (residue..self.classes).step_by(LANES) {
                    let label = simd.load(&labels[class]);
                    // A label of 0 takes no part, also at a logit of -inf.
                    let logit = simd.load(&logits[class]).zero_where_zero(label);
                    sum = sum + label.widen() * (origin - logit.widen());
                }
                sum
            },
        );
        for (i, seen) in seen.iter_mut().enumerate() {
            *seen = Seen { mass: mass[i], distance: distance[i], ..Seen::NOTHING };
        }
    }

    /// Replaces the terms by an epilogue's results, given its constants for each row.
    #[inline(always)]
    pub(crate) fn apply<E: Epilogue>(&mut self, constants: &[[f32; LANES]; CONSTANTS]) {
        let simd = self.simd;
        simd.outline(
            #[inline(always)]
            || {
                // Not by `map`, which is not always inlined.
                let [a, b, c, d, e, f] = constants;
                let constants =
                    [simd.load(a), simd.load(b), simd.load(c), simd.load(d), simd.load(e), simd.load(f)];
                let Buffers { logits, terms, labels, .. } = &mut *self.buffers;
                for class in 0..self.classes {
                    let value = if E::READS == Values::Logits { &logits[class] } else { &terms[class] };
                    let label = simd.load(&labels[class]);
                    E::apply(simd, &constants, simd.load(value), label).store(&mut terms[class]);
                }
            },
        );
    }

    #[inline(always)]
    pub(crate) fn classes(&self) -> usize {
        self.classes
    }

    /// The logit of a class in a lane.
    #[inline(always)]
    pub(crate) fn logit(&self, class: usize, lane: usize) -> f64 {
        self.buffers.logits[class][lane].into()
    }

    /// The dense label of a class in a lane.
    #[inline(always)]
    pub(crate) fn label(&self, class: usize, lane: usize) -> f64 {
        self.buffers.labels[class][lane].into()
    }

    /// Replaces the result of a class in a lane.
    #[inline(always)]
    pub(crate) fn set_result(&mut self, class: usize, lane: usize, value: f32) {
        self.buffers.terms[class][lane] = value;
    }

    /// Writes the results of the rows.
    #[inline(always)]
    pub(crate) fn store<P: Place>(&mut self, place: &mut P, rows: &[Row]) {
        if place.store_lanes(self.simd, &self.buffers.terms[..self.classes], rows) {
            return;
        }
        self.simd.outline(
            #[inline(always)]
            || {
                let Buffers { terms, rows: turned, .. } = &mut *self.buffers;
                let squares = self.classes.div_ceil(LANES);
                let (from, to) = (terms.as_chunks().0, turned.as_chunks_mut().0);
                for (from, to) in from.iter().zip(&mut to[..squares]) {
                    self.simd.transpose(from, to);
                }
                let consecutive = rows[rows.len() - 1].index - rows[0].index == rows.len() - 1;
                for (i, row) in rows.iter().enumerate() {
                    let following = if consecutive { rows.len() - i } else { 1 };
                    for (s, square) in to[..squares].iter().enumerate() {
                        place.write(self.simd, row.index, s * LANES, following, &square[i]);
                    }
                }
            },
        );
    }
}

/// Turns rows into classes. `data` starts with the first of the rows, which lie `stride` values apart. What it
/// has behind a row ends up in the lanes behind its last class, which nobody looks at.
#[inline(always)]
pub(super) fn turn<S: Simd, E: Element>(
    simd: S,
    classes: usize,
    rows: &[Row],
    data: &[E],
    stride: usize,
    squares: &mut [[f32; LANES]],
    to: &mut [[f32; LANES]],
) {
    simd.outline(
        #[inline(always)]
        || {
            let squares = &mut squares.as_chunks_mut::<LANES>().0[..classes.div_ceil(LANES)];
            for (s, (square, to)) in squares.iter_mut().zip(to.as_chunks_mut().0).enumerate() {
                for (row, to) in rows.iter().zip(square.iter_mut()) {
                    let from = &data[(row.index - rows[0].index) * stride + s * LANES..];
                    // Whole vectors, because masks are slow; not at the end of the memory.
                    let lanes = match from.first_chunk() {
                        Some(all) => E::load(simd, all),
                        None => E::load_partial(simd, from),
                    };
                    lanes.store(to);
                }
                // Lanes without a row of their own take after the first.
                let (first, rest) = square.split_at_mut(1);
                for to in rest.iter_mut().skip(rows.len() - 1) {
                    *to = first[0];
                }
                simd.transpose(square, to);
            }
        },
    );
}
