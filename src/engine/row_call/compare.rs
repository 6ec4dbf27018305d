//! What is asked of two sets of logits, and where it goes.

use super::super::call::Source;
use super::super::options::set;
use super::lines::{Lines, rows_of};
use crate::kernels::compare::{Compare, Compared};
use crate::kernels::group_rows::{GroupRows, GroupRowsMut};
use crate::kernels::map::Mask;
use crate::numbers::factor::{narrow, narrow_normal};
use crate::simd::LANES;
use crate::simd::strided::StridedMut;

/// How two sets of logits are compared, and where what there is one of per row goes; each slice is empty where it is not
/// wanted.
#[derive(Default)]
pub(crate) struct Comparing<'a> {
    /// What logits are multiplied by, and divergences.
    pub(crate) scale: f64,
    pub(crate) factor: f64,
    pub(crate) mask: Mask<'a>,
    pub(crate) forward: &'a mut [f32],
    pub(crate) reverse: &'a mut [f32],
    pub(crate) jensen_shannon: &'a mut [f32],
    pub(crate) same_argmax: &'a mut [bool],
    pub(crate) change: &'a mut [f32],
}

impl Comparing<'_> {
    pub(super) fn split_at(self, row: usize, classes: usize) -> (Self, Self) {
        let (mask, other_mask) = self.mask.split_at(row, classes);
        let [
            (forward, other_forward),
            (reverse, other_reverse),
            (shannon, other_shannon),
            (change, other_change),
        ] = [self.forward, self.reverse, self.jensen_shannon, self.change]
            .map(|values| values.split_at_mut(row.min(values.len())));
        let (same_argmax, other_same) = self.same_argmax.split_at_mut(row.min(self.same_argmax.len()));
        let Self { scale, factor, .. } = self;
        let part = |mask, forward, reverse, jensen_shannon, same_argmax, change| Comparing {
            scale,
            factor,
            mask,
            forward,
            reverse,
            jensen_shannon,
            same_argmax,
            change,
        };
        (
            part(mask, forward, reverse, shannon, same_argmax, change),
            part(other_mask, other_forward, other_reverse, other_shannon, other_same, other_change),
        )
    }

    /// Writes what a row has that is ignored.
    pub(super) fn ignore(&mut self, row: usize) {
        let nothing = Compared { same: false, ..Compared::default() };
        self.put(row, &nothing);
    }

    fn put(&mut self, row: usize, of: &Compared) {
        set(self.forward, row, narrow_normal(self.factor * of.forward));
        set(self.reverse, row, narrow_normal(self.factor * of.reverse));
        set(self.jensen_shannon, row, narrow_normal(self.factor * of.jensen_shannon));
        set(self.same_argmax, row, of.same);
        set(self.change, row, narrow(of.change));
    }

    /// Compares the rows of a group with those of others; the gradient goes over the logits where these are not shared.
    pub(super) fn group(
        &mut self,
        mut lines: Lines<'_>,
        first: GroupRows<'_>,
        logits: &mut Source<'_>,
        results: Option<&mut StridedMut<'_>>,
    ) {
        let classes = logits.share().layout().classes;
        match (logits, results) {
            (Source::Over(values), _) => {
                let mut copy = lines.update(values);
                self.run(&lines, classes, first, None, Some(rows_of(&mut copy, values)));
                lines.put_back(copy, values);
            }
            (Source::Shared(from), Some(to)) => {
                let second = lines.read(*from);
                let mut copy = lines.write(to);
                self.run(&lines, classes, first, Some(second), Some(rows_of(&mut copy, to)));
                lines.put_back(copy, to);
            }
            (Source::Shared(from), None) => {
                let second = lines.read(*from);
                self.run(&lines, classes, first, Some(second), None);
            }
        }
    }

    fn run(
        &mut self,
        lines: &Lines<'_>,
        classes: usize,
        first: GroupRows<'_>,
        second: Option<GroupRows<'_>>,
        gradient: Option<GroupRowsMut<'_>>,
    ) {
        let (group, mut results) = (lines.group, [Compared::default(); LANES]);
        lines.token.run(Compare {
            group,
            classes,
            scale: self.scale,
            mask: self.mask,
            first,
            second,
            gradient,
            entropies: !self.jensen_shannon.is_empty(),
            results: &mut results,
        });
        for (row, result) in group.rows[..group.len].iter().zip(&results) {
            self.put(*row, result);
        }
    }
}
