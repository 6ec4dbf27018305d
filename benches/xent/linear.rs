//! The loss of a linear classifier, beside the products alone that it is made of.

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use xent::{
    CrossEntropy, Linear, LinearCrossEntropy, LinearGradients, LinearResults, Reduction, Rows, RowsMut,
};

use crate::common::linear::{Problem, SIZES, Size};

pub fn bench(criterion: &mut Criterion, quick: bool) {
    for size in SIZES {
        // The large ones take several times as long as all else.
        let Size { rows, classes, features } = size;
        if quick && rows * classes * features > 1 << 26 {
            continue;
        }
        let problem = Problem::new(size);
        let Problem { x, weights, labels, .. } = &problem;
        let (mut of_x, mut of_weights) = (vec![0.0; x.len()], vec![0.0; weights.len()]);
        let mut losses = vec![0.0; rows];
        let rows_of_x = Rows::new(x, rows, features).expect("rows").on_this_thread();
        let linear = Linear::new(rows_of_x, Rows::new(weights, classes, features).expect("weights"));
        let linear = linear.expect("features of both");
        let loss = LinearCrossEntropy::new(CrossEntropy::new().reduction(Reduction::Mean));

        let mut group = criterion.benchmark_group("linear");
        group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements((rows * classes) as u64));
        let id = |what: &str| BenchmarkId::new(what, format!("{size}/1"));
        group.bench_function(id("forward"), |bencher| {
            bencher.iter(|| {
                let results = LinearResults::new().losses(&mut losses);
                loss.forward_into(labels, linear, results).expect("the inputs are valid")
            });
        });
        group.bench_function(id("loss_and_gradients"), |bencher| {
            bencher.iter(|| {
                let gradients = LinearGradients::new()
                    .x(RowsMut::new(&mut of_x, rows, features).expect("rows"))
                    .weights(RowsMut::new(&mut of_weights, classes, features).expect("weights"));
                let results = LinearResults::new().losses(&mut losses);
                loss.loss_and_gradients_into(labels, linear, results, gradients)
                    .expect("the inputs are valid")
            });
        });
        let mut logits = vec![0.0; rows * classes];
        group.bench_function(id("product"), |bencher| {
            bencher.iter(|| problem.multiply(&mut logits, 1));
        });
        group.bench_function(id("three_products"), |bencher| {
            bencher.iter(|| {
                problem.multiply(&mut logits, 1);
                problem.multiply_back(&logits, &mut of_x, &mut of_weights, 1);
            });
        });
        group.finish();
    }
}
