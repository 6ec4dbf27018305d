//! The loss of logits of 16 bits beside that of the same ones as f32, after each has shown that it is right.

use anyhow::{Context, Result, ensure};
use half::{bf16, f16};
use xent_peers::common::inputs;
use xent_peers::common::shape::Shape;

use crate::Folders;
use crate::child::Start;
use crate::plan::Plan;
use crate::reference::{close, log_sum_exp, run};
use crate::results::{Comparison, Kind, Results};
use crate::team::Team;

type Narrow = fn(f32) -> f32;

/// The types, and what a logit becomes as one of them.
const TYPES: [(&str, Narrow); 3] =
    [("f32", |x| x), ("bf16", |x| bf16::from_f32(x).to_f32()), ("f16", |x| f16::from_f32(x).to_f32())];

/// So many rows are checked.
const SOME: usize = 16;

/// Measures all shapes on all numbers of threads that they are for.
pub fn measure(plan: &Plan, xent: &Start, folders: &Folders, results: &mut Results) -> Result<()> {
    for &threads in &plan.threads {
        let team = Team::start("halves", xent, [], threads, folders, results)?;
        for &(shape, _) in plan.halves.iter().filter(|(_, least)| threads >= *least) {
            team.xent.generate(shape)?;
            for backend in &team.backends {
                let mut runners = Vec::new();
                for (name, narrow) in TYPES {
                    let operation = format!("{name}@{backend}");
                    check(&team, &operation, narrow, shape, folders)
                        .with_context(|| format!("{operation} {shape}"))?;
                    runners.push(team.own(format!("{name} {backend}"), operation));
                }
                let what = format!("halves at {shape}");
                let entrants = team.take_turns(runners, shape.logits() as f64, plan.turns, &what, results)?;
                results.add(Comparison::new(Kind::Halves, "sparse_loss", shape, threads, entrants));
            }
        }
    }
    Ok(())
}

/// Compares the losses of some rows.
fn check(team: &Team<'_>, operation: &str, narrow: Narrow, shape: Shape, folders: &Folders) -> Result<()> {
    let results = run(&team.xent, operation, &folders.target)?.context("not offered")?;
    ensure!(results.len() == 1 && results[0].len() == shape.rows, "{} results", results.len());
    let labels = inputs::labels(shape);
    for row in (0..shape.rows).step_by(shape.rows.div_ceil(SOME)) {
        let places = row * shape.classes..(row + 1) * shape.classes;
        let logits: Vec<f32> = inputs::normal(places, inputs::SPREAD).into_iter().map(narrow).collect();
        let expected = log_sum_exp(&logits) - f64::from(logits[labels[row] as usize]);
        let loss = results[0][row];
        ensure!(close(loss, expected, 1.0), "loss of row {row} is {loss}, not {expected}");
    }
    Ok(())
}
