//! Linear classifiers: times of a call, memory, and what both are meant to be.

use std::fmt::Write;

use super::aims::{Aim, Verdict, place};
use super::tables::{head, ratio, row, time};
use crate::results::{Comparison, Entrant, Kind, Memory, Results};

const EXPLANATION: &str = "
## Linear classifiers

`LinearCrossEntropy`, from features and weights: the mean loss, and with `gradients` also the gradients of features, weights and, up to
1000 classes, of a bias. Times are ms per call, the least one and in brackets the median; sizes are rows × classes × features.

- *limit* is what it is made of: the product that makes the logits, and on top the loss of as many logits in cache (by `xent`, from the
  same few rows again and again); for gradients the three products alone. Products are those of `matrixmultiply`, which `xent` takes
  too, cut into one part for each thread.
- *composed* is `F.cross_entropy(F.linear(x, w, b), y)` in PyTorch, and the same formula in JAX, compiled.
- *chunked* is PyTorch's `F.linear_cross_entropy` with `LinearCrossEntropyOptions()`, which chooses the rows of a chunk itself. (Without
  any options it composes.) *Best chunks* is the same with the number of rows, of 64, 128, 256 and 1024, that took the least time; it
  stands in brackets behind the time. Of a call that takes more than a second there is one time.
- *xent / limit* and those behind it are ratios of least times.
";

const MEMORY: &str = "
### Memory

MiB that a call takes beyond its inputs, at most and with its results: the pages of a process of its own, counted by Linux, on as many threads
as the table above has at most. Before, each process has made the same calls at 64×64×64, so that what a library needs once is not
counted. *Logits* is not measured: it is what all logits as f32 would take.
";

/// Times and memory.
pub fn section(results: &Results) -> String {
    let mut text = String::new();
    if results.of(Kind::Linear).next().is_none() {
        return text;
    }
    text += EXPLANATION;
    text += &without_chunks(results);
    for operation in ["forward", "gradients"] {
        write!(text, "\n### {operation}\n\n").expect("a string takes all");
        times(&mut text, results.of(Kind::Linear).filter(|c| c.operation == operation));
    }
    text += MEMORY;
    text.push('\n');
    memory(&mut text, &results.memory);
    text
}

/// Why columns are empty, where `PyTorch` has been measured.
fn without_chunks(results: &Results) -> String {
    let has_chunks = results.of(Kind::Linear).any(|c| c.named(CHUNKED).is_some());
    match results.versions.get(PYTORCH) {
        Some(version) if !has_chunks => {
            format!(
                "\n`F.linear_cross_entropy` is not in PyTorch {version}, unless \"Missing\" below names it.\n"
            )
        }
        _ => String::new(),
    }
}

const PYTORCH: &str = "PyTorch";
const CHUNKED: &str = "PyTorch chunked";
const CHUNKS: &str = "PyTorch chunks of ";

const MILLISECOND: f64 = 1e6;

/// The least time of what xent is made of.
fn limit(comparison: &Comparison) -> f64 {
    match &*comparison.operation {
        "forward" => comparison.min("product") + comparison.min("loss_in_cache"),
        _ => comparison.min("three_products"),
    }
}

/// Of peers with chunks chosen for them, the name.
fn best_chunks<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names.find(|name| name.starts_with(CHUNKS))
}

fn times<'a>(text: &mut String, all: impl Iterator<Item = &'a Comparison>) {
    let columns = [
        "size",
        "threads",
        "xent",
        "limit",
        "PyTorch composed",
        "JAX composed",
        "PyTorch chunked",
        "best chunks",
        "xent / limit",
        "composed / xent",
        "chunked / xent",
    ];
    head(text, &columns.map(str::to_owned));
    for comparison in all {
        let xent = comparison.min("xent");
        let cell = |entrant: Option<&Entrant>| {
            entrant.map_or(String::new(), |entrant| {
                format!("{} ({})", time(entrant.min() / MILLISECOND), time(entrant.median() / MILLISECOND))
            })
        };
        let chunks = best_chunks(comparison.entrants.iter().map(|entrant| &*entrant.name));
        let best = chunks.map_or(String::new(), |name| {
            format!("{} ({})", time(comparison.min(name) / MILLISECOND), &name[CHUNKS.len()..])
        });
        let cells = [
            comparison.size(),
            comparison.threads.to_string(),
            cell(comparison.named("xent")),
            time(limit(comparison) / MILLISECOND),
            cell(comparison.named(PYTORCH)),
            cell(comparison.named("JAX")),
            cell(comparison.named(CHUNKED)),
            best,
            ratio(xent / limit(comparison)),
            ratio(comparison.min(PYTORCH) / xent),
            ratio(comparison.min(CHUNKED) / xent),
        ];
        row(text, &cells);
    }
}

fn memory(text: &mut String, all: &[Memory]) {
    let columns = [
        "size",
        "operation",
        "logits",
        "xent",
        "PyTorch composed",
        "JAX composed",
        "PyTorch chunked",
        "best chunks",
    ];
    head(text, &columns.map(str::to_owned));
    let mebibytes = |bytes: f64| time(bytes / 1024.0 / 1024.0);
    for memory in all {
        let find = |name: &str| memory.entrants.iter().find(|(entrant, _)| entrant == name);
        let cell = |name: &str| find(name).map_or(String::new(), |(_, bytes)| mebibytes(*bytes));
        let chunks = best_chunks(memory.entrants.iter().map(|(name, _)| &**name));
        let Memory { rows, classes, features, .. } = memory;
        let cells = [
            format!("{rows}x{classes}x{features}"),
            memory.operation.clone(),
            mebibytes((rows * classes * size_of::<f32>()) as f64),
            cell("xent"),
            cell(PYTORCH),
            cell("JAX"),
            cell(CHUNKED),
            chunks.map_or(String::new(), cell),
        ];
        row(text, &cells);
    }
}

/// What each comparison is meant to be.
pub fn aims(results: &Results) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for comparison in results.of(Kind::Linear) {
        let xent = comparison.min("xent");
        let operation = &comparison.operation;
        let limit_name =
            if operation == "forward" { "the product and the loss in cache" } else { "three products" };
        let mut note = |what: String, aim: Aim, value: f64| {
            if value.is_finite() {
                let what = format!("linear classifier, {operation}: {what}");
                verdicts.push(Verdict { what, aim, value, place: place(comparison, "") });
            }
        };
        note(format!("time over that of {limit_name}"), Aim::AtMost(1.1), xent / limit(comparison));
        let composed = comparison.min(PYTORCH) / xent;
        note("PyTorch's time, composed, over xent's".into(), Aim::AtLeast(1.0), composed);
        if operation == "gradients" {
            let chunked = comparison.min(CHUNKED) / xent;
            note("PyTorch's time, chunked, over xent's".into(), Aim::AtLeast(2.5), chunked);
        }
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use xent_peers::common::linear::Size;

    use super::{aims, memory, times};
    use crate::results::{Comparison, Entrant, Memory, Results};

    fn results() -> Results {
        let entrant = |(name, time): (&str, f64)| Entrant { name: name.to_owned(), times: vec![time] };
        let forward = [("xent", 1.0e6), ("product", 0.8e6), ("loss_in_cache", 0.15e6), ("PyTorch", 0.9e6)];
        let gradients =
            [("xent", 3.0e6), ("three_products", 2.5e6), ("PyTorch", 6.0e6), ("PyTorch chunked", 9.0e6)];
        let size = Size { rows: 2, classes: 3, features: 4 };
        let mut results = Results::new(Vec::new(), "");
        results.comparisons = vec![
            Comparison::linear("forward", size, 1, forward.map(entrant).into()),
            Comparison::linear("gradients", size, 1, gradients.map(entrant).into()),
        ];
        results
    }

    #[test]
    fn a_forward_pass_is_beside_its_product_with_a_loss_on_top() {
        let met: Vec<_> = aims(&results()).iter().map(|v| (format!("{:.2}", v.value), v.is_met())).collect();
        let expected = [("1.05", true), ("0.90", false), ("1.20", false), ("2.00", true), ("3.00", true)];
        assert_eq!(met, expected.map(|(value, met)| (value.to_owned(), met)));
    }

    #[test]
    fn times_are_milliseconds_and_memory_is_mebibytes() {
        let (mut text, results) = (String::new(), results());
        times(&mut text, results.comparisons.iter());
        assert!(text.contains("| 2x3x4 | 1 | 1.00 (1.00) | 0.950 | 0.900 (0.900) |"), "{text}");
        let entrants =
            vec![("xent".to_owned(), 1_572_864.0), ("PyTorch chunks of 64".to_owned(), 1_048_576.0)];
        let (operation, rows, classes) = ("forward".to_owned(), 512, 1024);
        let all = [Memory { operation, rows, classes, features: 2, threads: 2, entrants }];
        memory(&mut text, &all);
        assert!(text.contains("| 512x1024x2 | forward | 2.00 | 1.50 |  |  |  | 1.00 |"), "{text}");
    }
}
