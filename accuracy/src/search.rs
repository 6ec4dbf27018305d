//! A search for the inputs with the largest errors: random restarts, and hill climbing on the bits of logits.

use fastrand::Rng;
use xent::Backend;

use crate::inputs::{Inputs, distribution, normal};
use crate::operation::{Exact, Operation};
use crate::precise::Precise;
use crate::results::{Found, Results};

/// Which rows are searched: there are two orders of adding terms.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    Few,
    Wide,
}

impl Width {
    /// Classes of a row, the frequent ones more than once.
    const fn classes(self) -> &'static [usize] {
        match self {
            Self::Few => &[2, 2, 2, 3, 3, 3, 4, 4, 5, 6, 8, 11, 16, 32, 63],
            Self::Wide => &[64, 64, 64, 65, 65, 80, 128, 130, 200, 530, 1000, 2000, 16_384],
        }
    }
}

/// Steps without an improvement after which there is a restart.
const PATIENCE: u32 = 400;

/// Searches every operation, on one of the backends with the same bits and on the others.
pub fn measure(results: &mut Results, evaluations: u64) {
    let precise = Precise::new();
    let (fused, unfused): (Vec<_>, Vec<_>) = Backend::available().partition(|backend| backend.is_fused());
    results.found.clear();
    for operation in Operation::ALL {
        for &backend in fused.last().into_iter().chain(&unfused) {
            for width in [Width::Few, Width::Wide] {
                let found = search(&precise, (operation, backend, width), evaluations);
                let classes = found.logits.len();
                println!("{} on {backend}: {:.3} ULP, {classes} classes", found.operation, found.error);
                results.found.push(found);
            }
        }
    }
}

/// A row, its largest error and the class of that.
struct Candidate {
    row: Inputs,
    error: f64,
    class: usize,
}

fn search(
    precise: &Precise,
    (operation, backend, width): (Operation, Backend, Width),
    evaluations: u64,
) -> Found {
    let mut random = Rng::with_seed(7);
    let mut evaluated = 0;
    let mut judge = |row: Inputs| {
        evaluated += row.classes as u64;
        let got = operation.run(backend, &row);
        let exact = Exact::new(precise, row.iter().next().expect("one row"));
        let errors = operation.errors(&exact, &got);
        let (class, error) =
            errors.into_iter().fold((0, 0.0), |best, of| if of.1 > best.1 { of } else { best });
        (Candidate { row, error, class }, evaluated)
    };
    let mut best: Option<Candidate> = None;
    loop {
        let start = anywhere(&mut random, width);
        let (mut current, mut spent) = judge(start);
        let mut failures = 0;
        while failures < PATIENCE && spent < evaluations {
            let next = neighbour(&mut random, &current.row);
            let (candidate, now) = judge(next);
            spent = now;
            failures = if candidate.error > current.error { 0 } else { failures + 1 };
            if candidate.error >= current.error {
                current = candidate;
            }
        }
        if best.as_ref().is_none_or(|best| current.error > best.error) {
            best = Some(current);
        }
        if spent >= evaluations {
            break;
        }
    }
    let Candidate { row, error, class } = best.expect("at least one");
    Found {
        operation: operation.title().into(),
        backend: if backend.is_fused() { "fused".into() } else { backend.name().into() },
        error,
        bound: Operation::bound(backend.is_fused()),
        evaluations: evaluated,
        label: row.labels[0],
        logits: row.logits,
        labels: row.distributions,
        class,
    }
}

/// A row of any kind.
fn anywhere(random: &mut Rng, width: Width) -> Inputs {
    let classes = width.classes()[random.usize(..width.classes().len())];
    let deviation = [0.0, 1e-6, 1e-3, 0.1, 1.0, 3.0, 10.0, 30.0][random.usize(..8)];
    let offset = [0.0, 0.0, 0.0, 1.0, -3.0, 80.0, 263.0, -265.0, 1e3, -1e5, 1e8][random.usize(..11)];
    let mut logits: Vec<f32> = (0..classes).map(|_| rounded(offset + deviation * normal(random))).collect();
    // Often one logit stands out, so that its loss is small.
    if random.bool() {
        logits[random.usize(..classes)] += random.f32() * 30.0;
    }
    let mut label = random.usize(..classes);
    if width == Width::Wide && random.u32(..4) > 0 {
        label = quads(random, &mut logits);
    }
    // What is rounded away is then the same again and again.
    if random.u32(..4) == 0 {
        let period = [1, 2, 16, 64][random.usize(..4)];
        for class in period..classes {
            logits[class] = logits[class - period];
        }
    }
    let distributions = distribution(random, &logits);
    Inputs { name: String::new(), classes, labels: vec![label], logits, distributions }
}

/// Leaves no more than a few logits that count, at distances of sixteen: of four such classes in 64 terms are added
/// in f32. Gives one of the others, or of them.
fn quads(random: &mut Rng, logits: &mut [f32]) -> usize {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (lane, first) = (random.usize(..16), random.usize(..logits.len().div_ceil(64)) * 64);
    let below = [0.0, 1.0, 17.0, 40.0][random.usize(..4)];
    let others = largest - if random.bool() { 200.0 } else { 20.0 + 60.0 * random.f32() };
    logits.fill(others);
    for class in (first + lane..logits.len()).step_by(16).take(4) {
        logits[class] = largest - below * random.f32();
    }
    let label = random.usize(..logits.len());
    logits[label] = largest - [0.0, 1.0, 10.0, 90.0][random.usize(..4)] * (2.0 * random.f32() - 1.0);
    label
}

#[expect(clippy::cast_possible_truncation, reason = "logits are f32")]
fn rounded(x: f64) -> f32 {
    x as f32
}

/// The row with one or a few small changes.
fn neighbour(random: &mut Rng, row: &Inputs) -> Inputs {
    let mut next = Inputs {
        name: String::new(),
        classes: row.classes,
        logits: row.logits.clone(),
        labels: row.labels.clone(),
        distributions: row.distributions.clone(),
    };
    for _ in 0..random.u32(1..4) {
        let (class, other) = (one_that_counts(random, row), random.usize(..row.classes));
        match random.u32(..12) {
            0 => next.labels[0] = class,
            1..=2 => {
                let mass = changed(random, next.distributions[class]).abs();
                next.distributions[class] = mass.min(4.0);
            }
            3 => next.logits[class] = next.logits[other],
            4 => {
                let by = rounded(normal(random));
                next.logits.iter_mut().for_each(|x| *x += by);
            }
            5 => next.logits[class] += rounded(normal(random)),
            _ => next.logits[class] = changed(random, next.logits[class]),
        }
    }
    next
}

/// Mostly the label or a class with a logit that shows in a sum, else any.
fn one_that_counts(random: &mut Rng, row: &Inputs) -> usize {
    if random.u32(..8) == 0 {
        return random.usize(..row.classes);
    }
    let largest = row.logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let counts = |&class: &usize| class == row.labels[0] || row.logits[class] > largest - 20.0;
    let classes: Vec<_> = (0..row.classes).filter(counts).collect();
    classes[random.usize(..classes.len())]
}

/// With a bit of the significand flipped, or a few ULP further; never huge or subnormal.
fn changed(random: &mut Rng, x: f32) -> f32 {
    let bits = x.to_bits();
    let bits = if random.bool() {
        bits ^ 1 << random.u32(..23)
    } else {
        bits.wrapping_add_signed(random.i32(-8..=8))
    };
    let to = f32::from_bits(bits);
    if to.is_normal() && to.abs() < 1e30 { to } else { x }
}
