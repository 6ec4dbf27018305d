//! Rows of logits with labels, of kinds that are hard in different ways. The same in every run.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use fastrand::Rng;
use ndarray::{Array1, Array2};
use ndarray_npy::ReadNpyExt;

/// Some rows of one number of classes.
pub struct Inputs {
    pub name: String,
    pub classes: usize,
    pub logits: Vec<f32>,
    pub labels: Vec<usize>,
    pub distributions: Vec<f32>,
}

impl Inputs {
    pub fn rows(&self) -> usize {
        self.labels.len()
    }

    /// The logits, the label and the distribution of each row.
    pub fn iter(&self) -> impl Iterator<Item = (&[f32], usize, &[f32])> {
        let logits = self.logits.chunks(self.classes);
        let distributions = self.distributions.chunks(self.classes);
        logits.zip(&self.labels).zip(distributions).map(|((x, &label), t)| (x, label, t))
    }

    /// Rows that a closure makes: with any label, and any distribution, on classes that are not masked.
    fn new(
        name: &str,
        rows: usize,
        classes: usize,
        mut row: impl FnMut(&mut Rng, usize) -> Vec<f32>,
    ) -> Self {
        let mut random = Rng::with_seed(classes as u64);
        let logits: Vec<f32> = (0..rows).flat_map(|i| row(&mut random, i)).collect();
        let labels = logits.chunks(classes).map(|x| any_class(&mut random, x)).collect();
        let distributions = logits.chunks(classes).flat_map(|x| distribution(&mut random, x)).collect();
        Self { name: name.into(), classes, logits, labels, distributions }
    }

    /// With the largest logit for a label, and nearly all of the mass there.
    fn confident(mut self) -> Self {
        for ((x, label), t) in self
            .logits
            .chunks(self.classes)
            .zip(&mut self.labels)
            .zip(self.distributions.chunks_mut(self.classes))
        {
            *label = (0..x.len()).fold(0, |best, i| if x[i] > x[best] { i } else { best });
            t.fill(0.0);
            t[*label] = 1.0;
        }
        self
    }
}

/// A class that is not masked.
fn any_class(random: &mut Rng, x: &[f32]) -> usize {
    loop {
        let class = random.usize(..x.len());
        if x[class] != f32::NEG_INFINITY {
            return class;
        }
    }
}

/// Masses that add up to about 1; none where a class is masked.
pub fn distribution(random: &mut Rng, x: &[f32]) -> Vec<f32> {
    let sharpness = random.i32(1..12);
    let mass = |x: &f32| if *x == f32::NEG_INFINITY { 0.0 } else { random.f64().powi(sharpness) };
    let masses: Vec<f64> = x.iter().map(mass).collect();
    let sum: f64 = masses.iter().sum();
    masses.iter().map(|mass| rounded(mass / sum)).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "inputs are f32")]
fn rounded(x: f64) -> f32 {
    x as f32
}

/// A normally distributed number (Box and Muller).
pub fn normal(random: &mut Rng) -> f64 {
    (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (std::f64::consts::TAU * random.f64()).cos()
}

fn normals(random: &mut Rng, classes: usize, mean: f64, deviation: f64) -> Vec<f32> {
    (0..classes).map(|_| rounded(mean + deviation * normal(random))).collect()
}

/// All groups of inputs.
pub fn groups(data: &Path) -> Result<Vec<Inputs>> {
    let confident = Inputs::new("confident", 1024, 100, |random, i| {
        let mut x = normals(random, 100, 0.0, 1.0);
        let sum: f64 = x[1..].iter().map(|&x| f64::from(x).exp()).sum();
        // A loss from 1e-38 to 1e-3.
        x[0] = rounded(sum.ln() + std::f64::consts::LN_10 * (3.0 + 35.0 * i as f64 / 1023.0));
        let label = random.usize(..100);
        x.swap(0, label);
        x
    });
    let offsets = [1e2, -1e3, 1e4, -1e5, 1e6, -1e7, 1e8, -1e8];
    let mut groups = vec![
        confident.confident(),
        Inputs::new("far from zero", 128, 1000, |random, i| normals(random, 1000, offsets[i % 8], 8.0)),
        Inputs::new("masked", 128, 1000, |random, i| {
            let keep = [0.5, 0.9, 0.05, 0.003][i % 4];
            let mut x = normals(random, 1000, 0.0, 4.0);
            let sure = random.usize(..1000);
            for (class, x) in x.iter_mut().enumerate() {
                *x = if class == sure || random.f64() < keep { *x } else { f32::NEG_INFINITY };
            }
            x
        }),
        Inputs::new("wide", 128, 1000, |random, _| (0..1000).map(|_| -85.0 * random.f32()).collect()),
        Inputs::new("flat", 128, 1000, |random, i| {
            let deviation = 10.0_f64.powi(-i32::try_from(i % 8).unwrap_or_default());
            normals(random, 1000, 3.0, deviation)
        }),
        speech(data)?,
    ];
    for (rows, classes) in [(8192, 2), (8192, 10), (1024, 100), (16, 10_000), (2, 262_144)] {
        groups.push(Inputs::new(&format!("{classes} classes"), rows, classes, |random, _| {
            normals(random, classes, 0.0, 4.0)
        }));
    }
    Ok(groups)
}

/// What a speech recogniser expects to hear, and what was said.
fn speech(data: &Path) -> Result<Inputs> {
    let open = |name: &str| File::open(data.join(name)).with_context(|| format!("no {name}"));
    let logits = Array2::<f32>::read_npy(open("speech_logits.npy")?)?;
    let labels = Array1::<i64>::read_npy(open("speech_labels.npy")?)?;
    let (rows, classes) = logits.dim();
    let mut values = logits.rows().into_iter().map(|row| row.to_vec()).collect::<Vec<_>>().into_iter();
    let next = |_: &mut Rng, _| values.next().expect("as many as there are");
    let mut inputs = Inputs::new("speech", rows, classes, next);
    inputs.labels = labels.iter().map(|&label| usize::try_from(label)).collect::<Result<_, _>>()?;
    Ok(inputs)
}

/// Rows of more and more classes.
pub fn by_classes() -> Vec<Inputs> {
    let shape = |power: u32| ((1_usize << 22_u32.saturating_sub(power)).clamp(4, 256), 1_usize << power);
    let inputs = |(rows, classes)| {
        Inputs::new(&format!("classes-{classes}"), rows, classes, |random, _| {
            normals(random, classes, 0.0, 3.0)
        })
    };
    (1..=22).map(shape).map(inputs).collect()
}

/// Rows with logits at every distance from the largest.
pub fn by_distance() -> Inputs {
    Inputs::new("distances", 512, 1024, |random, _| {
        let max = 20.0 * (random.f32() - 0.5);
        (0..1024).map(|i| if i == 0 { max } else { max - 84.0 * random.f32() }).collect()
    })
}
