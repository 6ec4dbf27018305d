//! What is measured, and for how long.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use xent_peers::common::operations::Operation;
use xent_peers::common::shape::{IMAGES, QUICK, SHAPES, Shape};

use crate::Arguments;

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

const PEERS: [Peer; 11] = [
    python("PyTorch", "torch_eager", &["numpy==2.4.6", "torch==2.15.0"]),
    python("PyTorch compiled", "torch_compiled", &["numpy==2.4.6", "torch==2.15.0"]),
    python("JAX", "jax_jit", &["numpy==2.4.6", "jax==0.10.2"]),
    python("TensorFlow", "tensorflow_eager", &["numpy==2.4.6", "tensorflow-cpu==2.21.0"]),
    python("ONNX Runtime", "onnx_runtime", &["numpy==2.4.6", "onnx==1.23.2", "onnxruntime==1.31.1"]),
    rust("rten native", "rten", Some("rten-vecmath"), true),
    rust("rten", "rten", Some("rten-vecmath"), false),
    rust("candle", "candle", Some("candle-core"), false),
    rust("burn", "burn", Some("burn"), false),
    rust("ndarray", "ndarray", Some("ndarray"), false),
    rust("loop", "", None, false),
];

/// What peers have, too.
pub const COMPARED: [Operation; 5] = [
    Operation::SparseLoss,
    Operation::SparseLossAndGradient,
    Operation::DenseLossAndGradient,
    Operation::Softmax,
    Operation::LogSoftmax,
];

/// How long a comparison takes.
#[derive(Clone, Copy)]
pub struct Turns {
    /// The length of one turn.
    pub slice: Duration,
    /// Rounds, at least and at most.
    pub rounds: (usize, usize),
    /// No new round starts after this, once there are enough.
    pub budget: Duration,
}

/// Everything there is to measure.
pub struct Plan {
    pub quick: bool,
    pub shapes: Vec<Shape>,
    pub threads: Vec<usize>,
    pub peers: Vec<Peer>,
    pub turns: Turns,
}

impl Plan {
    pub fn new(arguments: &Arguments) -> Result<Self> {
        let all_shapes: Vec<Shape> = SHAPES.into_iter().chain(IMAGES).collect();
        let all = if arguments.quick { QUICK.to_vec() } else { all_shapes.clone() };
        let shapes = match &arguments.shapes {
            None => all,
            Some(names) => chosen(names, all_shapes, ToString::to_string)?,
        };
        let peers = match &arguments.peers {
            None => PEERS.into(),
            Some(names) => chosen(names, PEERS.into(), |peer: &Peer| peer.name.to_owned())?,
        };
        let cores = std::thread::available_parallelism()?.get();
        let threads: Vec<usize> = arguments.threads.iter().copied().filter(|&n| n <= cores).collect();
        ensure!(!threads.is_empty(), "there are {cores} processors");
        let turns = if arguments.quick {
            Turns { slice: Duration::from_millis(8), rounds: (3, 5), budget: Duration::from_millis(200) }
        } else {
            Turns { slice: Duration::from_millis(20), rounds: (5, 11), budget: Duration::from_millis(500) }
        };
        Ok(Self { quick: arguments.quick, shapes, threads, peers, turns })
    }
}

/// Those of `all` that are named.
fn chosen<T>(names: &[String], all: Vec<T>, name_of: impl Fn(&T) -> String) -> Result<Vec<T>> {
    let known: Vec<String> = all.iter().map(&name_of).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        bail!("{unknown} is none of {}", known.join(", "));
    }
    Ok(all.into_iter().filter(|item| names.contains(&name_of(item))).collect())
}
