//! Rows of many classes, one after the other.

use super::call::Call;
use super::options::Total;
use super::scratch::Scratch;
use crate::kernels::finish::Finish;
use crate::kernels::group::{Group, LossSum};
use crate::kernels::rows::{RowSum, STEP, SumRows};
use crate::kernels::write::WriteRows;
use crate::numbers::exp::Reference;
use crate::simd::{LANES, Token};

/// Terms that stay in the nearest cache between their making and the results.
const NEAR: usize = 4096;

pub(crate) fn run(token: Token, mut call: Call<'_>, scratch: &mut Scratch) -> Total {
    let (rows, classes) = (call.rows(), call.classes());
    let writes = call.writes();
    let at_once = if writes { (NEAR / classes).clamp(1, LANES) } else { LANES };
    let stride = classes.next_multiple_of(STEP) + LANES;
    let Scratch { groups, terms, sums, .. } = scratch;
    if writes {
        terms.resize(at_once * stride, 0.0);
    }
    groups.clear();
    groups.resize(1, Group::EMPTY);
    sums.resize(LANES, RowSum::EMPTY);
    let mut sum = LossSum::EMPTY;
    let mut first = 0;
    let labels = call.labels.is_some();
    while first < rows {
        let next = call.collect_some(first, &mut groups[0], at_once);
        first = next;
        let group = &mut groups[0];
        let logits = call.logits.share();
        let mut lines: [&[f32]; LANES] = [&[]; LANES];
        for (line, &row) in lines.iter_mut().zip(&group.rows[..group.len]) {
            *line = logits.row(row);
        }
        for i in 0..group.len {
            if let Some(x) = lines[i].get(group.labels[i]) {
                group.ends.logit[i] = *x;
            }
        }
        sums[..group.len].fill(RowSum::EMPTY);
        let mut seen = [12_582_912.0; LANES];
        token.run(SumRows {
            rows: &lines[..group.len],
            labels: &group.labels[..group.len],
            references: &[Reference::TAME; LANES],
            terms: if writes { &mut terms[..] } else { &mut [] },
            stride: if writes { stride } else { 0 },
            sums: &mut sums[..group.len],
            seen: &mut seen,
            close: true,
        });
        for i in 0..group.len {
            group.ends.rest[i] = sums[i].total;
            group.ends.exponent[i] = -64.0;
        }
        token.run(Finish {
            groups: &mut groups[..],
            labels,
            losses: labels.then_some(&mut sum),
            logs: false,
            factors: writes,
        });
        call.put_losses(&mut groups[..]);
        let group = &groups[0];
        if let Some(results) = call.destination() {
            token.run(WriteRows {
                group,
                from: terms,
                stride,
                class: 0,
                len: classes,
                results: &mut results.reborrow(),
                stream: false,
            });
        }
    }
    Total::of(&sum)
}
