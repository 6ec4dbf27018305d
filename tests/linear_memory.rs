//! How much memory the loss of a linear classifier takes: its workspace, and what grows with rows, but not with rows × classes.

mod common;

use allocation_counter::{AllocationInfo, measure};
use xent::{
    CrossEntropy, Linear, LinearCrossEntropy, LinearGradients, LinearResults, Reduction, Rows, RowsMut,
};

/// Bytes for a packed block of each operand, as `matrixmultiply` cuts them: 1.1 MiB.
const PACKED: u64 = 4 * 256 * (1024 + 64) + 4096;

/// Bytes per row: a label, a loss, what is saved and what is known of up to eight spans of its classes.
const PER_ROW: u64 = 400;

/// One call on this thread, and the most bytes that it had at once: forward, and with all gradients.
fn bytes(shape: [usize; 3], workspace: usize, ignored: usize) -> [u64; 2] {
    let (forward, gradients) = measured(shape, workspace, ignored);
    [forward.bytes_max, gradients.bytes_max]
}

/// What the two calls have allocated.
fn measured(
    [rows, classes, features]: [usize; 3],
    workspace: usize,
    ignored: usize,
) -> (AllocationInfo, AllocationInfo) {
    let value = |i: usize| f32::from(u8::try_from(i % 251).expect("small")) / 251.0 - 0.5;
    let [x, weights] =
        [rows * features, classes * features].map(|len| (0..len).map(value).collect::<Vec<_>>());
    let labels: Vec<i32> = (0..rows).map(|row| if row < ignored { -100 } else { 3 }).collect();
    let [mut losses, mut of_x, mut of_weights, mut of_bias] =
        [rows, x.len(), weights.len(), classes].map(|len| vec![0.0; len]);
    let x = Rows::new(&x, rows, features).expect("rows").on_this_thread();
    let linear = Linear::new(x, Rows::new(&weights, classes, features).expect("weights")).expect("features");
    let loss = CrossEntropy::new().reduction(Reduction::Mean).ignore_index(-100);
    let loss = LinearCrossEntropy::new(loss).workspace(workspace);
    // The thread's scratch has grown before.
    let mut forward = || {
        loss.forward_into(&labels, linear, LinearResults::new().losses(&mut losses)).expect("a valid call");
    };
    forward();
    let forward = measure(forward);
    let mut losses = vec![0.0; rows];
    let mut gradients = || {
        let results = LinearResults::new().losses(&mut losses);
        let gradients = LinearGradients::new()
            .x(RowsMut::new(&mut of_x, rows, features).expect("rows"))
            .weights(RowsMut::new(&mut of_weights, classes, features).expect("weights"))
            .bias(&mut of_bias);
        loss.loss_and_gradients_into(&labels, linear, results, gradients).expect("a valid call");
    };
    let first = measure(&mut gradients);
    // What was kept is used again.
    let again = measure(&mut gradients).bytes_max;
    let most = PACKED + PER_ROW * u64::try_from(rows).expect("few");
    assert!(again <= most, "{again} bytes in the second call, for at most {most}");
    (forward, first)
}

#[test]
fn a_call_takes_its_workspace_and_what_rows_need() {
    for (shape, workspace) in [
        ([700, 3000, 16], 4 << 20),
        ([700, 3000, 16], 64 << 20),
        ([64, 100_000, 4], 32 << 20),
        // With features that are copied, too, the workspace that calls have by themselves is enough.
        ([400, 65_536, 4], 64 << 20),
        ([3000, 10, 300], 1 << 20),
    ] {
        for ignored in [0, shape[0] / 3] {
            let most = workspace as u64 + PACKED + PER_ROW * shape[0] as u64;
            let taken = bytes(shape, workspace, ignored);
            assert!(
                taken.iter().all(|taken| *taken <= most),
                "{taken:?} bytes for at most {most}, {shape:?}"
            );
        }
    }
}

#[test]
fn a_forward_pass_takes_as_much_for_many_classes_as_for_few() {
    let few = bytes([300, 1024, 8], 64 << 20, 0)[0];
    let many = bytes([300, 60_000, 8], 64 << 20, 0)[0];
    // Some 60 MB of logits more; what is known of seven spans more of each row, 40 bytes each.
    assert!(many <= few + 300 * 7 * 40 + 4096, "{many} bytes, {few} for few classes");
}

#[test]
fn what_is_kept_is_given_back_to_a_smaller_workspace() {
    let kept = measured([256, 20_000, 4], 64 << 20, 0).1.bytes_current;
    let logits = 4 * 256 * 20_000;
    assert!(kept >= logits, "{kept} bytes are kept");
    // Logits of 1,000 classes take their place.
    let kept = measured([256, 1000, 4], 2 << 20, 0).1.bytes_current;
    assert!(kept <= 4 * 256 * 1004 + 4096 - logits, "{kept} bytes more are kept");
}
