//! What servers and evaluations ask of rows of logits, as data: log-probabilities of some classes, ranks, the largest
//! logits, entropies. Each row is read once, a block at a time.

mod draw;
mod read;

use self::draw::Draw;
pub use self::draw::Truncation;
pub(crate) use self::draw::{Draws, PerRow};
use self::read::Row;
pub(super) use self::read::Run;
use super::options::set;
use super::parallel::{Cut, Join};
use super::rows::make_room;
use super::scratch::Scratch;
use super::total::Total;
use crate::kernels::gather::{Copy, Gather};
use crate::kernels::group::{Group, NO_LABEL};
use crate::kernels::map::{Map, MapLogits, Mask};
use crate::kernels::tokens::LeaveOut;
use crate::numbers::factor::{narrow, narrow_normal};
use crate::numbers::spread::Spread;
use crate::simd::half::Line;
use crate::simd::strided::Strided;
use crate::simd::{LANES, Token};
use crate::views::labels::RowLabels;

/// What stands for no class, and for the rank of a row that has none.
pub(crate) const NO_TOKEN: u32 = u32::MAX;

/// Classes whose log-probabilities are wanted: as many for each row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Named<'a> {
    pub(crate) ids: &'a [u32],
    /// How many there are for a row.
    pub(crate) count: usize,
    /// Whether each row has its own, rows × `count`.
    pub(crate) per_row: bool,
}

impl<'a> Named<'a> {
    fn row(&self, row: usize) -> &'a [u32] {
        let first = if self.per_row { row * self.count } else { 0 };
        &self.ids[first..][..self.count]
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (first, rest) = self.ids.split_at(if self.per_row { row * self.count } else { 0 });
        let all = if self.per_row { first } else { self.ids };
        (Self { ids: all, ..self }, Self { ids: rest, ..self })
    }
}

/// Defines where results go, each slice empty where it is not wanted: so many values per row.
macro_rules! outputs {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $ignored:expr,)+) => {
        /// Where results go.
        #[derive(Default)]
        pub(crate) struct Outputs<'a> {
            $($(#[$doc])* pub(crate) $name: &'a mut [$type],)+
        }

        impl Outputs<'_> {
            /// The outputs of the first `row` rows of `rows`, and the others.
            fn split_at(self, row: usize, rows: usize) -> (Self, Self) {
                $(let $name = self.$name.split_at_mut(self.$name.len() / rows * row);)+
                (Self { $($name: $name.0,)+ }, Self { $($name: $name.1,)+ })
            }

            /// Writes what a row has that is ignored.
            fn ignore(&mut self, row: usize, rows: usize) {
                $(let of_row = self.$name.len() / rows;
                self.$name[row * of_row..][..of_row].fill($ignored);)+
            }
        }
    };
}

outputs! {
    /// The log-probabilities of the chosen classes.
    chosen: f32 = 0.0,
    /// The same before they are rounded.
    exact: f64 = 0.0,
    above: u32 = 0,
    equal: u32 = 0,
    /// The classes of the largest logits, and their log-probabilities.
    top_ids: u32 = NO_TOKEN,
    top: f32 = f32::NEG_INFINITY,
    named: f32 = 0.0,
    entropy: f32 = 0.0,
    log_sum_exp: f32 = f32::NEG_INFINITY,
    argmax: u32 = NO_TOKEN,
    /// The classes that are drawn, and their log-probabilities.
    sample_ids: u32 = NO_TOKEN,
    samples: f32 = 0.0,
}

/// One call, or some of its rows.
pub(crate) struct TokenCall<'a> {
    pub(crate) logits: Strided<'a>,
    pub(crate) map: Map<'a>,
    /// One for each row, or none.
    pub(crate) temperatures: &'a [f32],
    /// The chosen classes.
    pub(crate) chosen: Option<RowLabels<'a>>,
    /// How many of the largest logits are wanted of each row.
    pub(crate) top: usize,
    pub(crate) named: Named<'a>,
    /// How a class of each row is drawn, if one is.
    pub(crate) draws: Option<Draws<'a>>,
    pub(crate) outputs: Outputs<'a>,
}

impl Cut for TokenCall<'_> {
    const CUTS_WITHIN_ROWS: bool = true;

    fn shape(&self) -> (usize, usize) {
        (self.logits.layout().rows, self.logits.layout().classes)
    }

    fn seam(&self, near: usize) -> Option<usize> {
        self.logits.layout().seam(near)
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (rows, classes) = self.shape();
        let Self { logits, map, temperatures, chosen, top, named, draws, outputs } = self;
        let (logits, other_logits) = (logits.part(0, row), logits.part(row, rows - row));
        let (map, other_map) = map.split_at(row, classes);
        let (temperatures, other_temperatures) = temperatures.split_at(row.min(temperatures.len()));
        let (chosen, other_chosen) = chosen.map(|chosen| chosen.split_at(row)).unzip();
        let (named, other_named) = named.split_at(row);
        let (draws, other_draws) = draws.map(|draws| draws.split_at(row)).unzip();
        let (outputs, other_outputs) = outputs.split_at(row, rows);
        (
            Self { logits, map, temperatures, chosen, top, named, draws, outputs },
            Self {
                logits: other_logits,
                map: other_map,
                temperatures: other_temperatures,
                chosen: other_chosen,
                top,
                named: other_named,
                draws: other_draws,
                outputs: other_outputs,
            },
        )
    }

    fn run(&mut self, token: Token, scratch: &mut Scratch, join: Option<Join>) -> Total {
        let (rows, classes) = self.shape();
        let columns = self.logits.layout().class_step != 1;
        for first in (0..rows).step_by(LANES) {
            let len = (rows - first).min(LANES);
            let mut chosen = [NO_LABEL; LANES];
            if let Some(labels) = &self.chosen {
                labels.classes(first, &mut chosen[..len]);
            }
            // Neighbours in memory are copied sixteen at a time.
            if columns {
                make_room(&mut scratch.lines, LANES * classes);
                let mut group = Group { len, ..Group::EMPTY };
                for (i, row) in group.rows.iter_mut().enumerate() {
                    *row = first + if i < len { i } else { 0 };
                }
                let to = &mut scratch.lines[..];
                let (mask, stride) = (self.map.mask, classes);
                token.run(Gather { from: self.logits, mask, group: &group, to, stride });
            }
            for (i, &chosen) in chosen[..len].iter().enumerate() {
                if self.chosen.is_some() && chosen == NO_LABEL {
                    self.outputs.ignore(first + i, rows);
                } else {
                    self.row(token, first + i, columns.then_some(i), chosen, scratch, join);
                }
            }
        }
        Total::default()
    }
}

impl TokenCall<'_> {
    /// Reads a row that lies where it is given, or in a line, and writes what is wanted of it.
    fn row(
        &mut self,
        token: Token,
        row: usize,
        line: Option<usize>,
        chosen: usize,
        scratch: &mut Scratch,
        join: Option<Join>,
    ) {
        let classes = self.logits.layout().classes;
        let Scratch { lines, results, runs, spreads, .. } = scratch;
        let masked = self.map.mask != Mask::None && line.is_none();
        if masked {
            // The logits of classes that take no part are -inf, as they are in lines.
            make_room(lines, classes);
            let mask = self.map.mask.row(row, classes);
            token.run(Copy { line: self.logits.line(row), mask, to: &mut lines[..classes] });
        }
        let given = match line {
            Some(line) => Line::F32(&lines[line * classes..][..classes]),
            None if masked => Line::F32(&lines[..classes]),
            None => self.logits.line(row),
        };
        let temperature = self.temperatures.get(row).map_or(1.0, |&temperature| f64::from(temperature));
        let map = Map { mask: Mask::None, scale: self.map.scale / temperature, ..self.map };
        let logits = if map.is_none() {
            None
        } else {
            let whole = classes.next_multiple_of(LANES);
            make_room(results, whole);
            let from = match given {
                Line::F32(values) => values,
                Line::Half(..) => {
                    token.run(Copy { line: given, mask: None, to: &mut results[..classes] });
                    &[]
                }
            };
            let logits = results[..whole].as_chunks_mut().0;
            token.run(MapLogits { map, from, logits, slopes: &mut [] });
            Some(&results[..classes])
        };
        let draw = self.draws.map(|draws| draws.of(row, classes));
        let wants = Row {
            token,
            given,
            logits,
            chosen: given.get(chosen).filter(|_| self.wants_ranks()).unwrap_or(f32::NAN),
            entropy: !self.outputs.entropy.is_empty(),
            stream: draw.and_then(Draw::of_all),
        };
        let top = draw.map_or(0, |draw| draw.wanted(classes)).max(self.top);
        let spread = wants.read(top, runs, spreads, join);
        let largest = self.settle(row, &wants, chosen, &spread, &mut runs[0]);
        if let Some(draw) = draw {
            self.draw(row, &wants, draw, largest, runs, spreads, join);
        }
    }

    fn wants_ranks(&self) -> bool {
        !(self.outputs.above.is_empty() && self.outputs.equal.is_empty())
    }

    /// Writes what is wanted of a row that has been read, and gives its largest logit, and the logarithm of what all terms
    /// are of that one's.
    fn settle(
        &mut self,
        row: usize,
        of: &Row<'_>,
        chosen: usize,
        spread: &Spread,
        run: &mut Run,
    ) -> (f32, f64) {
        let Self { outputs, named, top, .. } = self;
        let (class, rest) =
            of.token.run(LeaveOut { given: of.given, logits: of.logits, spread, room: &mut run.room });
        let (log, entropy) = spread.log_and_entropy(rest);
        let (mut max, mut argmax) = (spread.max, u32::try_from(class).unwrap_or(NO_TOKEN));
        if max == f32::NEG_INFINITY {
            argmax = NO_TOKEN;
        }
        let mut nan = None;
        if !(max.is_finite() && log.is_finite()) {
            // Where logits are +inf, sums of others are NaN, too.
            nan = of.logits.map_or(of.given, Line::F32).first_nan();
            if let Some(class) = nan {
                (max, argmax) = (f32::NAN, u32::try_from(class).unwrap_or(NO_TOKEN));
            }
        }
        let log = if max.is_finite() { log } else { f64::NAN };
        // Both parts are negative, or 0.
        let exact = |class: usize| 0.0 - ((f64::from(max) - f64::from(of.logit(class))) + log);
        let of_class = |class: usize| narrow_normal(exact(class));
        if chosen != NO_LABEL {
            set(outputs.chosen, row, of_class(chosen));
            set(outputs.exact, row, exact(chosen));
            let ranks = if nan.is_some() { [NO_TOKEN; 2] } else { [run.ranks.above, run.ranks.equal] };
            set(outputs.above, row, ranks[0]);
            set(outputs.equal, row, ranks[1]);
        }
        set(outputs.entropy, row, if log.is_nan() { f32::NAN } else { narrow_normal(entropy) });
        set(outputs.log_sum_exp, row, if max.is_finite() { narrow(f64::from(max) + log) } else { max });
        set(outputs.argmax, row, argmax);
        if named.count > 0 {
            let to = outputs.named[row * named.count..].iter_mut();
            for (to, id) in to.zip(named.row(row)) {
                *to = of_class(*id as usize);
            }
        }
        if *top > 0 {
            let ids = &mut outputs.top_ids[row * *top..][..*top];
            let logs = &mut outputs.top[row * *top..][..*top];
            ids.fill(NO_TOKEN);
            logs.fill(if log.is_nan() { f32::NAN } else { f32::NEG_INFINITY });
            if nan.is_none() {
                for ((id, to), class) in ids.iter_mut().zip(logs).zip(run.top.classes()) {
                    (*id, *to) = (class, of_class(class as usize));
                }
            }
        }
        (max, log)
    }
}
