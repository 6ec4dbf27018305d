//! The shapes that are measured.

use core::fmt;
use core::str::FromStr;

/// A batch of logits: rows × classes, or outer × classes × inner, where each pair of an outer and an inner index is a
/// row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub rows: usize,
    pub classes: usize,
    /// 1 where the classes of a row follow each other.
    pub inner: usize,
}

/// A shape, rows first.
pub const fn shape(rows: usize, classes: usize) -> Shape {
    Shape { rows, classes, inner: 1 }
}

/// A shape with its classes in the middle.
pub const fn images(outer: usize, classes: usize, inner: usize) -> Shape {
    Shape { rows: outer * inner, classes, inner }
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

/// Classes that are not the last axis: detection, and segmentation.
pub const IMAGES: [Shape; 2] = [images(8, 81, 8732), images(4, 21, 512 * 512)];

/// Logits and a result of their shape take 1 MB: together within the L2 of a server core.
pub const IN_L2: Shape = shape(128, 1024);

/// One shape each of few classes, in cache, and out of cache.
pub const QUICK: [Shape; 4] = [shape(8192, 10), IN_L2, shape(1024, 1000), shape(256, 32_000)];

impl Shape {
    /// The number of logits.
    pub const fn logits(self) -> usize {
        self.rows * self.classes
    }

    /// Outer, classes, inner.
    pub const fn axes(self) -> [usize; 3] {
        [self.rows / self.inner, self.classes, self.inner]
    }

    /// Where a logit is.
    pub const fn position(self, row: usize, class: usize) -> usize {
        (row / self.inner * self.classes + class) * self.inner + row % self.inner
    }

    /// Row and class of a logit.
    pub const fn indices(self, position: usize) -> (usize, usize) {
        let (before, inner) = (position / self.inner, position % self.inner);
        (before / self.classes * self.inner + inner, before % self.classes)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.axes() {
            [outer, classes, 1] => write!(f, "{outer}x{classes}"),
            [outer, classes, inner] => write!(f, "{outer}x{classes}x{inner}"),
        }
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lengths: Option<Vec<usize>> = text.split('x').map(|length| length.parse().ok()).collect();
        match lengths.as_deref() {
            Some([rows, classes]) => Ok(shape(*rows, *classes)),
            Some([outer, classes, inner]) => Ok(images(*outer, *classes, *inner)),
            _ => Err(format!("{text} is no shape, such as 1024x1000 or 8x81x8732")),
        }
    }
}
