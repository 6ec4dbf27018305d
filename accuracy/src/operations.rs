//! The operations on all inputs, by xent and by peers.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use xent::Backend;

use crate::inputs::{self, Inputs};
use crate::operation::{Exact, Operation};
use crate::peers::Peer;
use crate::precise::Precise;
use crate::results::{Curve, Distribution, Results};

/// Of ten thousand, how many errors are not above each percentile.
pub const PERCENTILES: [usize; 5] = [5000, 9000, 9900, 9990, 10_000];

/// The inputs that all are measured on.
pub const ALL_INPUTS: &str = "all";

/// Those that compute, by name.
struct Engines<'a> {
    backends: Vec<(String, Backend)>,
    peers: &'a [Peer],
}

impl<'a> Engines<'a> {
    /// Backends that fuse multiply-add are one, and must have the same bits.
    fn new(peers: &'a [Peer]) -> Self {
        let backends: Vec<Backend> = Backend::available().collect();
        let (fused, unfused): (Vec<_>, Vec<_>) = backends.into_iter().partition(|backend| backend.is_fused());
        let first = fused.last().map(|&backend| ("xent, fused".to_owned(), backend));
        let others = unfused.into_iter().map(|backend| (format!("xent, {backend}"), backend));
        Self { backends: first.into_iter().chain(others).collect(), peers }
    }

    /// What each gives, where it gives something.
    fn answers(&self, operation: Operation, inputs: &Inputs) -> Result<Vec<(String, Vec<f32>)>> {
        let mut answers: Vec<_> = self
            .backends
            .iter()
            .map(|(name, backend)| (name.clone(), operation.run(*backend, inputs)))
            .collect();
        for backend in Backend::available().filter(|backend| backend.is_fused()) {
            let other = operation.run(backend, inputs);
            let same = other.iter().zip(&answers[0].1).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "{backend} has other bits: {}, {}", operation.title(), inputs.name);
        }
        for peer in self.peers {
            answers.push((peer.name().to_owned(), peer.answer(operation, inputs)?));
        }
        Ok(answers)
    }

    /// Gives every error: the engine, the row, the class.
    fn errors(
        &self,
        precise: &Precise,
        operation: Operation,
        inputs: &Inputs,
        mut each: impl FnMut(&str, usize, usize, f64),
    ) -> Result<()> {
        let answers = self.answers(operation, inputs)?;
        let width = if operation.is_per_row() { 1 } else { inputs.classes };
        for (row, input) in inputs.iter().enumerate() {
            let exact = Exact::new(precise, input);
            for (engine, values) in &answers {
                for (class, error) in operation.errors(&exact, &values[row * width..][..width]) {
                    each(engine, row, class, error);
                }
            }
        }
        Ok(())
    }
}

/// Measures all operations.
pub fn measure(results: &mut Results, data: &Path, peers: &mut [Peer]) -> Result<()> {
    let precise = Precise::new();
    let (groups, by_classes) = (inputs::groups(data)?, inputs::by_classes());
    let by_distance = inputs::by_distance();
    let of_curves = [Operation::LogSumExp, Operation::SparseLoss];
    for peer in &mut *peers {
        for inputs in &groups {
            peer.ask(&Operation::ALL, inputs)?;
        }
        for inputs in &by_classes {
            peer.ask(&of_curves, inputs)?;
        }
        peer.ask(&[Operation::Softmax], &by_distance)?;
        peer.run()?;
    }
    let engines = Engines::new(peers);
    results.operations = distributions(&engines, &precise, &groups)?;
    results.classes.clear();
    for operation in of_curves {
        println!("{} by classes", operation.title());
        let mut curves = Curves::default();
        for inputs in &by_classes {
            engines.errors(&precise, operation, inputs, |engine, _, _, error| {
                curves.add(engine, inputs.classes, error);
            })?;
        }
        results.classes.extend(curves.finish(operation, |classes| classes as f64));
    }
    let mut curves = Curves::default();
    engines.errors(&precise, Operation::Softmax, &by_distance, |engine, row, class, error| {
        let x = &by_distance.logits[row * by_distance.classes..][..by_distance.classes];
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the number of a bin")]
        let bin = (x[0] - x[class]) as usize;
        curves.add(engine, bin, error);
    })?;
    results.distances = curves.finish(Operation::Softmax, |bin| bin as f64 + 0.5);
    Ok(())
}

fn distributions(engines: &Engines<'_>, precise: &Precise, groups: &[Inputs]) -> Result<Vec<Distribution>> {
    let mut all = Vec::new();
    for operation in Operation::ALL {
        println!("{}", operation.title());
        let mut of_all = BTreeMap::<String, Vec<f64>>::new();
        for inputs in groups {
            let mut errors = BTreeMap::<String, Vec<f64>>::new();
            engines.errors(precise, operation, inputs, |engine, _, _, error| {
                errors.entry(engine.to_owned()).or_default().push(error);
            })?;
            for (engine, errors) in errors {
                of_all.entry(engine.clone()).or_default().extend(&errors);
                all.push(distribution(operation, &inputs.name, engine, errors));
            }
        }
        for (engine, errors) in of_all {
            all.push(distribution(operation, ALL_INPUTS, engine, errors));
        }
    }
    Ok(all)
}

fn distribution(operation: Operation, inputs: &str, engine: String, mut errors: Vec<f64>) -> Distribution {
    errors.sort_unstable_by(f64::total_cmp);
    let values = errors.len();
    let at = |share: usize| errors[(values * share).div_ceil(10_000).max(1) - 1];
    let percentiles = PERCENTILES.into_iter().map(at).collect();
    Distribution { operation: operation.title().into(), inputs: inputs.into(), engine, values, percentiles }
}

/// Sums, counts and largest errors.
#[derive(Default)]
struct Curves(BTreeMap<String, BTreeMap<usize, (f64, f64, f64)>>);

impl Curves {
    fn add(&mut self, engine: &str, at: usize, error: f64) {
        if !self.0.contains_key(engine) {
            self.0.insert(engine.to_owned(), BTreeMap::new());
        }
        let curve = self.0.get_mut(engine).expect("just inserted");
        let (sum, count, max) = curve.entry(at).or_default();
        *sum += error;
        *count += 1.0;
        *max = max.max(error);
    }

    fn finish(self, operation: Operation, abscissa: impl Fn(usize) -> f64) -> Vec<Curve> {
        let point = |(at, (sum, count, max)): (usize, (f64, f64, f64))| (abscissa(at), sum / count, max);
        let curve = |(engine, points): (String, BTreeMap<_, _>)| Curve {
            operation: operation.title().into(),
            engine,
            points: points.into_iter().map(point).collect(),
        };
        self.0.into_iter().map(curve).collect()
    }
}
