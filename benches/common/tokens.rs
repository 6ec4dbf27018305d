//! The largest logits of a row as they are found by hand.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

/// The `k` largest logits and their log-probabilities: a maximum, a sum of exponentials, and a heap of the largest so far,
/// whose least is replaced where a logit is larger.
pub fn top_by_heap(row: &[f32], k: usize) -> Vec<(usize, f32)> {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let log_sum_exp = max + row.iter().map(|x| (x - max).exp()).sum::<f32>().ln();
    // The order of bits is that of numbers once negative ones are turned.
    let order = |x: f32| {
        x.to_bits().cast_signed() ^ ((x.to_bits().cast_signed() >> 31).cast_unsigned() >> 1).cast_signed()
    };
    let mut heap = BinaryHeap::with_capacity(k + 1);
    for (class, &x) in row.iter().enumerate() {
        if heap.len() < k || heap.peek().is_some_and(|&Reverse((least, _))| order(x) > least) {
            heap.push(Reverse((order(x), class)));
            if heap.len() > k {
                heap.pop();
            }
        }
    }
    heap.into_sorted_vec().into_iter().map(|Reverse((_, class))| (class, row[class] - log_sum_exp)).collect()
}
