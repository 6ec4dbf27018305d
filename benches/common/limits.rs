//! The limits of the machine, for the same bytes and threads as the operations.

use core::fmt;
use core::hint::black_box;

use rayon::prelude::*;
use xent::Backend;

use super::loops::{self, copy_non_temporal, run_on};
use super::operations::Buffers;

/// What no operation that moves the same bytes, or takes as many exponentials, can beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Sums the logits in order.
    Read,
    /// Sums the logits, four regions at once.
    ReadRegions,
    /// Sums the logits and the dense labels.
    ReadBoth,
    /// `memcpy`.
    Copy,
    /// A loop of loads and stores.
    CopyLoop,
    /// Loads and non-temporal stores.
    CopyNonTemporal,
    /// Multiplies in place.
    Scale,
    /// Adds the logits and the dense labels: reads both, writes as much.
    Add,
    /// The bare sum of exponentials.
    SumExp,
}

impl Limit {
    pub const ALL: [Self; 9] = [
        Self::Read,
        Self::ReadRegions,
        Self::ReadBoth,
        Self::Copy,
        Self::CopyLoop,
        Self::CopyNonTemporal,
        Self::Scale,
        Self::Add,
        Self::SumExp,
    ];

    /// The name in ids and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadRegions => "read_regions",
            Self::ReadBoth => "read_both",
            Self::Copy => "copy",
            Self::CopyLoop => "copy_loop",
            Self::CopyNonTemporal => "copy_non_temporal",
            Self::Scale => "scale",
            Self::Add => "add",
            Self::SumExp => "sum_exp",
        }
    }

    /// The limit of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|limit| limit.name() == name)
    }

    /// How many values per logit move.
    pub const fn values_moved(self) -> usize {
        match self {
            Self::Read | Self::ReadRegions | Self::SumExp => 1,
            Self::ReadBoth | Self::Copy | Self::CopyLoop | Self::CopyNonTemporal | Self::Scale => 2,
            Self::Add => 3,
        }
    }

    /// One pass over the buffers with the instructions of `backend`, cut evenly over the threads of the
    /// pool it runs in.
    pub fn run(self, buffers: &mut Buffers, backend: Backend) {
        let Buffers { logits, distributions, results, .. } = buffers;
        // The compiler must not know that it is 1, which keeps the values as they are.
        let factor = black_box(1.0);
        let read = |data: &[f32], regions| {
            sum_parts(data, |data| run_on(backend, loops::Read { data, regions }));
        };
        match self {
            Self::Read => read(logits, false),
            Self::ReadRegions => read(logits, true),
            Self::ReadBoth => {
                read(logits, true);
                read(distributions, true);
            }
            Self::SumExp => sum_parts(logits, |data| run_on(backend, loops::SumExp { data })),
            Self::Copy => copy_parts(logits, results, |from, to| to.copy_from_slice(from)),
            Self::CopyLoop => copy_parts(logits, results, |from, to| {
                run_on(backend, loops::ScaleInto { from, to, factor });
            }),
            Self::CopyNonTemporal => copy_parts(logits, results, copy_non_temporal),
            Self::Add => {
                let len = part_len(results.len());
                let inputs = logits.par_chunks(len).zip(distributions.par_chunks(len));
                inputs
                    .zip(results.par_chunks_mut(len))
                    .for_each(|((a, b), to)| run_on(backend, loops::Add { a, b, to }));
            }
            Self::Scale => {
                let len = part_len(results.len());
                results.par_chunks_mut(len).for_each(|data| run_on(backend, loops::Scale { data, factor }));
            }
        }
    }
}

/// The length of equal parts, one for each thread.
fn part_len(len: usize) -> usize {
    len.div_ceil(rayon::current_num_threads()).max(1)
}

fn sum_parts(data: &[f32], sum: impl Fn(&[f32]) -> f32 + Sync + Send) {
    black_box(data.par_chunks(part_len(data.len())).map(sum).sum::<f32>());
}

fn copy_parts(from: &[f32], to: &mut [f32], copy: impl Fn(&[f32], &mut [f32]) + Sync + Send) {
    let len = part_len(from.len());
    from.par_chunks(len).zip(to.par_chunks_mut(len)).for_each(|(from, to)| copy(from, to));
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
