//! Sixteen rows of few classes, on their way into the lanes and back.
#![allow(unsafe_code, reason = "rows are reached by a pointer that was checked once, when the tile was made")]

use core::marker::PhantomData;

use super::LANES;

/// Sixteen rows at one stride, whose classes follow each other.
pub(crate) struct TileRows<'a> {
    /// The first. From each on `classes` values may be read as long as the borrow lives.
    first: *const f32,
    stride: usize,
    classes: usize,
    borrow: PhantomData<&'a [f32]>,
}

/// As [`TileRows`], to be written.
pub(crate) struct TileRowsMut<'a> {
    first: *mut f32,
    stride: usize,
    classes: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

impl<'a> TileRows<'a> {
    /// Some classes of sixteen lines, `stride` apart.
    #[inline(always)]
    pub(crate) fn of_lines(lines: &'a [f32], stride: usize, class: usize, classes: usize) -> Self {
        assert!(class + classes <= stride && lines.len() >= LANES * stride, "sixteen lines");
        // SAFETY: each line has these classes.
        unsafe { Self::new(lines.as_ptr().add(class), stride, classes) }
    }

    /// # Safety
    ///
    /// From each of sixteen pointers, `stride` apart, `classes` values can be read as long as the borrow lives.
    #[inline(always)]
    pub(super) const unsafe fn new(first: *const f32, stride: usize, classes: usize) -> Self {
        Self { first, stride, classes, borrow: PhantomData }
    }

    #[inline(always)]
    pub(super) const fn classes(&self) -> usize {
        self.classes
    }

    /// Where some classes of a row are: `len` of them from `class` on.
    #[inline(always)]
    pub(super) fn chunk(&self, row: usize, class: usize, len: usize) -> *const f32 {
        debug_assert!(class + len <= self.classes && row < LANES, "classes of the row");
        self.first.wrapping_add(row * self.stride + class)
    }

    /// Value by value; rows of up to three classes that follow each other without a gap as a whole.
    #[inline(always)]
    pub(super) fn turn_in(&self, to: &mut [[f32; LANES]]) {
        assert!(to.len() == self.classes, "one array per class");
        match to {
            [_] if self.stride == 1 => self.untangle::<1>(to),
            [_, _] if self.stride == 2 => self.untangle::<2>(to),
            [_, _, _] if self.stride == 3 => self.untangle::<3>(to),
            _ => {
                for (class, to) in to.iter_mut().enumerate() {
                    for (row, to) in to.iter_mut().enumerate() {
                        // SAFETY: the row has this class.
                        *to = unsafe { *self.chunk(row, class, 1) };
                    }
                }
            }
        }
    }

    /// Rows without a gap, of a number of classes that the compiler knows shuffles for.
    #[inline(always)]
    fn untangle<const CLASSES: usize>(&self, to: &mut [[f32; LANES]]) {
        assert!(self.classes == CLASSES && self.stride == CLASSES, "no gap");
        // SAFETY: sixteen rows of so many classes follow each other.
        let rows = unsafe { &*self.first.cast::<[[f32; CLASSES]; LANES]>() };
        for (class, to) in to.iter_mut().enumerate().take(CLASSES) {
            for (to, row) in to.iter_mut().zip(rows) {
                *to = row[class];
            }
        }
    }
}

impl<'a> TileRowsMut<'a> {
    /// As [`TileRows::of_lines`].
    #[inline(always)]
    pub(crate) fn of_lines(lines: &'a mut [f32], stride: usize, class: usize, classes: usize) -> Self {
        assert!(class + classes <= stride && lines.len() >= LANES * stride, "sixteen lines");
        // SAFETY: each line has these classes, and they are nobody else's.
        unsafe { Self::new(lines.as_mut_ptr().add(class), stride, classes) }
    }

    /// # Safety
    ///
    /// From each of sixteen pointers, `stride` apart, `classes` values can be written, and nobody else uses them, as long as
    /// the borrow lives.
    #[inline(always)]
    pub(super) const unsafe fn new(first: *mut f32, stride: usize, classes: usize) -> Self {
        Self { first, stride, classes, borrow: PhantomData }
    }

    #[inline(always)]
    pub(super) const fn classes(&self) -> usize {
        self.classes
    }

    /// As [`TileRows::chunk`].
    #[inline(always)]
    pub(super) fn chunk(&mut self, row: usize, class: usize, len: usize) -> *mut f32 {
        debug_assert!(class + len <= self.classes && row < LANES, "classes of the row");
        self.first.wrapping_add(row * self.stride + class)
    }

    /// As [`TileRows::turn_in`].
    #[inline(always)]
    pub(super) fn turn_out(&mut self, from: &[[f32; LANES]]) {
        assert!(from.len() == self.classes, "one array per class");
        match from {
            [_] if self.stride == 1 => self.entangle::<1>(from),
            [_, _] if self.stride == 2 => self.entangle::<2>(from),
            [_, _, _] if self.stride == 3 => self.entangle::<3>(from),
            _ => {
                for (class, from) in from.iter().enumerate() {
                    for (row, from) in from.iter().enumerate() {
                        // SAFETY: the row has this class.
                        unsafe { *self.chunk(row, class, 1) = *from };
                    }
                }
            }
        }
    }

    /// As [`TileRows::untangle`].
    #[inline(always)]
    fn entangle<const CLASSES: usize>(&mut self, from: &[[f32; LANES]]) {
        assert!(self.classes == CLASSES && self.stride == CLASSES && from.len() == CLASSES, "no gap");
        // SAFETY: sixteen rows of so many classes follow each other, and are nobody else's.
        let rows = unsafe { &mut *self.first.cast::<[[f32; CLASSES]; LANES]>() };
        for (row, to) in rows.iter_mut().enumerate() {
            for (class, to) in to.iter_mut().enumerate() {
                *to = from[class][row];
            }
        }
    }
}

/// Calls `four` with the first class of runs of four, the last of which may overlap the one before it: together they
/// cover all of at least four classes.
#[inline(always)]
pub(super) fn for_fours(classes: usize, mut four: impl FnMut(usize)) {
    let mut at = 0;
    loop {
        four(at);
        at += 4;
        if at >= classes {
            return;
        }
        at = at.min(classes - 4);
    }
}
