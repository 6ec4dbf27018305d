//! Where a kernel reads logits and writes results: nowhere, elsewhere, or over the logits.
//!
//! A kernel is written once against [`Flow`]. A flow is one row or one block of it; it comes apart into
//! quads of 64 logits and a tail, so that the inner loops see arrays of known length.

use crate::element::Element;
use crate::simd::{LANES, Lanes, Simd};

/// Logits of a quad: four vectors, the unit in which terms are added.
pub(crate) const QUAD: usize = 4 * LANES;

/// A run of logits with the place of their results.
pub(crate) trait Flow: Send + Sized {
    type Element: Element;
    type Quad: Slots<Element = Self::Element>;
    type Tail: Slots<Element = Self::Element>;

    fn logits(&self) -> &[Self::Element];
    /// The full quads in order, and what is left.
    fn quads(self) -> (impl ExactSizeIterator<Item = Self::Quad>, Self::Tail);
    /// The first `at` logits and the others.
    fn split_at(self, at: usize) -> (Self, Self);
    /// Runs of `len` logits, the last one shorter.
    fn blocks(self, len: usize) -> impl ExactSizeIterator<Item = Self>;
}

/// Up to four vectors of a flow.
pub(crate) trait Slots {
    type Element: Element;

    /// How many vectors there are; the last may be partial.
    fn vectors(&self) -> usize;
    fn load<S: Simd>(&self, simd: S, vector: usize) -> S::Lanes;
    fn store<L: Lanes>(&mut self, vector: usize, lanes: L);
}

/// Logits that are only read.
#[derive(Clone, Copy)]
pub(crate) struct Read<'a, E>(pub(crate) &'a [E]);

/// Logits that are read in one place, and results written to another. Both have one length.
pub(crate) struct Move<'a, E>(pub(crate) &'a [E], pub(crate) &'a mut [f32]);

/// Logits that are overwritten.
pub(crate) struct Update<'a>(pub(crate) &'a mut [f32]);

pub(crate) struct ReadQuad<'a, E>(&'a [[E; LANES]; 4]);
pub(crate) struct MoveQuad<'a, E>(&'a [[E; LANES]; 4], &'a mut [[f32; LANES]; 4]);
pub(crate) struct UpdateQuad<'a>(&'a mut [[f32; LANES]; 4]);

impl<'a, E: Element> Flow for Read<'a, E> {
    type Element = E;
    type Quad = ReadQuad<'a, E>;
    type Tail = Self;

    #[inline(always)]
    fn logits(&self) -> &[E] {
        self.0
    }

    #[inline(always)]
    fn quads(self) -> (impl ExactSizeIterator<Item = ReadQuad<'a, E>>, Self) {
        let (quads, tail) = quads(self.0);
        (quads.iter().map(ReadQuad), Self(tail))
    }

    fn split_at(self, at: usize) -> (Self, Self) {
        let (a, b) = self.0.split_at(at);
        (Self(a), Self(b))
    }

    #[inline(always)]
    fn blocks(self, len: usize) -> impl ExactSizeIterator<Item = Self> {
        self.0.chunks(len).map(Self)
    }
}

impl<'a, E: Element> Flow for Move<'a, E> {
    type Element = E;
    type Quad = MoveQuad<'a, E>;
    type Tail = Self;

    #[inline(always)]
    fn logits(&self) -> &[E] {
        self.0
    }

    #[inline(always)]
    fn quads(self) -> (impl ExactSizeIterator<Item = MoveQuad<'a, E>>, Self) {
        let (from, from_tail) = quads(self.0);
        let (to, to_tail) = quads_mut(self.1);
        (from.iter().zip(to).map(|(from, to)| MoveQuad(from, to)), Self(from_tail, to_tail))
    }

    fn split_at(self, at: usize) -> (Self, Self) {
        let (from, other_from) = self.0.split_at(at);
        let (to, other_to) = self.1.split_at_mut(at);
        (Self(from, to), Self(other_from, other_to))
    }

    #[inline(always)]
    fn blocks(self, len: usize) -> impl ExactSizeIterator<Item = Self> {
        self.0.chunks(len).zip(self.1.chunks_mut(len)).map(|(from, to)| Self(from, to))
    }
}

impl<'a> Flow for Update<'a> {
    type Element = f32;
    type Quad = UpdateQuad<'a>;
    type Tail = Self;

    #[inline(always)]
    fn logits(&self) -> &[f32] {
        self.0
    }

    #[inline(always)]
    fn quads(self) -> (impl ExactSizeIterator<Item = UpdateQuad<'a>>, Self) {
        let (quads, tail) = quads_mut(self.0);
        (quads.iter_mut().map(UpdateQuad), Self(tail))
    }

    fn split_at(self, at: usize) -> (Self, Self) {
        let (a, b) = self.0.split_at_mut(at);
        (Self(a), Self(b))
    }

    #[inline(always)]
    fn blocks(self, len: usize) -> impl ExactSizeIterator<Item = Self> {
        self.0.chunks_mut(len).map(Self)
    }
}

#[inline(always)]
fn quads<T>(values: &[T]) -> (&[[[T; LANES]; 4]], &[T]) {
    let full = values.len() / QUAD * QUAD;
    let (quads, tail) = values.split_at(full);
    (quads.as_chunks().0.as_chunks().0, tail)
}

#[inline(always)]
fn quads_mut<T>(values: &mut [T]) -> (&mut [[[T; LANES]; 4]], &mut [T]) {
    let full = values.len() / QUAD * QUAD;
    let (quads, tail) = values.split_at_mut(full);
    (quads.as_chunks_mut().0.as_chunks_mut().0, tail)
}

impl<E> ReadQuad<'_, E> {
    /// Asks for the memory `bytes` after this quad.
    #[inline(always)]
    pub(crate) fn prefetch<S: Simd>(&self, simd: S, bytes: usize) {
        for vector in self.0 {
            simd.prefetch(vector.as_ptr().wrapping_byte_add(bytes));
        }
    }
}

impl<E: Element> Slots for ReadQuad<'_, E> {
    type Element = E;

    #[inline(always)]
    fn vectors(&self) -> usize {
        4
    }

    #[inline(always)]
    fn load<S: Simd>(&self, simd: S, vector: usize) -> S::Lanes {
        E::load(simd, &self.0[vector])
    }

    #[inline(always)]
    fn store<L: Lanes>(&mut self, _vector: usize, _lanes: L) {}
}

impl<E: Element> Slots for MoveQuad<'_, E> {
    type Element = E;

    #[inline(always)]
    fn vectors(&self) -> usize {
        4
    }

    #[inline(always)]
    fn load<S: Simd>(&self, simd: S, vector: usize) -> S::Lanes {
        E::load(simd, &self.0[vector])
    }

    #[inline(always)]
    fn store<L: Lanes>(&mut self, vector: usize, lanes: L) {
        lanes.store(&mut self.1[vector]);
    }
}

impl Slots for UpdateQuad<'_> {
    type Element = f32;

    #[inline(always)]
    fn vectors(&self) -> usize {
        4
    }

    #[inline(always)]
    fn load<S: Simd>(&self, simd: S, vector: usize) -> S::Lanes {
        simd.load(&self.0[vector])
    }

    #[inline(always)]
    fn store<L: Lanes>(&mut self, vector: usize, lanes: L) {
        lanes.store(&mut self.0[vector]);
    }
}

impl Read<'_, f32> {
    /// One vector of a tail, `pad` past its end.
    #[inline(always)]
    pub(crate) fn load_padded<S: Simd>(&self, simd: S, vector: usize, pad: f32) -> S::Lanes {
        simd.load_partial(&self.0[LANES * vector..], pad)
    }
}

/// One vector of a tail, -inf past its end.
#[inline(always)]
fn load_tail<S: Simd, E: Element>(simd: S, tail: &[E], vector: usize) -> S::Lanes {
    let rest = &tail[LANES * vector..];
    match rest.first_chunk() {
        Some(all) => E::load(simd, all),
        None => E::load_partial(simd, rest),
    }
}

#[inline(always)]
fn store_tail<L: Lanes>(tail: &mut [f32], vector: usize, lanes: L) {
    let rest = &mut tail[LANES * vector..];
    match rest.first_chunk_mut() {
        Some(all) => lanes.store(all),
        None => lanes.store_partial(rest),
    }
}

impl<E: Element> Slots for Read<'_, E> {
    type Element = E;

    #[inline(always)]
    fn vectors(&self) -> usize {
        self.0.len().div_ceil(LANES)
    }

    #[inline(always)]
    fn load<S: Simd>(&self, simd: S, vector: usize) -> S::Lanes {
        load_tail(simd, self.0, vector)
    }

    #[inline(always)]
    fn store<L: Lanes>(&mut self, _vector: usize, _lanes: L) {}
}

impl<E: Element> Slots for Move<'_, E> {
    type Element = E;

    #[inline(always)]
    fn vectors(&self) -> usize {
        self.0.len().div_ceil(LANES)
    }

    #[inline(always)]
    fn load<S: Simd>(&self, simd: S, vector: usize) -> S::Lanes {
        load_tail(simd, self.0, vector)
    }

    #[inline(always)]
    fn store<L: Lanes>(&mut self, vector: usize, lanes: L) {
        store_tail(self.1, vector, lanes);
    }
}

impl Slots for Update<'_> {
    type Element = f32;

    #[inline(always)]
    fn vectors(&self) -> usize {
        self.0.len().div_ceil(LANES)
    }

    #[inline(always)]
    fn load<S: Simd>(&self, simd: S, vector: usize) -> S::Lanes {
        load_tail(simd, self.0, vector)
    }

    #[inline(always)]
    fn store<L: Lanes>(&mut self, vector: usize, lanes: L) {
        store_tail(self.0, vector, lanes);
    }
}
