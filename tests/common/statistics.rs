//! All statistics of some rows.

use xent::{Error, Statistics};

#[derive(Clone, Debug)]
pub struct Inspected {
    pub log_sum_exp: Vec<f32>,
    pub log_probability: Vec<f32>,
    pub z_loss: Vec<f32>,
    pub argmax: Vec<usize>,
    pub correct: Vec<bool>,
    pub entropy: Vec<f32>,
}

impl Inspected {
    /// Those that a call gives for so many rows.
    ///
    /// # Panics
    ///
    /// Where the call fails.
    pub fn of(rows: usize, call: impl FnOnce(Statistics<'_>) -> Result<(), Error>) -> Self {
        let mut all = Self {
            log_sum_exp: vec![9.0; rows],
            log_probability: vec![9.0; rows],
            z_loss: vec![9.0; rows],
            argmax: vec![9; rows],
            correct: vec![true; rows],
            entropy: vec![9.0; rows],
        };
        let wanted = Statistics::new()
            .log_sum_exp(&mut all.log_sum_exp)
            .log_probability(&mut all.log_probability)
            .z_loss(&mut all.z_loss)
            .argmax(&mut all.argmax)
            .correct(&mut all.correct)
            .entropy(&mut all.entropy);
        call(wanted).expect("a valid call");
        all
    }
}
