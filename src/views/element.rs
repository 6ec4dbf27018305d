//! The types of values that views are of.

use crate::simd::half;

/// A type of values that [`Rows`](crate::Rows) and [`RowsMut`](crate::RowsMut) can be of: `f32`, and, with the feature `half`,
/// [`half::bf16`](https://docs.rs/half/latest/half/struct.bf16.html) and
/// [`half::f16`](https://docs.rs/half/latest/half/struct.f16.html).
///
/// Values of 16 bits are widened as they are read, which is exact: results have the bits of those of the same numbers as
/// f32. What is written to them is the f32 result, rounded to the nearest number, of two as near to the even one.
///
/// ```
/// use xent::{Element, Error, Rows, argmax};
///
/// fn greedy<T: Element>(logits: &[T], classes: usize) -> Result<Vec<usize>, Error> {
///     argmax(Rows::new(logits, logits.len() / classes, classes)?)
/// }
///
/// assert_eq!(greedy(&[0.5, 2.0, 1.0, 0.0], 2)?, [1, 0]);
/// assert_eq!(greedy(&[0.5, 2.0, 1.0, 0.0].map(half::bf16::from_f32), 2)?, [1, 0]);
/// # Ok::<(), Error>(())
/// ```
pub trait Element: Copy + Send + Sync + 'static + sealed::Sealed {}

impl Element for f32 {}
#[cfg(feature = "half")]
impl Element for ::half::bf16 {}
#[cfg(feature = "half")]
impl Element for ::half::f16 {}

pub(crate) mod sealed {
    use super::half;

    pub trait Sealed {
        #[doc(hidden)]
        const ELEMENT: half::Element;
    }

    impl Sealed for f32 {
        const ELEMENT: half::Element = half::Element::F32;
    }
    #[cfg(feature = "half")]
    impl Sealed for ::half::bf16 {
        const ELEMENT: half::Element = half::Element::Half(half::Half::Bf16);
    }
    #[cfg(feature = "half")]
    impl Sealed for ::half::f16 {
        const ELEMENT: half::Element = half::Element::Half(half::Half::F16);
    }
}
