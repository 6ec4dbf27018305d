//! What servers read of tokens, beside the log-sum-exp alone, a loop with a heap, and a peer, after each has shown
//! that it is right.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use xent_peers::common::operations::Buffers;
use xent_peers::common::shape::Shape;
use xent_peers::files;

use crate::Folders;
use crate::child::{Child, Start};
use crate::measure::Runner;
use crate::plan::{Peer, Plan};
use crate::reference::{close, log_sum_exp, run};
use crate::results::{Comparison, Kind, Results};
use crate::team::Team;

/// The largest logits that are read.
const COUNTS: [usize; 2] = [20, 1];

/// How far apart log-probabilities of f32 may be that are those of equal logits, or of logits in their order.
const ROUNDING: f64 = 1e-5;

/// Measures all shapes on all numbers of threads.
pub fn measure(
    plan: &Plan,
    xent: &Start,
    peers: &[&(&Peer, Start)],
    folders: &Folders,
    results: &mut Results,
) -> Result<()> {
    let start = |&threads| Team::start("tokens", xent, peers.iter().copied(), threads, folders, results);
    let teams = plan.threads.iter().map(start);
    let mut teams = teams.collect::<Result<Vec<_>>>()?;
    for &shape in &plan.tokens {
        let input = Input::prepare(shape, folders)?;
        for team in &mut teams {
            team.xent.load(shape, &input.folder)?;
            team.load(&shape.to_string(), |_, child| child.load(shape, &input.folder), results);
            for count in COUNTS {
                let runners = runners(team, count, &input, results)?;
                let what = format!("tokens at {shape}");
                let entrants = team.take_turns(runners, shape.logits() as f64, plan.turns, &what, results)?;
                results.add(Comparison::new(
                    Kind::Tokens,
                    &format!("top_{count}"),
                    shape,
                    team.threads,
                    entrants,
                ));
            }
            team.unload()?;
        }
    }
    Ok(())
}

/// Those who are right. That xent is not ends everything.
fn runners<'a>(
    team: &'a Team<'_>,
    count: usize,
    input: &Input,
    results: &mut Results,
) -> Result<Vec<Runner<'a>>> {
    let mut runners = Vec::new();
    for backend in &team.backends {
        let operation = format!("tokens:{count}@{backend}");
        input.check(&team.xent, &operation, count).with_context(|| format!("{operation} {}", input.shape))?;
        runners.push(team.own(format!("xent {backend}"), operation));
        runners.push(team.own(format!("log-sum-exp {backend}"), format!("xent:log_sum_exp@{backend}")));
    }
    if count > 1 {
        input.check(&team.xent, "tokens:by_hand", count).context("the loop with a heap")?;
        runners.push(team.own("heap".to_owned(), "tokens:by_hand".to_owned()));
    }
    for (peer, child) in &team.peers {
        let (name, operation) = (peer.name.to_owned(), format!("tokens_{count}"));
        match input.check(child, &operation, count) {
            Ok(true) => runners.push(Runner { name, child, operation }),
            Ok(false) => {}
            Err(error) => results.problem(format!("{name} {operation} {}: {error:#}", input.shape)),
        }
    }
    Ok(runners)
}

/// Inputs in files, and what decides about the results.
struct Input {
    shape: Shape,
    folder: PathBuf,
    rows: Vec<Row>,
}

/// A row's log-probabilities, and what follows from them.
struct Row {
    log_probs: Vec<f64>,
    falling: Vec<f64>,
    chosen: f64,
    entropy: f64,
}

impl Input {
    fn prepare(shape: Shape, folders: &Folders) -> Result<Self> {
        let folder = folders.target.join(format!("inputs/{shape}"));
        let inputs = Buffers::new(shape);
        files::write_inputs(&folder, &inputs)?;
        let rows = inputs.logits.chunks(shape.classes).zip(&inputs.labels);
        let rows = rows.map(|(logits, &label)| Row::new(logits, label as usize)).collect();
        Ok(Self { shape, folder, rows })
    }

    /// Has a worker read so many of the largest logits, and all else; `false` where it does not offer that.
    fn check(&self, child: &Child, operation: &str, count: usize) -> Result<bool> {
        let Some(results) = run(child, operation, &self.folder)? else { return Ok(false) };
        let [top, ids, rest @ ..] = &results[..] else { anyhow::bail!("{} results", results.len()) };
        let rows = self.rows.len();
        ensure!(top.len() == rows * count && ids.len() == rows * count, "{} largest", top.len());
        for ((row, top), ids) in self.rows.iter().zip(top.chunks(count)).zip(ids.chunks(count)) {
            row.check_top(top, ids)?;
        }
        let [chosen, ranks, entropies] = rest else { return Ok(true) };
        ensure!([chosen, ranks, entropies].map(Vec::len) == [rows; 3], "{} rows", chosen.len());
        for (index, row) in self.rows.iter().enumerate() {
            row.check_chosen(chosen[index], ranks[index], entropies[index])?;
        }
        Ok(true)
    }
}

impl Row {
    fn new(logits: &[f32], label: usize) -> Self {
        let log_sum_exp = log_sum_exp(logits);
        let log_probs: Vec<f64> = logits.iter().map(|&x| f64::from(x) - log_sum_exp).collect();
        let mut falling = log_probs.clone();
        falling.sort_by(|a, b| b.total_cmp(a));
        let entropy = log_probs.iter().map(|x| -x.exp() * x).sum();
        Self { chosen: log_probs[label], log_probs, falling, entropy }
    }

    /// Of equal logits either may come first, but none twice.
    fn check_top(&self, top: &[f32], ids: &[f32]) -> Result<()> {
        for (place, (&value, &id)) in top.iter().zip(ids).enumerate() {
            let expected = self.falling[place];
            ensure!(close(value, expected, 1.0), "number {place} is {value}, not {expected}");
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "ids are small integers"
            )]
            let of_id = self.log_probs.get(id as usize).copied().unwrap_or(f64::NAN);
            ensure!((of_id - expected).abs() <= ROUNDING, "number {place} is not token {id}");
            ensure!(!ids[..place].contains(&id), "token {id} comes twice");
        }
        Ok(())
    }

    /// A rank counts logits that are equal to the chosen one, as vLLM does, or are so once they are rounded.
    fn check_chosen(&self, chosen: f32, rank: f32, entropy: f32) -> Result<()> {
        ensure!(close(chosen, self.chosen, 1.0), "the chosen token has {chosen}, not {}", self.chosen);
        ensure!(close(entropy, self.entropy, 1.0), "the entropy is {entropy}, not {}", self.entropy);
        let above = |least: f64| self.falling.partition_point(|&x| x >= least) as f64;
        let (least, most) = (above(self.chosen + ROUNDING) + 1.0, above(self.chosen - ROUNDING));
        ensure!(
            (least..=most).contains(&f64::from(rank)),
            "the rank is {rank}, not between {least} and {most}"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Row;

    #[test]
    fn what_is_read_of_a_row_is_checked() {
        let row = Row::new(&[1.0, 3.0, 2.0, 3.0], 2);
        // ln(e + 2 e^3 + e^2), by hand.
        let log_sum_exp = 3.917_575_8_f32;
        let (top, chosen) = ([3.0 - log_sum_exp; 2], 2.0 - log_sum_exp);
        assert!(row.check_top(&top, &[1.0, 3.0]).is_ok() && row.check_top(&top, &[3.0, 1.0]).is_ok());
        assert!(row.check_top(&top, &[1.0, 1.0]).is_err() && row.check_top(&top, &[1.0, 2.0]).is_err());
        let entropy = row.entropy.to_string().parse().expect("a number");
        assert!(row.check_chosen(chosen, 3.0, entropy).is_ok());
        assert!(row.check_chosen(chosen, 2.0, entropy).is_err());
        assert!(row.check_chosen(chosen + 0.01, 3.0, entropy).is_err());
        assert!(row.check_chosen(chosen, 3.0, entropy + 0.01).is_err());
    }
}
