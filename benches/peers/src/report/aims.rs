//! What xent is meant to reach, and what was measured.

use std::fmt::Write;

use xent_peers::common::operations::Operation;
use xent_peers::common::shape::{IN_L2, Shape, shape};

use super::tables::{at, threads, time};
use crate::results::{Comparison, Kind, Results};

/// The peers that xent is meant to leave behind by a factor.
const FASTEST: [&str; 6] =
    ["PyTorch", "PyTorch compiled", "JAX", "TensorFlow", "ONNX Runtime", "rten native"];

/// Shapes that are far out of cache.
const LARGE: usize = 8_000_000;

#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// One measured value.
struct Cell {
    shape: Shape,
    threads: usize,
    value: f64,
}

/// One line: what is measured, in which unit, and the bound for all of it.
struct Aim {
    what: String,
    unit: &'static str,
    bound: Bound,
    cells: Vec<Cell>,
}

impl Aim {
    /// The cell that is furthest from the bound.
    fn worst(&self) -> Option<&Cell> {
        let order = |a: &&Cell, b: &&Cell| a.value.total_cmp(&b.value);
        match self.bound {
            Bound::AtMost(_) => self.cells.iter().max_by(order),
            Bound::AtLeast(_) => self.cells.iter().min_by(order),
        }
    }

    fn is_met(&self, cell: &Cell) -> bool {
        match self.bound {
            Bound::AtMost(bound) => cell.value <= bound,
            Bound::AtLeast(bound) => cell.value >= bound,
        }
    }

    fn line(&self) -> Option<String> {
        let worst = self.worst()?;
        let (sign, bound) = match self.bound {
            Bound::AtMost(bound) => ("≤", bound),
            Bound::AtLeast(bound) => ("≥", bound),
        };
        let met = self.cells.iter().filter(|cell| self.is_met(cell)).count();
        let Self { what, unit, cells, .. } = self;
        let verdict =
            if met == cells.len() { "yes".to_owned() } else { format!("**{met} of {}**", cells.len()) };
        let (shape, threads, value) = (worst.shape, worst.threads, time(worst.value));
        Some(format!("| {what} | {sign} {bound} {unit} | {value} at {shape}, {threads} | {verdict} |"))
    }
}

/// The table of all aims.
pub fn section(results: &Results) -> String {
    let mut text = String::from(
        "\n## Aims\n\nThe value is the worst of all shapes and numbers of threads that the line is about.\n\n\
         | what | aim | worst, at shape, threads | met |\n|---|---|---|---|\n",
    );
    let all = [limits(results), absolute(results), peers(results), itself(results)];
    for line in all.iter().flatten().filter_map(Aim::line) {
        writeln!(text, "{line}").expect("a string takes all");
    }
    text
}

fn is_large(shape: Shape) -> bool {
    shape.logits() >= LARGE && !is_image(shape)
}

/// Whether classes are not the last axis.
fn is_image(shape: Shape) -> bool {
    shape.inner > 1
}

/// Cells of one kind and operation.
fn cells(
    results: &Results,
    kind: Kind,
    operation: Operation,
    of: impl Fn(Shape) -> bool,
    value: impl Fn(&Comparison) -> f64,
) -> Vec<Cell> {
    let all = results.of(kind).filter(|c| c.operation == operation.name() && of(c.shape()));
    all.map(|c| Cell { shape: c.shape(), threads: c.threads, value: value(c) })
        .filter(|cell| cell.value.is_finite())
        .collect()
}

fn limits(results: &Results) -> Vec<Aim> {
    use Operation::{
        DenseLoss, LogSoftmax, Softmax, SparseLoss, SparseLossAndGradient, SparseLossAndGradientInPlace,
    };
    let in_l2 = |shape| shape == IN_L2;
    // A row and its result are within L2, all of them are not: a copy from L2 to L2 takes less time than
    // any exponential.
    let rows_in_l2 = |shape: Shape| [self::shape(1024, 1000), self::shape(1024, 1024)].contains(&shape);
    let many = |shape: Shape| shape.classes >= 1000;
    let aim = |operation: Operation, place: &str, bound, unit, of: &dyn Fn(Shape) -> bool| Aim {
        what: format!("{operation}, {place}"),
        unit,
        bound: Bound::AtMost(bound),
        cells: cells(results, Kind::Limits, operation, of, Comparison::over_best_limit),
    };
    vec![
        aim(SparseLoss, "8 M logits and more", 1.1, "× read", &is_large),
        Aim {
            cells: cells(results, Kind::Limits, SparseLoss, in_l2, |c| c.over_named("sum_exp")),
            ..aim(SparseLoss, "within L2", 1.2, "× sum of exponentials", &in_l2)
        },
        aim(DenseLoss, "1000 classes and more", 1.3, "× read of both", &many),
        aim(SparseLossAndGradient, "rows within L2", 1.3, "× best copy", &rows_in_l2),
        aim(SparseLossAndGradient, "8 M logits and more", 1.5, "× best copy", &is_large),
        aim(SparseLossAndGradientInPlace, "8 M logits and more", 1.6, "× scale in place", &is_large),
        aim(Softmax, "rows within L2", 1.3, "× best copy", &rows_in_l2),
        aim(Softmax, "8 M logits and more", 1.6, "× best copy", &is_large),
        aim(LogSoftmax, "rows within L2", 1.3, "× best copy", &rows_in_l2),
        aim(LogSoftmax, "8 M logits and more", 1.6, "× best copy", &is_large),
        aim(SparseLossAndGradient, "classes in the middle", 1.6, "× best copy", &is_image),
    ]
}

fn absolute(results: &Results) -> Vec<Aim> {
    let few = |shape: Shape| shape == self::shape(8192, 10);
    let aim = |operation: Operation, bound| {
        let mut cells = cells(results, Kind::Limits, operation, few, |c| c.xent().median());
        cells.retain(|cell| cell.threads == 1);
        Aim { what: format!("{operation}, ten classes"), unit: "ns", bound: Bound::AtMost(bound), cells }
    };
    vec![aim(Operation::SparseLoss, 0.45), aim(Operation::SparseLossAndGradient, 0.8)]
}

/// How many times as long the best of the fastest peers takes.
fn lead(results: &Results, operation: Operation, shape: Shape, threads: usize) -> Option<f64> {
    let all = at(results, Kind::Peer, operation.name(), shape, threads);
    let all = all.filter(|c| FASTEST.contains(&&*c.entrants[1].name));
    all.map(|c| c.entrants[1].over(c.xent())).min_by(f64::total_cmp)
}

fn peers(results: &Results) -> Vec<Aim> {
    use Operation::{DenseLossAndGradient, LogSoftmax, Softmax, SparseLoss, SparseLossAndGradient};
    let (long, middle) = (shape(8, 262_144), shape(1024, 1000));
    // The aim at most shapes, and at shapes and threads where the limits leave less.
    let aims = [
        (SparseLoss, 3.0, vec![(long, 1, 2.5), (long, 2, 2.5)]),
        (SparseLossAndGradient, 2.5, vec![(long, 1, 2.0)]),
        (DenseLossAndGradient, 2.5, vec![]),
        (Softmax, 1.3, vec![(middle, 1, 1.1)]),
        (LogSoftmax, 1.3, vec![(middle, 1, 1.1)]),
    ];
    let mut lines = Vec::new();
    for (operation, usual, exceptions) in aims {
        let mut all = Vec::new();
        for threads in threads(results, Kind::Peer) {
            for shape in xent_peers::common::shape::SHAPES {
                let value = lead(results, operation, shape, threads);
                all.extend(value.map(|value| Cell { shape, threads, value }));
            }
        }
        let line = |what: &str, bound, cells| Aim {
            what: format!("{operation}, {what}"),
            unit: "× as fast",
            bound: Bound::AtLeast(bound),
            cells,
        };
        for (shape, threads, bound) in exceptions {
            let (here, others) =
                all.into_iter().partition(|c: &Cell| c.shape == shape && c.threads == threads);
            all = others;
            lines.push(line("best peer at this shape", bound, here));
        }
        lines.push(line("best peer", usual, all));
    }
    let images = cells(results, Kind::Peer, SparseLossAndGradient, is_image, |c| {
        if c.entrants[1].name == "PyTorch" { c.entrants[1].over(c.xent()) } else { f64::NAN }
    });
    lines.push(Aim {
        what: format!("{SparseLossAndGradient}, classes in the middle, PyTorch"),
        unit: "× as fast",
        bound: Bound::AtLeast(3.0),
        cells: images,
    });
    lines
}

/// xent beside itself: backends, threads, neighbouring sizes.
fn itself(results: &Results) -> Vec<Aim> {
    let mut lines = Vec::new();
    for operation in crate::plan::COMPARED {
        let avx2 = |of: &dyn Fn(Shape) -> bool| {
            cells(results, Kind::Backends, operation, of, |c| 1.0 / c.over_named("avx2"))
        };
        let line =
            |what: &str, unit, bound, cells| Aim { what: format!("{operation}, {what}"), unit, bound, cells };
        // Elsewhere there is nothing to compare AVX2 with.
        if results.versions.get("xent backend").is_some_and(|backend| backend == "avx512") {
            lines.push(line(
                "AVX2 within L2",
                "× AVX-512",
                Bound::AtMost(1.6),
                avx2(&|shape| shape == IN_L2),
            ));
            lines.push(line("AVX2, 8 M logits and more", "× AVX-512", Bound::AtMost(1.1), avx2(&is_large)));
        }
        let threads = cells(results, Kind::Threads, operation, |_| true, |c| c.over_named("2 threads"));
        lines.push(line("two threads", "× as fast as one", Bound::AtLeast(1.6), threads));
        let unit = "× a neighbouring size";
        lines.push(line("2 to 1 000 000 classes", unit, Bound::AtMost(1.5), steps(results, operation)));
    }
    lines
}

/// Each size of the sweep over the one before, or the other way round.
fn steps(results: &Results, operation: Operation) -> Vec<Cell> {
    let all: Vec<&Comparison> = results.of(Kind::Sweep).filter(|c| c.operation == operation.name()).collect();
    let step = |pair: &[&Comparison]| {
        let value = pair[1].xent().median() / pair[0].xent().median();
        Cell { shape: pair[1].shape(), threads: pair[1].threads, value: value.max(1.0 / value) }
    };
    all.windows(2).map(step).collect()
}
