//! xent beside the limits of the machine, and beside itself: other backends, other threads, other sizes.

use anyhow::Result;
use xent_peers::common::operations::Operation;
use xent_peers::common::shape::{Shape, shape};

use crate::Folders;
use crate::child::{Child, Start};
use crate::measure::{Runner, take_turns};
use crate::plan::{COMPARED, Plan};
use crate::results::{Comparison, Kind, Results};

const READS: &[&str] = &["limit:read", "limit:read_regions", "limit:sum_exp"];
const COPIES: &[&str] = &["limit:copy", "limit:copy_loop", "limit:copy_non_temporal", "limit:sum_exp"];

/// The limits of each operation: those that move the same bytes, and the bare arithmetic.
const LIMITS: [(Operation, &[&str]); 9] = [
    (Operation::Argmax, READS),
    (Operation::LogSumExp, READS),
    (Operation::SparseLoss, READS),
    (Operation::DenseLoss, &["limit:read_both", "limit:sum_exp"]),
    (Operation::SparseLossAndGradient, COPIES),
    (Operation::Softmax, COPIES),
    (Operation::LogSoftmax, COPIES),
    (Operation::SparseLossAndGradientInPlace, &["limit:scale", "limit:sum_exp"]),
    (Operation::DenseLossAndGradient, &["limit:add", "limit:sum_exp"]),
];

/// Backends that are compared with the selected one.
const BACKENDS: [&str; 2] = ["avx2", "portable"];

/// The logits of each shape of the sweep: 16 MB, out of cache at any number of classes.
const SWEEP_LOGITS: usize = 1 << 22;

/// The shape on which threads are compared: one long row.
const LONG_ROW: Shape = shape(1, 128_256);

/// Operations in one process.
struct Bench<'a> {
    plan: &'a Plan,
    child: Child,
    threads: usize,
    shape: Shape,
}

impl<'a> Bench<'a> {
    fn start(plan: &'a Plan, xent: &Start, threads: usize, folders: &Folders) -> Result<Self> {
        let child = Child::start(xent, threads, &folders.target.join(format!("logs/xent-{threads}.log")))?;
        Ok(Self { plan, child, threads, shape: LONG_ROW })
    }

    fn generate(&mut self, shape: Shape) -> Result<()> {
        self.shape = shape;
        self.child.generate(shape)
    }

    fn compare(&self, kind: Kind, operation: Operation, entrants: &[String]) -> Result<Comparison> {
        let runner = |entrant: &String| {
            let name = entrant.split_once([':', '@']).map_or("xent", |(_, name)| name);
            Runner { name: name.to_owned(), child: &self.child, operation: entrant.clone() }
        };
        let runners: Vec<_> = entrants.iter().map(runner).collect();
        let entrants = take_turns(&runners, self.shape, self.threads, self.plan.turns)?;
        Ok(comparison(kind, operation, self.shape, self.threads, entrants))
    }
}

fn comparison(
    kind: Kind,
    operation: Operation,
    Shape { rows, classes, inner }: Shape,
    threads: usize,
    entrants: Vec<crate::results::Entrant>,
) -> Comparison {
    Comparison { kind, operation: operation.name().to_owned(), rows, classes, inner, threads, entrants }
}

/// Operations in turns with their limits, and with the other backends.
pub fn measure(
    plan: &Plan,
    xent: &Start,
    threads: usize,
    folders: &Folders,
    results: &mut Results,
) -> Result<()> {
    let mut bench = Bench::start(plan, xent, threads, folders)?;
    let selected = bench.child.version.clone();
    results.versions.insert("xent backend".to_owned(), selected.clone());
    let others: Vec<&str> = BACKENDS.into_iter().filter(|&backend| backend != selected).collect();
    for &shape in &plan.shapes {
        bench.generate(shape)?;
        for (operation, limits) in LIMITS {
            let mut entrants = vec![operation.name().to_owned()];
            entrants.extend(limits.iter().map(|&limit| limit.to_owned()));
            results.add(bench.compare(Kind::Limits, operation, &entrants)?);
        }
        for operation in COMPARED {
            let backends = std::iter::once(&*selected).chain(others.iter().copied());
            let entrants: Vec<String> = backends.map(|backend| format!("{operation}@{backend}")).collect();
            results.add(bench.compare(Kind::Backends, operation, &entrants)?);
        }
    }
    Ok(())
}

/// One long row on one thread and on two.
pub fn threads(plan: &Plan, xent: &Start, folders: &Folders, results: &mut Results) -> Result<()> {
    if !plan.threads.contains(&2) {
        return Ok(());
    }
    let mut benches = [1, 2].map(|threads| Bench::start(plan, xent, threads, folders));
    for bench in benches.iter_mut().flatten() {
        bench.generate(LONG_ROW)?;
    }
    let [one, two] = benches;
    let (one, two) = (one?, two?);
    for operation in COMPARED {
        let runner =
            |bench: &'_ Bench<'_>| (format!("{} threads", bench.threads), operation.name().to_owned());
        let [a, b] = [runner(&one), runner(&two)];
        let runners = [
            Runner { name: a.0, child: &one.child, operation: a.1 },
            Runner { name: b.0, child: &two.child, operation: b.1 },
        ];
        let entrants = take_turns(&runners, LONG_ROW, 2, plan.turns)?;
        results.add(comparison(Kind::Threads, operation, LONG_ROW, 2, entrants));
    }
    Ok(())
}

/// From two classes to a million, at a constant number of logits.
pub fn sweep(plan: &Plan, xent: &Start, folders: &Folders, results: &mut Results) -> Result<()> {
    let mut bench = Bench::start(plan, xent, 1, folders)?;
    for classes in sweep_classes(plan.quick) {
        bench.generate(shape(SWEEP_LOGITS / classes, classes))?;
        for operation in COMPARED {
            results.add(bench.compare(Kind::Sweep, operation, &[operation.name().to_owned()])?);
        }
    }
    Ok(())
}

/// Powers of two with their neighbours, since that is where algorithms change, and steps between them.
fn sweep_classes(quick: bool) -> Vec<usize> {
    let mut sizes = vec![2, 3];
    for octave in 2..20 {
        let power = 1_usize << octave;
        sizes.push(power);
        if !quick {
            sizes.push(power + power / 2);
        }
        if !quick && power <= 2048 {
            sizes.extend([power - power / 8, power - 1, power + 1, power + power / 4]);
        }
    }
    sizes.push(1_000_000);
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}
