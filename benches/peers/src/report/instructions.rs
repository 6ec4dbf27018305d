//! Instructions per logit, from the baseline that the repository holds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::tables::{head, row};

const PATH: &str = "benches/instructions/baseline.tsv";

const BACKENDS: [&str; 3] = ["avx2", "portable", "scalar"];

/// The table, a line for each operation and shape.
pub fn section(repository: &Path) -> String {
    let Ok(baseline) = fs::read_to_string(repository.join(PATH)) else { return String::new() };
    let mut text = String::from(
        "\n## Instructions\n\nPer logit, under callgrind (which has no AVX-512): \
         `cargo bench --bench instructions` fails where one grows by more than 5 %.\n\n",
    );
    let mut lines = BTreeMap::new();
    for (case, count) in baseline.lines().filter_map(|line| line.split_once('\t')) {
        let [operation, backend, shape] = case.split('/').collect::<Vec<_>>()[..] else { continue };
        let Some(column) = BACKENDS.iter().position(|&name| name == backend) else { continue };
        let classes: usize =
            shape.split('x').next_back().and_then(|classes| classes.parse().ok()).unwrap_or(0);
        lines.entry((operation, classes, shape)).or_insert([""; 3])[column] = count;
    }
    let names = ["operation", "shape"].into_iter().chain(BACKENDS);
    head(&mut text, &names.map(str::to_owned).collect::<Vec<_>>());
    for ((operation, _, shape), counts) in lines {
        let cells = [operation, shape].into_iter().chain(counts);
        row(&mut text, &cells.map(str::to_owned).collect::<Vec<_>>());
    }
    text
}
