//! The loss of a linear classifier, beside the products alone that it is made of.

#![allow(unsafe_code, reason = "the products by themselves take pointers")]

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use xent::{
    CrossEntropy, Linear, LinearCrossEntropy, LinearGradients, LinearResults, Reduction, Rows, RowsMut,
};

/// Rows × classes × features: a vocabulary, images as CIFAR has them, a larger vocabulary, and a classifier.
const SHAPES: [[usize; 3]; 4] = [[256, 32_000, 512], [1024, 10, 3072], [64, 128_256, 768], [4096, 1000, 512]];

/// Rows × inner times inner × columns, each with the steps from a row and from a column to the next.
fn product(
    shape: [usize; 3],
    (a, of_a): (&[f32], [usize; 2]),
    (b, of_b): (&[f32], [usize; 2]),
    to: &mut [f32],
) {
    let [rows, inner, columns] = shape;
    assert!(a.len() == rows * inner && b.len() == inner * columns && to.len() == rows * columns);
    let [[ra, ca], [rb, cb]] = [of_a, of_b].map(|steps| steps.map(usize::cast_signed));
    let rows_apart = columns.cast_signed();
    // SAFETY: the matrices fill their slices, whose lengths have been checked, by rows or by columns.
    unsafe {
        matrixmultiply::sgemm(
            rows,
            inner,
            columns,
            1.0,
            a.as_ptr(),
            ra,
            ca,
            b.as_ptr(),
            rb,
            cb,
            0.0,
            to.as_mut_ptr(),
            rows_apart,
            1,
        );
    }
}

pub fn bench(criterion: &mut Criterion, quick: bool) {
    for shape in SHAPES {
        // The large ones take several times as long as all else.
        let [rows, classes, features] = shape;
        if quick && rows * classes * features > 1 << 26 {
            continue;
        }
        let mut rng = fastrand::Rng::with_seed(1);
        let mut values = |len: usize| -> Vec<f32> { (0..len).map(|_| rng.f32() - 0.5).collect() };
        let (x, weights) = (values(rows * features), values(classes * features));
        let labels: Vec<_> = (0..rows).map(|_| rng.usize(..classes)).collect();
        let (mut of_x, mut of_weights) = (vec![0.0; x.len()], vec![0.0; weights.len()]);
        let mut losses = vec![0.0; rows];
        let rows_of_x = Rows::new(&x, rows, features).expect("rows").on_this_thread();
        let linear = Linear::new(rows_of_x, Rows::new(&weights, classes, features).expect("weights"));
        let linear = linear.expect("features of both");
        let loss = LinearCrossEntropy::new(CrossEntropy::new().reduction(Reduction::Mean));

        let mut group = criterion.benchmark_group("linear");
        group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements((rows * classes) as u64));
        let id = |what: &str| BenchmarkId::new(what, format!("{rows}x{classes}x{features}/1"));
        group.bench_function(id("forward"), |bencher| {
            bencher.iter(|| {
                let results = LinearResults::new().losses(&mut losses);
                loss.forward_into(&labels, linear, results).expect("the inputs are valid")
            });
        });
        group.bench_function(id("loss_and_gradients"), |bencher| {
            bencher.iter(|| {
                let gradients = LinearGradients::new()
                    .x(RowsMut::new(&mut of_x, rows, features).expect("rows"))
                    .weights(RowsMut::new(&mut of_weights, classes, features).expect("weights"));
                let results = LinearResults::new().losses(&mut losses);
                loss.loss_and_gradients_into(&labels, linear, results, gradients)
                    .expect("the inputs are valid")
            });
        });
        let mut logits = vec![0.0; rows * classes];
        let (by_features, by_classes) = ([features, 1], [classes, 1]);
        group.bench_function(id("product"), |bencher| {
            let shape = [rows, features, classes];
            bencher.iter(|| product(shape, (&x, by_features), (&weights, [1, features]), &mut logits));
        });
        group.bench_function(id("three_products"), |bencher| {
            bencher.iter(|| {
                let shape = [rows, features, classes];
                product(shape, (&x, by_features), (&weights, [1, features]), &mut logits);
                product([rows, classes, features], (&logits, by_classes), (&weights, by_features), &mut of_x);
                let shape = [classes, rows, features];
                product(shape, (&logits, [1, classes]), (&x, by_features), &mut of_weights);
            });
        });
        group.finish();
    }
}
