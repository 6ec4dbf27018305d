//! One odd logit among ordinary ones, at and beyond every limit that the kernels know: of logits that share a reference, of
//! those that have a term of their own, of results that are normal numbers, and of the numbers that hold them.

use xent::{CrossEntropy, RowsMut, log_softmax, softmax};

use crate::common::property::Errors;
use crate::common::{assert_same_bits, backends, contract, reference};
use crate::rows;

/// Logits around each limit: what is 44 to 142 below or above an ordinary one, masks, and numbers so large that an integer in
/// a float no longer holds them.
fn odd() -> Vec<f32> {
    let mut odd = vec![f32::NEG_INFINITY, f32::MIN, -1.0e9, 1.0e9, f32::MAX];
    let steps = |from: i16, to: i16, by: f32| (from..=to).map(move |i| f32::from(i) * by);
    // The lowest terms, and those below that wrap around the exponents of f32.
    odd.extend(steps(-1440, -1280, 0.1));
    odd.extend(steps(-460, -420, 0.1));
    odd.extend(steps(-110, -80, 1.0));
    odd.extend(steps(340, 460, 0.1));
    odd.extend([88.0, 89.0, 100.0, 264.0, 265.0, 1000.0, 10_000.0, -1000.0, -10_000.0]);
    for power in 0..10 {
        // Where the float that holds an integer has few bits: 8 log2(e) of these is next to 2^23, 2^22, 2^21, ...
        let x = 2.0_f32.powi(23 - power) / 11.541_56;
        for x in [x - 20.0, x, x + 20.0, 1.5 * x, 3.0 * x] {
            odd.extend([x, -x]);
        }
    }
    // The products of these and 8 log2(e), rounded, are all that there is in such a float: their difference is 0.
    odd.extend([726_861.8, 726_861.75, -726_861.8]);
    odd
}

#[test]
fn one_odd_logit_spoils_no_other_result() {
    let errors = Errors::default();
    for (classes, places) in [(64, vec![3, 63]), (100, vec![70, 99]), (1000, vec![5, 700, 999])] {
        let ordinary: Vec<f32> =
            (0..classes).map(|i| f32::from(u8::try_from(i * 37 % 101).unwrap()) * 0.05 - 2.5).collect();
        let mut masked = ordinary.clone();
        masked[classes / 2] = f32::NEG_INFINITY;
        for (number, x) in odd().into_iter().enumerate() {
            let place = places[number % places.len()];
            let mut row = ordinary.clone();
            row[place] = x;
            let p = reference::softmax(&row);
            // Labels: the odd logit, a neighbour of its own step, and one far away.
            for label in [place, place ^ 1, (place + classes / 2) % classes] {
                let loss = reference::sparse_loss(label, &row);
                for backend in backends() {
                    let name = format!("{x:e} at {place} of {classes}");
                    let alone = results(&row, classes, &[label], backend);
                    if loss.is_finite() {
                        errors.within(contract::LOSS, "loss", backend, alone.losses[0], loss);
                    }
                    errors.all_within(
                        contract::SOFTMAX,
                        "softmax",
                        backend,
                        &alone.probabilities,
                        p.iter().copied(),
                    );
                    // Beside rows that ask for less care, and for more.
                    let batch = [&ordinary[..], &row, &ordinary, &row, &masked, &row].concat();
                    let together = results(&batch, classes, &[0, label, 1, label, 0, label], backend);
                    for i in [1, 3, 5] {
                        let own = i * classes..(i + 1) * classes;
                        assert_same_bits(&name, &alone.losses, &together.losses[i..=i]);
                        assert_same_bits(&name, &alone.probabilities, &together.probabilities[own.clone()]);
                        assert_same_bits(&name, &alone.logarithms, &together.logarithms[own.clone()]);
                        assert_same_bits(&name, &alone.gradient, &together.gradient[own]);
                    }
                }
            }
        }
    }
    errors.report("one odd logit");
}

struct Results {
    losses: Vec<f32>,
    probabilities: Vec<f32>,
    logarithms: Vec<f32>,
    gradient: Vec<f32>,
}

fn results(logits: &[f32], classes: usize, labels: &[usize], backend: xent::Backend) -> Results {
    let values = rows(logits, classes, backend);
    let (mut losses, mut gradient) = (vec![0.0; labels.len()], vec![0.0; logits.len()]);
    let to = RowsMut::new(&mut gradient, labels.len(), classes).unwrap().with_backend(backend);
    CrossEntropy::new().loss_and_gradient_into(labels, values, &mut losses, to).unwrap();
    Results {
        losses,
        probabilities: softmax(values).unwrap(),
        logarithms: log_softmax(values).unwrap(),
        gradient,
    }
}
