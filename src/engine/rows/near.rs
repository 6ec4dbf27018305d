//! Where the terms and the results of a group lie, so that they are near when they are wanted.

use super::{Groups, make_room};
use crate::engine::call::{Call, Inputs};
use crate::kernels::group::Group;
use crate::kernels::write::PAGE;
use crate::simd::LANES;
use crate::simd::strided::StridedMut;

impl Groups {
    /// Room for the terms of a group, in whole cache lines, and a quarter of a page further in its page than the group's
    /// results are in theirs: a load that lies as far in its page as a store just before it waits for that store.
    pub(in crate::engine) fn room_for_terms<'s>(
        &self,
        call: &mut Call<'_>,
        group: &Group,
        terms: &'s mut Vec<f32>,
    ) -> &'s mut [f32] {
        /// Bytes of a cache line.
        const LINE: usize = 64;
        let room = self.at_once.max(group.len) * self.stride;
        make_room(terms, room + PAGE);
        let results = match call.destination() {
            Some(to) if to.are_slices() => to.row_mut(group.rows[0]).as_ptr().addr(),
            _ => 0,
        };
        let start = (results + PAGE * size_of::<f32>() / 4) / LINE * LINE;
        let skip = start.wrapping_sub(terms.as_ptr().addr()) / size_of::<f32>() % PAGE;
        &mut terms[skip..][..room]
    }

    /// Asks for the logits that are read next. They follow those at hand, and most processors see that; but not beyond the page,
    /// nor far enough ahead where terms are stored meanwhile.
    pub(in crate::engine) fn ask_for_logits(&mut self) {
        self.ahead = [if self.copies { 0 } else { PAGE }; LANES];
    }

    /// Sets how far from its logits the results of each row are: asked for while terms are computed, they are near when they
    /// are written. Likewise, from there, the logits that the next group has.
    pub(super) fn ask(
        &mut self,
        inputs: &Inputs<'_>,
        results: Option<&StridedMut<'_>>,
        group: &Group,
        logits: &[&[f32]; LANES],
    ) {
        let (Some(results), false) = (results, self.copies_results) else {
            return self.ask_for_logits();
        };
        let results = results.share();
        let (from, to) = (logits[0].as_ptr().addr(), results.row(group.rows[0]).as_ptr().addr());
        let distance = to.wrapping_sub(from) / size_of::<f32>();
        let (stride, to_stride) = (inputs.logits.share().layout().stride, results.layout().stride);
        if !self.copies && stride == to_stride {
            self.ahead = [distance; LANES];
            self.next = [(group.len * stride).wrapping_sub(distance); LANES];
            return;
        }
        for (i, (ahead, next)) in self.ahead.iter_mut().zip(&mut self.next).enumerate() {
            let later = group.rows[i] - group.rows[0];
            // Copies follow each other, and what later ones are made of is not near them.
            let read = if self.copies { i * self.stride } else { later * stride };
            *ahead = distance.wrapping_add(later.wrapping_mul(to_stride)).wrapping_sub(read);
            *next = if self.copies { 0 } else { (group.len * stride).wrapping_sub(*ahead) };
        }
    }
}
