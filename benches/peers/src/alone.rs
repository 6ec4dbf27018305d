//! xent beside itself: other layouts, options, logits and sizes.

use anyhow::Result;
use xent_peers::common::operations::Operation;
use xent_peers::common::shape::{Shape, shape};

use crate::child::{Child, Start};
use crate::measure::{Runner, take_turns};
use crate::plan::{CLASSES_FIRST, COMPARED, OPTIONS, Plan};
use crate::results::{Comparison, Kind, Results};
use crate::{Folders, Part};

type Measure = fn(&Plan, &Start, &Folders, &mut Results) -> Result<()>;

/// The parts that need no other library.
pub const PARTS: [(Part, Measure); 4] =
    [(Part::Layouts, layouts), (Part::Options, options), (Part::Calls, calls), (Part::Sweep, sweep)];

/// The logits of each shape of the sweep: 16 MB, out of cache at any number of classes.
const SWEEP_LOGITS: usize = 1 << 22;

const NO_OPTION: &str = "no_option";

/// Options, each of which is compared with none.
pub const ALL_OPTIONS: [&str; 8] = [
    "z_loss",
    "class_weights",
    "upstream",
    "ignored_rows",
    "label_smoothing",
    "class_mask",
    "logit_scale",
    "soft_cap",
];

/// One worker, with the inputs of one shape.
struct Bench {
    child: Child,
    threads: usize,
    shape: Shape,
}

impl Bench {
    fn start(xent: &Start, threads: usize, shape: Shape, folders: &Folders) -> Result<Self> {
        let child = Child::start(xent, threads, &folders.target.join(format!("logs/alone-{threads}.log")))?;
        child.generate(shape)?;
        Ok(Self { child, threads, shape })
    }

    fn runner(&self, name: &str, operation: String) -> Runner<'_> {
        Runner { name: name.to_owned(), child: &self.child, operation }
    }

    fn compare(
        &self,
        plan: &Plan,
        kind: Kind,
        operation: Operation,
        runners: &[Runner<'_>],
    ) -> Result<Comparison> {
        let units = if kind == Kind::Call { 1.0 } else { self.shape.logits() as f64 };
        let entrants = take_turns(runners, units, plan.turns)?;
        Ok(Comparison::new(kind, operation.name(), self.shape, self.threads, entrants))
    }
}

/// Classes in the middle beside the same rows with their classes at the end, and classes in front beside rows that are
/// turned by hand.
fn layouts(plan: &Plan, xent: &Start, folders: &Folders, results: &mut Results) -> Result<()> {
    use Operation::{LogSoftmax, Softmax, SparseLoss, SparseLossAndGradient};
    for &threads in &plan.threads {
        for &middle in plan.shapes.iter().filter(|shape| shape.inner > 1) {
            let bench = Bench::start(xent, threads, middle, folders)?;
            let rows = Bench::start(xent, threads, shape(middle.rows, middle.classes), folders)?;
            for operation in [SparseLoss, SparseLossAndGradient, Softmax, LogSoftmax] {
                let name = operation.name();
                let runners =
                    [bench.runner("in the middle", name.into()), rows.runner("at the end", name.into())];
                results.add(bench.compare(plan, Kind::Middle, operation, &runners)?);
            }
        }
        let bench = Bench::start(xent, threads, CLASSES_FIRST, folders)?;
        for operation in [SparseLoss, SparseLossAndGradient, Softmax, LogSoftmax] {
            let runners = [
                bench.runner("in front", operation.name().into()),
                bench.runner("turned by hand", format!("by_hand:{operation}")),
            ];
            results.add(bench.compare(plan, Kind::Front, operation, &runners)?);
        }
    }
    Ok(())
}

/// Options beside none, and logits that need care beside ordinary ones.
fn options(plan: &Plan, xent: &Start, folders: &Folders, results: &mut Results) -> Result<()> {
    use Operation::{LogSoftmax, Softmax, SparseLoss, SparseLossAndGradient};
    for &threads in &plan.threads {
        for shape in OPTIONS {
            let bench = Bench::start(xent, threads, shape, folders)?;
            let with = |option: &&str| bench.runner(option, format!("with_{option}:{SparseLossAndGradient}"));
            let runners: Vec<_> = [NO_OPTION].iter().chain(&ALL_OPTIONS).map(with).collect();
            results.add(bench.compare(plan, Kind::Options, SparseLossAndGradient, &runners)?);
            for operation in [SparseLoss, SparseLossAndGradient, Softmax, LogSoftmax] {
                let programs = [("ordinary", "xent"), ("around 10 000", "far"), ("a third masked", "masked")];
                let runners =
                    programs.map(|(name, program)| bench.runner(name, format!("{program}:{operation}")));
                results.add(bench.compare(plan, Kind::Logits, operation, &runners)?);
            }
        }
    }
    Ok(())
}

/// What a call costs: without rows validation and dispatch are left.
fn calls(plan: &Plan, xent: &Start, folders: &Folders, results: &mut Results) -> Result<()> {
    use Operation::{LogSoftmax, Softmax, SparseLoss, SparseLossAndGradient};
    for shape in [shape(0, 10), shape(1, 10), shape(1, 128)] {
        let bench = Bench::start(xent, 1, shape, folders)?;
        for operation in [SparseLoss, SparseLossAndGradient, Softmax, LogSoftmax] {
            let runner = bench.runner("xent", format!("call:{operation}"));
            results.add(bench.compare(plan, Kind::Call, operation, &[runner])?);
        }
    }
    Ok(())
}

/// From two classes to a million, at a constant number of logits.
fn sweep(plan: &Plan, xent: &Start, folders: &Folders, results: &mut Results) -> Result<()> {
    let mut bench = Bench::start(xent, 1, shape(1, 2), folders)?;
    for classes in sweep_classes(plan.quick) {
        bench.shape = shape(SWEEP_LOGITS / classes, classes);
        bench.child.generate(bench.shape)?;
        for operation in COMPARED {
            let runner = bench.runner("xent", operation.name().to_owned());
            results.add(bench.compare(plan, Kind::Sweep, operation, &[runner])?);
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
            sizes.extend([power - 1, power + 1, power + power / 4]);
        }
    }
    sizes.push(1_000_000);
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}
