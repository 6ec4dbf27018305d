//! Groups of rows, from their logits to all that is asked for: read, settle, write.

mod care;
mod lines;
mod near;
mod read;

pub(super) use self::care::{Care, Tame};
pub(super) use self::lines::Lines;
pub(super) use self::read::{ENOUGH, take_saved};
use super::call::{Call, Source, Work};
use super::parallel::Join;
use super::scratch::Scratch;
use super::settle::{self, Masses};
use super::total::Total;
use super::{columns, few, into, long, stream};
use crate::kernels::classes::STEP;
use crate::kernels::gather::{Gather, Scatter};
use crate::kernels::group::{Group, LossSum, NO_LABEL, Special};
use crate::kernels::map::{Mask, Multiply};
use crate::kernels::rows::{PART, RowSum};
use crate::kernels::write::{Formula, WriteFrom, WriteRow, WriteRows};
use crate::simd::half::Half;
use crate::simd::{LANES, Token};

/// Up to so many classes rows go into the lanes: the order in which a row's terms are added depends on it.
pub(crate) const FEW: usize = 63;

/// Logits of a group whose terms are kept: these stay in the nearest cache until results are written.
pub(super) const NEAR: usize = 4096;

/// As [`NEAR`], where logits and results come from afar: each group waits for its first ones, so that there are few. (Terms lie in
/// the next cache then.)
const NEAR_FROM_AFAR: usize = 8192;

/// Logits of a group for which no room is needed: they are read again from the next cache, or their terms are where results go.
pub(super) const NEAR_LOGITS: usize = 4 * NEAR;

/// Results of so many values are not all in the nearer caches.
pub(super) const BEYOND_NEAR: usize = 1 << 18;

/// Runs a call, or a part of one, on this thread; where there is a `join`, long rows on several.
pub(crate) fn run(token: Token, call: &mut Call<'_>, scratch: &mut Scratch, join: Option<Join>) -> Total {
    let rows = call.inputs.rows();
    if rows == 0 {
        return Total::default();
    }
    if few::suits(call) {
        return few::run(token, call, scratch);
    }
    if stream::suits(token, call) && join.is_none() {
        return stream::run(token, call, scratch);
    }
    if columns::suits(call) && join.is_none() {
        return columns::run(token, call, scratch);
    }
    if into::suits(call) {
        return into::run(token, call, scratch, join);
    }
    let mut groups = Groups::new(token, call, join, scratch);
    let mut group = core::mem::take(&mut scratch.groups);
    group.resize_with(group.len().max(1), || Group::EMPTY);
    group[0].len = 0;
    let mut first = 0;
    while first < rows {
        first = call.collect(first, &mut group[0], groups.at_once);
        if group[0].len > 0 {
            groups.group(call, &mut group[0], scratch);
        }
    }
    scratch.groups = group;
    groups.give_back(scratch)
}

/// What all groups of a call have in common.
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub(super) struct Groups {
    pub(super) token: Token,
    pub(super) join: Option<Join>,
    pub(super) classes: usize,
    at_once: usize,
    /// From the terms of a row to those of the next.
    pub(super) stride: usize,
    /// Whether logits are copied before they are read: because of where they lie, or because they are mapped.
    pub(super) copies: bool,
    /// Of what type logits are that are widened as they are read.
    halves: Option<Half>,
    /// One row of them, of those that are read again as f32.
    pub(super) line: Vec<f32>,
    copies_labels: bool,
    /// Whether results are made elsewhere first.
    copies_results: bool,
    /// Whether results are multiplied by the slopes of a soft cap, or by what labels are made of.
    pub(super) slopes: bool,
    pub(super) writes: bool,
    pub(super) losses: LossSum,
    pub(super) tame: Tame,
    /// Whether `sums` are those of the group's rows, each read in one piece.
    pub(super) sums_are_whole: bool,
    /// How far the places of results are from the logits of a group's rows, where they are asked for before they are needed.
    ahead: [usize; LANES],
    /// How far from the results of a group's rows the logits are that are read after them.
    next: [usize; LANES],
    pub(super) sums: Vec<RowSum>,
    /// Of rows of few classes.
    tile: Vec<[f32; LANES]>,
    /// For a row that is read by itself.
    pub(super) spare: Vec<Group>,
}

impl Groups {
    pub(super) fn new(token: Token, call: &Call<'_>, join: Option<Join>, scratch: &mut Scratch) -> Self {
        let Scratch { sums, tiles, spare, .. } = scratch;
        sums.resize_with(LANES, || RowSum::EMPTY);
        let (inputs, classes) = (&call.inputs, call.inputs.classes());
        let writes = call.writes();
        let mut tile = Vec::new();
        if classes <= FEW {
            tile = core::mem::take(tiles);
            tile.resize(classes, [0.0; LANES]);
        }
        let slopes = writes && call.has_slopes();
        let source = inputs.logits.share();
        // Where all follows from sums.
        let halves = source.half_slices().filter(|_| classes > FEW && call.follows_from_sums());
        let copies = !source.are_slices() && halves.is_none() || !inputs.map.is_none() || slopes;
        let copies_results = writes && (!call.writes_slices() || slopes);
        let copies_labels = inputs.makes_labels() || inputs.dense.is_some_and(|dense| !dense.are_slices());
        // Neighbours in memory are read, and written, sixteen at a time.
        let columns = source.layout().class_step != 1
            || (writes && call.destination_step() != 1)
            || inputs.dense.is_some_and(|dense| dense.layout().class_step != 1);
        let at_once = if columns {
            LANES
        } else if inputs.work == Work::LogSoftmax && !copies {
            (NEAR_LOGITS / classes).clamp(1, LANES)
        } else if writes || copies || copies_labels {
            let far = call.all_rows.saturating_mul(classes) >= BEYOND_NEAR;
            (if far { NEAR_FROM_AFAR } else { NEAR } / classes).clamp(1, LANES)
        } else {
            LANES
        };
        Self {
            token,
            join,
            classes,
            at_once,
            stride: classes.next_multiple_of(STEP),
            halves,
            line: core::mem::take(&mut scratch.line),
            copies,
            copies_labels,
            copies_results,
            slopes,
            writes,
            losses: LossSum::EMPTY,
            tame: Tame::new(classes, scratch.care),
            sums_are_whole: join.is_none() && classes <= PART,
            ahead: [0; LANES],
            next: [0; LANES],
            sums: core::mem::take(sums),
            tile,
            spare: core::mem::take(spare),
        }
    }

    /// Gives buffers back, and the sum of all losses.
    pub(super) fn give_back(&mut self, scratch: &mut Scratch) -> Total {
        scratch.care = self.tame.care;
        scratch.sums = core::mem::take(&mut self.sums);
        if self.classes <= FEW {
            scratch.tiles = core::mem::take(&mut self.tile);
        }
        scratch.spare = core::mem::take(&mut self.spare);
        scratch.line = core::mem::take(&mut self.line);
        Total::of(&self.losses, LANES)
    }

    /// Reads, settles and writes one group.
    pub(super) fn group(&mut self, call: &mut Call<'_>, group: &mut Group, scratch: &mut Scratch) {
        let Scratch { terms, lines, labels, results, slopes, parts, masses, .. } = scratch;
        let terms = if self.writes { self.room_for_terms(call, group, terms) } else { &mut [][..] };
        let (inputs, room) = (&call.inputs, LANES * self.stride);
        if self.copies {
            make_room(lines, room);
            self.copy(inputs, group, lines, slopes);
        }
        if self.copies_labels {
            make_room(labels, room);
            if let Some(from) = inputs.dense {
                self.token.run(Gather { from, mask: Mask::None, group, to: labels, stride: self.stride });
            }
        }
        if self.copies_results {
            make_room(results, room);
        }
        let mut logits: [&[f32]; LANES] = [&[]; LANES];
        self.set_lines(inputs, group, lines, &mut logits);
        let mut uniform = false;
        if inputs.makes_labels() {
            masses.resize(LANES, Masses::default());
            uniform = settle::make_labels(self, call, group, &logits, labels, masses);
        }
        let halves = self.half_lines(inputs, group);
        let halves = halves.as_ref().map(|(half, lines)| (*half, &lines[..]));
        let label_lines = self.label_lines(inputs, group, labels);
        let label_lines = label_lines.as_ref().map(|lines| &lines[..]);
        let view = Lines { logits: &logits, columns: None, halves, labels: label_lines };
        if self.halves.is_none() && call.all_rows.saturating_mul(self.classes) >= BEYOND_NEAR {
            self.ask(inputs, call.results.as_ref(), group, &logits);
        }
        let of_logits = matches!(inputs.work, Work::LogSoftmax | Work::LabelGradient(_));
        if of_logits && self.classes <= FEW {
            settle::label_largest(self, group, &logits);
        }
        let keep = self.writes && !of_logits;
        let kept = if keep { &mut *terms } else { &mut [] };
        self.read(&call.outputs.sums, group, &view, kept, parts);
        settle::settle(self, inputs, &mut call.outputs, group, &view, masses);
        if !self.writes {
            return;
        }
        let formula = settle::formula(inputs, uniform);
        if self.write(call, group, formula, [terms, lines, labels], results) {
            return;
        }
        if self.slopes {
            for (i, line) in results.chunks_mut(self.stride).take(group.len).enumerate() {
                let (results, slopes) =
                    (&mut line[..self.classes], slopes[i * self.stride / LANES..].as_flattened());
                self.token.run(Multiply { results, slopes });
            }
        }
        if self.copies_results
            && let Some(to) = call.destination()
        {
            let (from, stride) = (&results[..], self.stride);
            self.token.run(Scatter { from, stride, group, to: to.reborrow() });
        }
    }

    /// Writes the results of a group, and tells whether they are where they belong, and not on their way.
    fn write(
        &self,
        call: &mut Call<'_>,
        group: &Group,
        formula: Formula,
        [terms, lines, labels]: [&[f32]; 3],
        results: &mut [f32],
    ) -> bool {
        let of_logits = matches!(formula, Formula::Logs | Formula::ScaledLogs);
        let dense = call.inputs.dense;
        let shared = match &call.inputs.logits {
            Source::Shared(values) => Some(*values),
            Source::Over(_) => None,
        };
        let Some(destination) = call.destination() else { return true };
        let mut destination = destination.reborrow();
        let narrows = destination.half_slices().is_some() && !self.slopes;
        let plain = formula == Formula::Scaled && (!self.copies_results || narrows) && self.join.is_none();
        if plain && !group.is_special() {
            let from = WriteFrom::Terms(terms, self.stride);
            self.token.run(WriteRows { group, from, results: destination, next: &self.next });
            return true;
        }
        if let (Formula::Logs, Some(values), false, false) =
            (formula, shared, self.copies, self.copies_results)
            && self.join.is_none()
            && !group.is_special()
        {
            let mut rows: [&[f32]; LANES] = [&[]; LANES];
            for (to, row) in rows.iter_mut().zip(group.rows).take(group.len) {
                *to = values.row(row);
            }
            let from = WriteFrom::Logits(&rows);
            self.token.run(WriteRows { group, from, results: destination, next: &self.next });
            return true;
        }
        let line = |i: usize| i * self.stride..i * self.stride + self.classes;
        for i in 0..group.len {
            let row = group.rows[i];
            let from = if !of_logits {
                Some(&terms[line(i)])
            } else if self.copies {
                Some(&lines[line(i)])
            } else {
                shared.map(|values| values.row(row))
            };
            let labels = if formula == Formula::TimesLogits {
                if self.copies { &lines[line(i)] } else { shared.map_or(&[][..], |values| values.row(row)) }
            } else if self.copies_labels {
                &labels[line(i)]
            } else {
                dense.map_or(&[][..], |dense| dense.row(row))
            };
            let to = if self.copies_results {
                &mut results[i * self.stride..][..self.classes]
            } else {
                destination.row_mut(row)
            };
            if group.special[i] != Special::No {
                settle::write_special(formula, group, i, from, labels, to);
                continue;
            }
            match self.join {
                Some(join) if group.len == 1 && from.is_some() => {
                    long::write(self.token, join, group, formula, from, labels, to);
                }
                _ => self.token.run(WriteRow { group, row: i, formula, from, labels, to }),
            }
            if group.labels[i] != NO_LABEL
                && let Some(to) = to.get_mut(group.labels[i])
            {
                *to = group.at_label[i];
            }
        }
        false
    }
}

/// Makes room for so many values, whatever they are.
pub(super) fn make_room(values: &mut Vec<f32>, len: usize) {
    if values.len() < len {
        values.resize(len, 0.0);
    }
}
