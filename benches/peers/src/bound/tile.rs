//! Rows of few classes, sixteen of them in the lanes: a tile is a vector for each class.
//!
//! Up to eight tiles go through one step after the other, so that the loads of a step never wait for the stores
//! of the step before it.

use super::Call;
use super::ends::{GRADIENT, Group, LOSS, SOFTMAX};
use super::lanes::Lanes;
use super::numbers::{Exp, Reference, Sum};

/// The most classes of any tile.
pub const MOST: usize = 128;
const TILES: usize = 8;
/// The room of a tile: with fewer than four classes some values more are moved.
const ROOM: usize = 16 * (MOST + 4);

#[repr(align(64))]
pub struct Scratch {
    tiles: [[f32; ROOM]; TILES],
    /// The partner of a tile that has none.
    spare: [f32; ROOM],
    /// The last rows, where a whole tile would be past the end.
    edge: [f32; ROOM],
    groups: [Group; TILES],
}

impl Scratch {
    pub fn new() -> Box<Self> {
        // SAFETY: arrays of zeros are values of all the fields, which are numbers and a `bool`.
        unsafe { Box::<Self>::new_zeroed().assume_init() }
    }
}

/// Loss, gradient or softmax of all rows of a call.
#[inline(always)]
pub unsafe fn run<L: Lanes, const OP: u8>(call: &Call, scratch: &mut Scratch) {
    // About as many logits as stay in L1, and an even number of tiles.
    let tiles = (256 / call.classes).clamp(2, TILES) & !1;
    let mut first = 0;
    while first < call.rows {
        let rows = (call.rows - first).min(16 * tiles);
        Step::<L, OP> { call, scratch, first, rows, lanes: core::marker::PhantomData }.run();
        first += rows;
    }
}

/// Some rows, from `first` on.
struct Step<'a, L, const OP: u8> {
    call: &'a Call,
    scratch: &'a mut Scratch,
    first: usize,
    rows: usize,
    lanes: core::marker::PhantomData<L>,
}

impl<L: Lanes, const OP: u8> Step<'_, L, OP> {
    #[inline(always)]
    unsafe fn run(&mut self) {
        let tiles = self.rows.div_ceil(16);
        for t in 0..tiles {
            self.read(t);
        }
        if OP != SOFTMAX {
            for t in 0..tiles {
                self.take_labels(t);
            }
        }
        for t in 0..tiles {
            self.refer(t);
        }
        for t in (0..tiles).step_by(2) {
            self.sum_two(t, t + 1 < tiles);
        }
        for t in 0..tiles {
            let losses = self.call.losses.wrapping_add(self.row(t));
            let rows = self.rows_of(t);
            self.scratch.groups[t].finish::<L, OP>(losses, rows);
        }
        if OP != LOSS {
            for t in 0..tiles {
                self.write(t);
            }
        }
        if OP == GRADIENT {
            for t in 0..tiles {
                self.write_labels(t);
            }
        }
    }

    /// The first row of a tile.
    #[inline(always)]
    fn row(&self, tile: usize) -> usize {
        self.first + 16 * tile
    }

    #[inline(always)]
    fn rows_of(&self, tile: usize) -> usize {
        (self.rows - 16 * tile).min(16)
    }

    /// Whether a tile can be moved where it is: rows of fewer than four classes take up to two values of what
    /// follows with them.
    #[inline(always)]
    fn is_whole(&self, tile: usize) -> bool {
        let end = self.row(tile) + 16;
        let exact = self.call.classes >= 4 || L::permutes(self.call.classes);
        end + usize::from(!exact) * 2 <= self.call.rows
    }

    #[inline(always)]
    unsafe fn read(&mut self, t: usize) {
        let classes = self.call.classes;
        let rows = self.call.logits.add(self.row(t) * classes);
        let to = self.scratch.tiles[t].as_mut_ptr();
        if self.is_whole(t) {
            L::to_lanes(rows, classes, classes, to);
            return;
        }
        let (width, count) = (classes.max(4), self.rows_of(t));
        let edge = self.scratch.edge.as_mut_ptr();
        for i in 0..16 {
            // The last row stands in for those that are not there.
            rows.add(i.min(count - 1) * classes).copy_to_nonoverlapping(edge.add(i * width), classes);
        }
        L::to_lanes(edge, width, classes, to);
    }

    /// Takes the label's logit out of each row.
    #[inline(always)]
    unsafe fn take_labels(&mut self, t: usize) {
        let labels = self.call.labels.add(self.row(t));
        let tile = self.scratch.tiles[t].as_mut_ptr();
        let to = &mut self.scratch.groups[t].at_label;
        let count = (self.rows - 16 * t).min(16);
        let place = |i: usize| tile.add(*labels.add(i) as usize * 16 + i);
        if count < 16 {
            *to = [0.0; 16];
            for i in 0..count {
                to[i] = place(i).replace(f32::NEG_INFINITY);
            }
            return;
        }
        // Four at a time, which go into one store.
        for (quarter, to) in to.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let places = [0, 1, 2, 3].map(|i| place(4 * quarter + i));
            *to = [*places[0], *places[1], *places[2], *places[3]];
            for place in places {
                *place = f32::NEG_INFINITY;
            }
        }
    }

    /// Chooses the references.
    #[inline(always)]
    unsafe fn refer(&mut self, t: usize) {
        let classes = self.call.classes;
        let tile = self.scratch.tiles[t].as_ptr();
        let mut max = [L::load(tile); 2];
        for class in (1..classes).step_by(2) {
            max[0] = L::max(L::load(tile.add(16 * class)), max[0]);
            // The last one may come twice.
            max[1] = L::max(L::load(tile.add(16 * (class + 1).min(classes - 1))), max[1]);
        }
        self.scratch.groups[t].refer::<L, OP>(L::max(max[0], max[1]), classes);
    }

    /// The terms of two tiles, in the place of the logits, and their sums. One tile alone is a chain of additions too
    /// long for the processor to fill its units beside it.
    #[inline(always)]
    unsafe fn sum_two(&mut self, t: usize, paired: bool) {
        let other = if paired { t + 1 } else { t };
        let Scratch { tiles, spare, groups, .. } = &mut *self.scratch;
        let tile = tiles[t].as_mut_ptr();
        let partner = if paired { tiles[t + 1].as_mut_ptr() } else { spare.as_mut_ptr() };
        let by = [&groups[t].reference(), &groups[other].reference()];
        let mut sums = [
            Sum::<L>::starting_with(L::load(groups[t].bias.as_ptr())),
            Sum::starting_with(L::load(groups[other].bias.as_ptr())),
        ];
        let places = [tile, partner];
        if groups[t].moderate & groups[other].moderate {
            sum_tiles::<L, OP, false>(places, self.call.classes, by, &mut sums);
        } else {
            sum_tiles::<L, OP, true>(places, self.call.classes, by, &mut sums);
        }
        if paired {
            save_sum(&mut groups[t + 1], sums[1]);
        }
        save_sum(&mut groups[t], sums[0]);
    }

    /// Terms times factors, where the results go.
    #[inline(always)]
    unsafe fn write(&mut self, t: usize) {
        let classes = self.call.classes;
        let out = self.call.results.add(self.row(t) * classes);
        let (tile, factor) = (self.scratch.tiles[t].as_ptr(), self.scratch.groups[t].factor::<L>());
        if self.is_whole(t) {
            L::from_lanes(tile, classes, out, classes, &factor);
            return;
        }
        let width = classes.max(4);
        let edge = self.scratch.edge.as_mut_ptr();
        L::from_lanes(tile, classes, edge, width, &factor);
        for i in 0..self.rows_of(t) {
            edge.add(i * width).copy_to_nonoverlapping(out.add(i * classes), classes);
        }
    }

    #[inline(always)]
    unsafe fn write_labels(&mut self, t: usize) {
        let row = self.row(t);
        let (labels, out) = (self.call.labels.add(row), self.call.results.add(row * self.call.classes));
        for i in 0..self.rows_of(t) {
            let class = *labels.add(i) as usize;
            *out.add(i * self.call.classes + class) = self.scratch.groups[t].gradient[i];
        }
    }
}

#[inline(always)]
unsafe fn save_sum<L: Lanes>(group: &mut Group, sum: Sum<L>) {
    L::store(group.sum[0].as_mut_ptr(), sum.high);
    L::store(group.sum[1].as_mut_ptr(), sum.low);
}

#[inline(always)]
unsafe fn sum_tiles<L: Lanes, const OP: u8, const PIVOT: bool>(
    tiles: [*mut f32; 2],
    classes: usize,
    by: [&Reference<L>; 2],
    sums: &mut [Sum<L>; 2],
) {
    let exp = Exp::<L>::new();
    let [mut a, mut b] = *sums;
    for class in 0..classes {
        let places = [tiles[0].add(16 * class), tiles[1].add(16 * class)];
        let [t, u] = exp.terms::<2, PIVOT>([L::load(places[0]), L::load(places[1])], by);
        if OP != LOSS {
            L::store(places[0], t);
            L::store(places[1], u);
        }
        a.add(t);
        b.add(u);
    }
    *sums = [a, b];
}
