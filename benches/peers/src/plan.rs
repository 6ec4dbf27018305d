//! What is measured, and for how long.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use xent_peers::common::linear::{SIZES, Size};
use xent_peers::common::operations::Operation;
use xent_peers::common::shape::{IMAGES, IN_L2, Shape, images, shape};

use crate::{Arguments, Part};

/// A library to compare with.
pub struct Peer {
    pub name: &'static str,
    pub kind: Kind,
}

/// How a library is reached.
pub enum Kind {
    /// A worker built with this feature, from this crate; `None` where there is none.
    Rust { feature: &'static str, package: Option<&'static str>, native: bool },
    /// A module of `python/libraries`, and what it needs from the package index.
    Python { library: &'static str, packages: &'static [&'static str] },
}

const fn rust(
    name: &'static str,
    feature: &'static str,
    package: Option<&'static str>,
    native: bool,
) -> Peer {
    Peer { name, kind: Kind::Rust { feature, package, native } }
}

const fn python(name: &'static str, library: &'static str, packages: &'static [&'static str]) -> Peer {
    Peer { name, kind: Kind::Python { library, packages } }
}

/// Those of the page.
const PEERS: [Peer; 7] = [
    python("PyTorch", "torch_eager", &["numpy==2.4.6", "torch==2.15.0"]),
    python("JAX", "jax_jit", &["numpy==2.4.6", "jax==0.10.2"]),
    python("TensorFlow", "tensorflow_eager", &["numpy==2.4.6", "tensorflow-cpu==2.21.0"]),
    python("ONNX Runtime", "onnx_runtime", &["numpy==2.4.6", "onnx==1.23.2", "onnxruntime==1.31.1"]),
    rust("rten native", "rten", Some("rten-vecmath"), true),
    rust("candle", "candle", Some("candle-core"), false),
    rust("loop", "", None, false),
];

/// Those that are measured where `--peers` names them: they take long to build, or to compile each shape, and none
/// of them is the fastest anywhere.
const MORE_PEERS: [Peer; 4] = [
    python("PyTorch compiled", "torch_compiled", &["numpy==2.4.6", "torch==2.15.0"]),
    rust("rten", "rten", Some("rten-vecmath"), false),
    rust("burn", "burn", Some("burn"), false),
    rust("ndarray", "ndarray", Some("ndarray"), false),
];

impl Peer {
    /// Whether a part of what is measured has this peer in it.
    pub fn takes_part(&self, part: Part) -> bool {
        match part {
            Part::Operations => true,
            Part::Linear => ["PyTorch", "JAX"].contains(&self.name),
            Part::Tokens => self.name == "PyTorch",
            _ => false,
        }
    }
}

/// What peers have, too.
pub const COMPARED: [Operation; 5] = [
    Operation::SparseLoss,
    Operation::SparseLossAndGradient,
    Operation::DenseLossAndGradient,
    Operation::Softmax,
    Operation::LogSoftmax,
];

/// The shapes of the page, by classes: few, classifiers, vocabularies, the decoding step of a server, a training
/// batch; detection and segmentation, with their classes in the middle.
const SHAPES: [Shape; 15] = [
    shape(16_384, 2),
    shape(8192, 10),
    shape(4096, 50),
    shape(2048, 81),
    shape(4096, 128),
    shape(1024, 1000),
    shape(128, 1024),
    shape(1024, 1024),
    shape(256, 32_000),
    shape(2048, 32_000),
    shape(64, 128_256),
    shape(1, 128_256),
    shape(8, 262_144),
    IMAGES[0],
    IMAGES[1],
];

/// A few of them.
const QUICK: [Shape; 4] = [shape(8192, 10), shape(128, 1024), shape(1024, 1000), shape(256, 32_000)];

/// Classes that come first: 50 000 of 80 rows.
pub const CLASSES_FIRST: Shape = images(1, 50_000, 80);

/// Shapes on which options and careful paths are measured.
pub const OPTIONS: [Shape; 2] = [shape(8192, 10), shape(4000, 1000)];

/// What servers read tokens of: one request, a batch, and a large vocabulary.
const TOKENS: [Shape; 3] = [shape(1, 128_256), shape(64, 50_257), shape(8, 262_144)];

/// Logits of 16 bits in cache.
const HALVES: [Shape; 2] = [shape(1, 128_256), IN_L2];

/// Logits of 16 bits that no cache holds, as f32 a gigabyte.
const HALVES_IN_MEMORY: Shape = shape(2048, 131_072);

/// Products of a classifier that `--quick` takes at most.
const QUICK_PRODUCTS: usize = 1 << 31;

/// How long a comparison takes.
#[derive(Clone, Copy)]
pub struct Turns {
    /// The length of one turn.
    pub slice: Duration,
    /// Rounds, at least and at most.
    pub rounds: (usize, usize),
    /// For each entrant: no new round starts after this, once there are enough.
    pub budget: Duration,
}

/// Everything there is to measure.
pub struct Plan {
    /// Why this is not all of the page; empty where it is.
    pub partial: String,
    pub quick: bool,
    pub shapes: Vec<Shape>,
    pub threads: Vec<usize>,
    pub peers: Vec<Peer>,
    pub parts: Vec<Part>,
    pub turns: Turns,
    pub linear: Vec<Size>,
    pub tokens: Vec<Shape>,
    /// Shapes, and on how many threads at least.
    pub halves: Vec<(Shape, usize)>,
}

impl Plan {
    pub fn new(arguments: &Arguments) -> Result<Self> {
        let all = if arguments.quick { QUICK.to_vec() } else { SHAPES.to_vec() };
        let shapes = match &arguments.shapes {
            None => all,
            Some(names) => {
                let named = names.iter().filter(|&name| SIZES.iter().all(|size| size.to_string() != *name));
                named.map(|name| name.parse().map_err(anyhow::Error::msg)).collect::<Result<_>>()?
            }
        };
        let mut peers = match &arguments.peers {
            None => PEERS.into(),
            Some(names) => chosen(names)?,
        };
        peers.retain(|peer| arguments.parts.iter().any(|&part| peer.takes_part(part)));
        let cores = std::thread::available_parallelism()?.get();
        let threads: Vec<usize> = arguments.threads.iter().copied().filter(|&n| n <= cores).collect();
        ensure!(!threads.is_empty(), "there are {cores} processors");
        let milliseconds = Duration::from_millis;
        let turns = if arguments.quick {
            Turns { slice: milliseconds(4), rounds: (3, 7), budget: milliseconds(40) }
        } else {
            Turns { slice: milliseconds(8), rounds: (5, 25), budget: milliseconds(240) }
        };
        let partial = arguments.partial();
        Ok(Self {
            partial,
            quick: arguments.quick,
            linear: linear(arguments),
            tokens: TOKENS.into_iter().filter(|shape| is_chosen(arguments, shape)).collect(),
            halves: halves(arguments),
            shapes,
            threads,
            peers,
            parts: arguments.parts.clone(),
            turns,
        })
    }
}

/// Whether this shape, or size, is to be measured.
fn is_chosen(arguments: &Arguments, shape: impl Display) -> bool {
    let shape = shape.to_string();
    arguments.shapes.as_ref().is_none_or(|names| names.contains(&shape))
}

fn linear(arguments: &Arguments) -> Vec<Size> {
    let is_quick = |size: &Size| size.shape().logits() * size.features <= QUICK_PRODUCTS;
    let chosen = SIZES.into_iter().filter(|size| is_chosen(arguments, size));
    chosen.filter(|size| !arguments.quick || is_quick(size)).collect()
}

/// Those in memory on two threads: one gets nowhere near what memory allows.
fn halves(arguments: &Arguments) -> Vec<(Shape, usize)> {
    let in_memory = (!arguments.quick).then_some((HALVES_IN_MEMORY, 2));
    let all = HALVES.map(|shape| (shape, 1)).into_iter().chain(in_memory);
    all.filter(|(shape, _)| is_chosen(arguments, shape)).collect()
}

/// The peers of these names.
fn chosen(names: &[String]) -> Result<Vec<Peer>> {
    let all = || PEERS.into_iter().chain(MORE_PEERS);
    if let Some(unknown) = names.iter().find(|&name| all().all(|peer| peer.name != name) && name != "none") {
        let known: Vec<&str> = all().map(|peer| peer.name).collect();
        bail!("{unknown} is none of {}", known.join(", "));
    }
    Ok(all().filter(|peer| names.iter().any(|name| name == peer.name)).collect())
}
