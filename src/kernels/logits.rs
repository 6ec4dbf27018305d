//! The logits of a row, f32 or halves, as vectors of f32.

use super::classes::STEP;
use crate::simd::half::{Half, Line, widen_lanes};
use crate::simd::{LANES, Simd};

/// Four times sixteen logits, or terms.
pub(super) type Step = [[f32; LANES]; 4];

/// The logits of a row.
pub(super) trait Logits<S: Simd>: Copy {
    /// Whether others may be searched for the largest meanwhile.
    const SEARCHES: bool = false;

    /// How many there are.
    fn count(self) -> usize;

    /// Those from `start` to `end`.
    fn part(self, start: usize, end: usize) -> Self;

    /// A whole step; or what stands in its place, where it says so. Asks for what lies so many values after the step.
    fn step(
        self,
        simd: S,
        step: usize,
        part: usize,
        instead: Option<(bool, &Step)>,
        ahead: usize,
    ) -> [S::Lanes; 4];

    /// What is after the last whole step, as f32: where it lies, or in the room.
    fn tail<'b>(self, simd: S, room: &'b mut Step) -> &'b [f32]
    where
        Self: 'b;

    /// The step that begins with a logit, 0 past the end of the row.
    fn step_at(self, simd: S, start: usize) -> Step;
}

impl<S: Simd> Logits<S> for &[f32] {
    #[inline(always)]
    fn count(self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn part(self, start: usize, end: usize) -> Self {
        &self[start..end]
    }

    #[inline(always)]
    fn step(
        self,
        simd: S,
        step: usize,
        part: usize,
        instead: Option<(bool, &Step)>,
        ahead: usize,
    ) -> [S::Lanes; 4] {
        let step = &self.as_chunks().0.as_chunks().0[step];
        if ahead != 0 {
            prefetch(simd, step, ahead);
        }
        // Chosen without a branch, which would be foreseen for one row and not for the next.
        let step = match instead {
            None => step,
            Some((instead, copy)) => simd.chosen(if instead { copy } else { step }),
        };
        simd.load_step(step, part)
    }

    #[inline(always)]
    fn tail<'b>(self, _simd: S, _room: &'b mut Step) -> &'b [f32]
    where
        Self: 'b,
    {
        &self[self.len() / STEP * STEP..]
    }

    #[inline(always)]
    fn step_at(self, _simd: S, start: usize) -> Step {
        let from = &self[start..];
        from.as_chunks().0.first_chunk().copied().unwrap_or_else(
            #[inline(always)]
            || {
                let mut step = [[0.0; LANES]; 4];
                step.as_flattened_mut()[..from.len()].copy_from_slice(from);
                step
            },
        )
    }
}

impl<S: Simd> Logits<S> for (Half, &[u16]) {
    #[inline(always)]
    fn count(self) -> usize {
        self.1.len()
    }

    #[inline(always)]
    fn part(self, start: usize, end: usize) -> Self {
        (self.0, &self.1[start..end])
    }

    #[inline(always)]
    fn step(
        self,
        simd: S,
        step: usize,
        part: usize,
        instead: Option<(bool, &Step)>,
        _ahead: usize,
    ) -> [S::Lanes; 4] {
        if let Some((true, copy)) = instead {
            return simd.load_step(copy, part);
        }
        simd.widen_step(self.0, &self.1.as_chunks().0.as_chunks().0[step], part)
    }

    #[inline(always)]
    fn tail<'b>(self, simd: S, room: &'b mut Step) -> &'b [f32]
    where
        Self: 'b,
    {
        let start = self.1.len() / STEP * STEP;
        *room = self.step_at(simd, start);
        &room.as_flattened()[..self.1.len() - start]
    }

    #[inline(always)]
    fn step_at(self, simd: S, start: usize) -> Step {
        let (half, from) = (self.0, &self.1[start..]);
        let mut step = [[0.0; LANES]; 4];
        let (lines, last) = from[..from.len().min(STEP)].as_chunks();
        for (from, to) in lines.iter().zip(&mut step) {
            widen_lanes(simd, half, from, to);
        }
        if let (Some(to), false) = (step.get_mut(lines.len()), last.is_empty()) {
            let mut line = [0; LANES];
            line[..last.len()].copy_from_slice(last);
            widen_lanes(simd, half, &line, to);
        }
        step
    }
}

impl<S: Simd> Logits<S> for Line<'_> {
    const SEARCHES: bool = true;

    #[inline(always)]
    fn count(self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn part(self, start: usize, end: usize) -> Self {
        Line::part(self, start, end - start)
    }

    /// The type is a branch that is always foreseen.
    #[inline(always)]
    fn step(
        self,
        simd: S,
        step: usize,
        part: usize,
        instead: Option<(bool, &Step)>,
        ahead: usize,
    ) -> [S::Lanes; 4] {
        match self {
            Line::F32(values) => values.step(simd, step, part, instead, ahead),
            Line::Half(half, bits) => (half, bits).step(simd, step, part, instead, ahead),
        }
    }

    #[inline(always)]
    fn tail<'b>(self, simd: S, room: &'b mut Step) -> &'b [f32]
    where
        Self: 'b,
    {
        match self {
            Line::F32(values) => values.tail(simd, room),
            Line::Half(half, bits) => (half, bits).tail(simd, room),
        }
    }

    #[inline(always)]
    fn step_at(self, simd: S, start: usize) -> Step {
        match self {
            Line::F32(values) => values.step_at(simd, start),
            Line::Half(half, bits) => (half, bits).step_at(simd, start),
        }
    }
}

/// Asks for what lies so many values after some logits.
#[inline(always)]
fn prefetch<S: Simd>(simd: S, step: &Step, ahead: usize) {
    for line in step {
        simd.prefetch(line.as_ptr().wrapping_add(ahead));
    }
}
