//! What is measured on which shape, and on how many threads.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};
use rayon::{ThreadPool, ThreadPoolBuilder};
use xent::Backend;

use crate::common::operations::{Buffers, Operation};
use crate::common::shape::{IMAGES, IN_L2, QUICK, SHAPES, Shape, shape};

/// Shapes on which every backend is measured: few classes, in cache, and out of it.
const EVERY_BACKEND: [Shape; 3] = [shape(8192, 10), IN_L2, shape(256, 32_000)];

/// Shapes on which the gradients through softmax and log-softmax are measured.
const GRADIENTS: [Shape; 2] = [shape(1024, 1000), shape(256, 32_000)];

/// Shapes on which options and the losses beside cross-entropy are measured.
const OPTIONS: [Shape; 2] = [shape(8192, 10), shape(1024, 1000)];

/// One shape, with its buffers once something has been measured on it.
pub struct Case {
    pub shape: Shape,
    pub backends: Vec<Backend>,
    pools: [ThreadPool; 2],
    buffers: Option<Buffers>,
}

/// The shapes, in the order they are measured.
pub fn cases(quick: bool) -> impl Iterator<Item = Case> {
    let (shapes, images) = if quick { (&QUICK[..], &IMAGES[..1]) } else { (&SHAPES[..], &IMAGES[..]) };
    shapes.iter().chain(images).map(move |&shape| Case::new(shape, quick))
}

impl Case {
    fn new(shape: Shape, quick: bool) -> Self {
        let selected = Backend::selected().expect("XENT_BACKEND names a backend of this CPU");
        let all = EVERY_BACKEND.contains(&shape) && !(quick && shape.logits() > 1_000_000);
        let backends = if all { Backend::available().collect() } else { vec![selected] };
        let pools = [1, 2].map(|threads| {
            ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started")
        });
        Self { shape, backends, pools, buffers: None }
    }

    /// The operations that are measured on this shape.
    pub fn operations(&self) -> impl Iterator<Item = Operation> + use<> {
        let gradients = GRADIENTS.contains(&self.shape);
        Operation::ALL.into_iter().filter(move |operation| gradients || !operation.is_chain())
    }

    /// Whether options are measured on this shape.
    pub fn has_options(&self) -> bool {
        OPTIONS.contains(&self.shape)
    }

    /// Measures `run` on one thread and on two.
    pub fn measure(
        &mut self,
        criterion: &mut Criterion,
        (name, label): (&str, &str),
        values_moved: usize,
        mut prepare: impl FnMut(&mut Buffers),
        run: impl Fn(&mut Buffers) + Sync,
    ) {
        let mut group = criterion.benchmark_group(name);
        throughput(&mut group, self.shape, values_moved);
        for pool in &self.pools {
            let id = BenchmarkId::new(label, format!("{}/{}", self.shape, pool.current_num_threads()));
            group.bench_function(id, |bencher| {
                let buffers = self.buffers.get_or_insert_with(|| Buffers::new(self.shape));
                prepare(buffers);
                pool.install(|| bencher.iter(|| run(buffers)));
            });
        }
        group.finish();
    }
}

/// Logits and bytes per second.
fn throughput(group: &mut BenchmarkGroup<'_, WallTime>, shape: Shape, values_moved: usize) {
    let logits = shape.logits() as u64;
    let bytes = logits * (values_moved * size_of::<f32>()) as u64;
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::ElementsAndBytes { elements: logits, bytes });
}
