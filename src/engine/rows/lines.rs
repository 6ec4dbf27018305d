//! The logits of a group's rows: where they lie, or copied and mapped, as f32 or as 16 bits.

use super::{Groups, make_room};
use crate::engine::call::{Inputs, Work};
use crate::kernels::columns::ColumnSums;
use crate::kernels::gather::{Copy, Gather};
use crate::kernels::group::Group;
use crate::kernels::map::{MapLogits, Mask};
use crate::simd::LANES;
use crate::simd::half::{Half, Line, LineRows};

/// The logits, and labels that are distributions, of a group's rows.
pub(in crate::engine) struct Lines<'a> {
    /// Empty where they are read as halves, or as columns.
    pub(in crate::engine) logits: &'a [&'a [f32]],
    /// Where they are read as columns: a tile of them, if there is one, and its sums.
    pub(in crate::engine) columns: Option<(&'a [[f32; LANES]], &'a ColumnSums)>,
    pub(in crate::engine) halves: Option<(Half, &'a [&'a [u16]])>,
    pub(in crate::engine) labels: Option<&'a [&'a [f32]]>,
}

impl Lines<'_> {
    pub(in crate::engine) const EMPTY: Self =
        Self { logits: &[&[] as &[f32]; LANES], columns: None, halves: None, labels: None };

    /// The logits of some rows.
    pub(in crate::engine) fn rows(&self, rows: core::ops::Range<usize>) -> LineRows<'_> {
        match self.halves {
            None => LineRows::F32(&self.logits[rows]),
            Some((half, all)) => LineRows::Half(half, &all[rows]),
        }
    }

    /// The logits of a row.
    pub(in crate::engine) fn line(&self, row: usize) -> Line<'_> {
        self.rows(row..row + 1).line(0)
    }
}

impl Groups {
    /// Copies the logits of a group's rows, and maps them.
    pub(in crate::engine) fn copy(
        &self,
        inputs: &Inputs<'_>,
        group: &Group,
        lines: &mut [f32],
        slopes: &mut Vec<[f64; LANES]>,
    ) {
        let (source, stride, map, classes) = (inputs.logits.share(), self.stride, inputs.map, self.classes);
        // Mapped in one pass where they follow each other.
        let follow = map.makes_ties() && map.mask == Mask::None && source.are_slices();
        if !follow {
            self.token.run(Gather { from: source, mask: map.mask, group, to: lines, stride });
        }
        if !map.makes_ties() && !self.slopes {
            return;
        }
        if self.slopes {
            slopes.resize(stride, [0.0; LANES]);
        }
        let of_labels = matches!(inputs.work, Work::LabelGradient(_));
        for (i, line) in lines.chunks_mut(stride).take(group.len).enumerate() {
            let (row, logits) = (group.rows[i], &mut line.as_chunks_mut().0[..classes.div_ceil(LANES)]);
            let own = if self.slopes { &mut slopes[i * stride / LANES..] } else { &mut [] };
            let slopes = if of_labels { &mut [] } else { &mut *own };
            if map.makes_ties() {
                let from = if follow { source.row(row) } else { &[] };
                self.token.run(MapLogits { map, from, logits, slopes });
            }
            if of_labels {
                inputs.label_slopes(row, &line[..classes], &mut own.as_flattened_mut()[..classes]);
            }
        }
    }

    /// Where the logits of a group's rows are. (An array that is given back is copied, and the copy waits for what was just stored.)
    pub(in crate::engine) fn set_lines<'b>(
        &self,
        inputs: &'b Inputs<'_>,
        group: &Group,
        lines: &'b [f32],
        to: &mut [&'b [f32]; LANES],
    ) {
        let source = inputs.logits.share();
        if self.halves.is_some() {
            return;
        }
        for (i, to) in to.iter_mut().take(group.len).enumerate() {
            *to = if self.copies {
                &lines[i * self.stride..][..self.classes]
            } else {
                source.row(group.rows[i])
            };
        }
    }

    pub(super) fn label_lines<'b>(
        &self,
        inputs: &'b Inputs<'_>,
        group: &Group,
        labels: &'b [f32],
    ) -> Option<[&'b [f32]; LANES]> {
        let given = inputs.dense.filter(|_| !self.copies_labels);
        if given.is_none() && !self.copies_labels {
            return None;
        }
        let mut lines: [&[f32]; LANES] = [&[]; LANES];
        for (i, to) in lines.iter_mut().take(group.len).enumerate() {
            *to = if self.copies_labels {
                &labels[i * self.stride..][..self.classes]
            } else {
                given?.row(group.rows[i])
            };
        }
        Some(lines)
    }

    /// A row as f32: where it lies, or in the room.
    fn floats<'b>(&self, line: Line<'b>, room: &'b mut Vec<f32>) -> &'b [f32] {
        match line {
            Line::F32(values) => values,
            Line::Half(..) => {
                make_room(room, line.len());
                self.token.run(Copy { line, mask: None, to: &mut room[..line.len()] });
                &room[..line.len()]
            }
        }
    }

    /// A row of a group as f32: where it lies, or in the room, also where rows are read as columns.
    pub(in crate::engine) fn row<'b>(
        &self,
        inputs: &Inputs<'_>,
        group: &Group,
        i: usize,
        lines: &'b Lines<'_>,
        room: &'b mut Vec<f32>,
    ) -> &'b [f32] {
        if lines.columns.is_none() {
            return self.floats(lines.line(i), room);
        }
        let source = inputs.logits.share();
        room.clear();
        room.extend((0..self.classes).map(|class| source.get(group.rows[i], class)));
        room
    }

    pub(super) fn half_lines<'b>(
        &self,
        inputs: &'b Inputs<'_>,
        group: &Group,
    ) -> Option<(Half, [&'b [u16]; LANES])> {
        let (half, source) = (self.halves?, inputs.logits.share());
        let mut lines: [&[u16]; LANES] = [&[]; LANES];
        for (to, row) in lines.iter_mut().zip(&group.rows[..group.len]) {
            if let Line::Half(_, bits) = source.line(*row) {
                *to = bits;
            }
        }
        Some((half, lines))
    }
}
