//! Rows made by integer arithmetic alone: the same bits on every platform, whatever its mathematical library.

use xent::{Backend, LogSumExp};

use super::writers::{Inputs, Outputs, SENTINEL, WRITERS, sized};

/// How many kinds of rows there are.
pub const KINDS: usize = 12;

/// The generator `SplitMix64`.
#[derive(Clone, Debug)]
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).expect("64 bits")).expect("below the bound")
    }

    /// From -1 to 1, in steps of 2^-15: exact, and so is its product with a power of two.
    fn unit(&mut self) -> f32 {
        let bytes = self.next().to_le_bytes();
        f32::from(i16::from_le_bytes([bytes[0], bytes[1]])) / 32_768.0
    }
}

/// One row; each kind takes another way through the kernels.
fn row(kind: usize, classes: usize, numbers: &mut Numbers) -> Vec<f32> {
    let at = numbers.below(classes);
    let mut row: Vec<f32> = (0..classes).map(|_| numbers.unit()).collect();
    let mut map = |f: &mut dyn FnMut(f32) -> f32| row.iter_mut().for_each(|x| *x = f(*x));
    match kind {
        0 => map(&mut |x| x * 8.0),
        // The others are summed alone: near, and far below.
        1 | 2 => {
            map(&mut |x| x * 4.0);
            row[at] = if kind == 1 { 12.0 } else { 70.0 };
        }
        // Terms that no longer count.
        3 => map(&mut |x| x * 256.0),
        // On both sides of where the pivot moves.
        4 => map(&mut |x| 264.0 + x),
        5 => map(&mut |x| x - 264.0),
        // Far beyond: differences that are whole.
        6 => map(&mut |x| (x * 32.0).trunc() * 8.0 + 1e8),
        7 => map(&mut |_| -2.5),
        8 => map(&mut |x| if x < 0.25 { f32::NEG_INFINITY } else { x * 16.0 }),
        // Below the smallest normal number.
        9 => map(&mut |x| x * f32::MIN_POSITIVE),
        10 => row[at] = f32::NAN,
        _ => row[at] = f32::INFINITY,
    }
    row
}

/// A call with nothing wrong: rows of each kind in turn, from kind `first` on, everything in buffers of just its size.
pub fn call(rows: usize, classes: usize, first: usize, backend: Backend) -> (Inputs, Outputs) {
    let numbers = &mut Numbers((rows * 1_000_003 + classes) as u64);
    let (mut inputs, mut outputs) = sized(rows, classes);
    inputs.logits = (0..rows).flat_map(|r| row((first + r) % KINDS, classes, numbers)).collect();
    inputs.labels = (0..rows).map(|_| i64::try_from(numbers.below(classes)).expect("few classes")).collect();
    // Half of the masses are 0.
    inputs.second = inputs.logits.iter().map(|_| numbers.unit().max(0.0)).collect();
    inputs.upstream = (0..rows).map(|_| numbers.unit() * 4.0).collect();
    inputs.row_weights = (0..rows).map(|_| numbers.unit().max(0.0) * 2.0).collect();
    inputs.backend = Some(backend);
    outputs.matrix.clone_from(&inputs.logits);
    let forward = WRITERS.iter().find(|writer| writer.name == "forward_into, sparse").expect("it exists");
    (forward.call)(&inputs, &mut outputs).expect("a valid call");
    shrink(&mut inputs, &mut outputs);
    (inputs, outputs)
}

/// No memory behind any value.
fn shrink(inputs: &mut Inputs, outputs: &mut Outputs) {
    let floats = [
        &mut inputs.logits,
        &mut inputs.second,
        &mut inputs.upstream,
        &mut inputs.class_weights,
        &mut inputs.row_weights,
        &mut outputs.matrix,
        &mut outputs.elements,
        &mut outputs.losses,
    ];
    floats.into_iter().for_each(Vec::shrink_to_fit);
    inputs.labels.shrink_to_fit();
    inputs.mask.shrink_to_fit();
    outputs.indices.shrink_to_fit();
    outputs.flags.shrink_to_fit();
    outputs.sums.shrink_to_fit();
}

/// What the results of a function are written over: the same before each call, so that they are the whole difference.
/// The matrix holds the logits, for the functions that work in place, and the sums those of the rows.
pub fn reset(inputs: &Inputs, sums: &[LogSumExp], outputs: &mut Outputs) {
    outputs.matrix.copy_from_slice(&inputs.logits);
    outputs.elements.fill(SENTINEL);
    outputs.losses.fill(SENTINEL);
    outputs.indices.fill(1 << 31);
    outputs.flags.fill(true);
    outputs.sums.copy_from_slice(sums);
}
