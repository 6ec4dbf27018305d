//! The shapes that are measured.

use core::fmt;

/// rows × classes of a batch of logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub rows: usize,
    pub classes: usize,
}

/// A shape, rows first.
pub const fn shape(rows: usize, classes: usize) -> Shape {
    Shape { rows, classes }
}

/// Few classes, classifiers, vocabularies, the decoding step of a server, and a training batch.
pub const SHAPES: [Shape; 10] = [
    shape(8192, 10),
    shape(4096, 128),
    IN_L2,
    shape(1024, 1000),
    shape(1024, 1024),
    shape(256, 32_000),
    shape(64, 128_256),
    shape(1, 128_256),
    shape(8, 262_144),
    shape(2048, 32_000),
];

/// Logits and a result of their shape take 1 MB: together within the L2 of a server core.
pub const IN_L2: Shape = shape(128, 1024);

/// One shape each of few classes, in cache, and out of cache.
pub const QUICK: [Shape; 4] = [shape(8192, 10), IN_L2, shape(1024, 1000), shape(256, 32_000)];

impl Shape {
    /// The number of logits.
    pub const fn logits(self) -> usize {
        self.rows * self.classes
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.rows, self.classes)
    }
}
