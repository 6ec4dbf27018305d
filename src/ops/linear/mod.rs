//! The loss of a linear classifier: its logits are made, used and made over in parts, and never stored as a whole.

mod batch;
mod calls;
mod chunks;
mod products;
mod tiles;
mod workspace;

use self::chunks::Gradient;
use self::workspace::Workspace;
use crate::simd::gemm::Matrix;
use crate::simd::half::Element;
use crate::simd::strided::StridedMut;
use crate::views::rows::expect_shape;
use crate::{CrossEntropy, Error, LogSumExp, Rows, RowsMut};

/// What a linear classifier makes logits of: `x W^T + b`.
///
/// `x` is a view of rows × features. `weights` is one of classes × features, one row for each class, wherever their values
/// lie: weights that are stored as features × classes, the `W` of `X W`, are `Rows::along_axis(&w, &[features, classes], 0)`.
///
/// Calls run where calls with `x` do: its [`with_backend`](Rows::with_backend) and
/// [`on_this_thread`](Rows::on_this_thread) count. The backend is that of the loss; products are made by the best
/// instructions that the CPU has.
///
/// ```
/// use xent::{Linear, LinearCrossEntropy, Rows};
///
/// // One row of two features; three classes.
/// let (x, w) = ([1.0, 2.0], [0.5, 0.0, -1.0, 0.25, 0.0, 1.0]); // w is features x classes
/// let linear = Linear::new(Rows::new(&x, 1, 2)?, Rows::along_axis(&w, &[2, 3], 0)?)?.bias(&[0.0, 3.0, 0.0])?;
/// let loss = LinearCrossEntropy::default().loss(&[1_u8], linear)?;
/// assert_eq!(loss.rows, [0.239_544_76]); // of the logits 1, 3, 1
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Linear<'a> {
    x: Rows<'a>,
    weights: Matrix<'a>,
    bias: Option<&'a [f32]>,
}

/// An error unless values are what products are made of.
fn expect_f32(what: &'static str, given: Element) -> Result<(), Error> {
    if given == Element::F32 {
        return Ok(());
    }
    Err(Error::ElementType { what, given: given.name(), expected: Element::F32.name() })
}

impl<'a> Linear<'a> {
    /// Features of rows, rows × features, and the weights of classes, classes × features.
    ///
    /// # Errors
    ///
    /// [`Error::FeatureCount`] unless both have as many features; [`Error::NoClasses`] for rows without classes;
    /// [`Error::UnevenRows`] for weights whose rows do not lie at one stride; [`Error::ElementType`] for weights that are no
    /// f32, as features may be.
    pub fn new(x: Rows<'a>, weights: Rows<'a>) -> Result<Self, Error> {
        if weights.rows() == 0 && x.rows() > 0 {
            return Err(Error::NoClasses { rows: x.rows() });
        }
        // What is as long as nothing has no features.
        if x.classes() != weights.classes() && x.rows() > 0 {
            return Err(Error::FeatureCount { given: weights.classes(), expected: x.classes() });
        }
        expect_f32("weights", weights.values().element())?;
        let weights = Matrix::of(weights.values()).ok_or(Error::UnevenRows { what: "weights" })?;
        Ok(Self { x, weights, bias: None })
    }

    /// One value for each class, which is added to its logits.
    ///
    /// # Errors
    ///
    /// [`Error::OptionLength`] unless there is one for each class.
    pub const fn bias(self, bias: &'a [f32]) -> Result<Self, Error> {
        let (given, expected) = (bias.len(), self.weights.rows());
        if given != expected {
            return Err(Error::OptionLength { what: "bias", given, expected });
        }
        Ok(Self { bias: Some(bias), ..self })
    }

    const fn features(&self) -> usize {
        self.weights.columns()
    }

    /// How many threads a forward pass over so many rows is worth.
    fn threads(&self, rows: usize) -> usize {
        products::threads(self.x.execution(), [rows, self.weights.rows(), self.features()])
    }
}

/// The cross-entropy of a linear classifier: [`CrossEntropy`] of the logits `x W^T + b`, which are never stored as a whole.
///
/// The losses of a forward pass are folded from tiles of up to 512 rows × 1,024 classes. Gradients need all logits of some
/// rows; so do losses of distributions, of smoothed labels and with a mask for each row. Those are taken in chunks
/// of rows that fit into a [`workspace`](Self::workspace). Rows that are ignored drop out before their logits are made.
///
/// - **Exactness.** Given the logits, losses and gradients are as exact as those of [`CrossEntropy`], tiny losses too. A
///   logit itself is a sum of products in f32: at most `(features + 2) 2^-24 (sum |x_i w_i| + |b|)` off. A gradient of a
///   weight is at most `(256 + rows / 256) 2^-24 sum |g_i x_i|` off the sum over its rows, that of `x` at most
///   `classes 2^-24 sum |g_j w_j|`; that of a bias is added up in f64, and rounded once for each 256 rows.
/// - **Bits.** No number of threads and no workspace changes a bit. The gradient of weights adds rows in their order, by
///   blocks of 256 rows that count, fewer where classes and features are more than 65,536. Losses and gradients of a row do not depend on
///   other rows. A loss that was folded from tiles can differ in its last bit from the one of a call that has the whole row. Bits of products are those
///   of CPUs that fuse multiply-add, which on others differ.
/// - **Memory.** The workspace; some 300 bytes for each row; one packed block of at most 1.2 MB for each thread. A workspace is taken
///   per call, and given back.
///
/// Formula: `CS231n`, "Linear classification", with `reg sum W^2` as its regularisation; in tiles as in Wijmans et al., "Cut your losses
/// in large-vocabulary language models" (2025).
///
/// ```
/// use xent::{CrossEntropy, Linear, LinearCrossEntropy, LinearGradients, LinearResults, Reduction, Rows, RowsMut};
///
/// let (x, w, labels) = ([1.0, 2.0, 0.0, 1.0], [0.1, 0.2, -0.3, 0.4, 0.0, 0.0], [0_u8, 2]);
/// let linear = Linear::new(Rows::new(&x, 2, 2)?, Rows::new(&w, 3, 2)?)?;
/// let mean = LinearCrossEntropy::new(CrossEntropy::new().reduction(Reduction::Mean)).l2(0.01)?;
///
/// let (mut losses, mut gradient) = ([0.0; 2], [0.0; 6]);
/// let results = LinearResults::new().losses(&mut losses);
/// let gradients = LinearGradients::new().weights(RowsMut::new(&mut gradient, 3, 2)?);
/// let summary = mean.loss_and_gradients_into(&labels, linear, results, gradients)?;
/// assert!((summary.value - 1.137_961).abs() < 1e-5);
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearCrossEntropy<'a> {
    loss: CrossEntropy<'a>,
    l2: f64,
    workspace: Workspace,
}

impl Default for LinearCrossEntropy<'_> {
    fn default() -> Self {
        Self::new(CrossEntropy::new())
    }
}

impl<'a> LinearCrossEntropy<'a> {
    /// A loss of logits, with all of its options; no L2 term, a workspace of 64 MiB.
    #[must_use]
    pub const fn new(loss: CrossEntropy<'a>) -> Self {
        Self { loss, l2: 0.0, workspace: Workspace { bytes: 64 << 20 } }
    }

    /// Adds `reg sum W^2` to the reduced loss, and `2 reg W` to the gradient of the weights, not of the bias: the L2 term of
    /// `CS231n`. `PyTorch`'s `weight_decay`, whose gradient is `weight_decay W`, is a `reg` of half of it. It is multiplied by an upstream gradient
    /// that is one number, and not by one of one per row.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless `reg` is a finite number of at least 0.
    ///
    /// ```
    /// use xent::{Linear, LinearCrossEntropy, Rows};
    ///
    /// let linear = Linear::new(Rows::new(&[0.0], 1, 1)?, Rows::new(&[3.0, 4.0], 2, 1)?)?;
    /// let loss = LinearCrossEntropy::default().l2(0.1)?.loss(&[0_u8], linear)?;
    /// assert_eq!(loss.rows, [core::f32::consts::LN_2]);
    /// assert_eq!(loss.summary.value, core::f32::consts::LN_2 + 2.5);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn l2(self, reg: f64) -> Result<Self, Error> {
        if reg >= 0.0 && reg.is_finite() {
            return Ok(Self { l2: reg, ..self });
        }
        let (given, expected) = (reg.to_string(), "a finite number of at least 0");
        Err(Error::Option { what: "L2 factor", index: None, given, expected })
    }

    /// How many bytes a call may take for logits and for copies of features: 64 MiB unless it is set.
    ///
    /// A call needs room for the logits of one row, or of one tile of it, and for its features where they are copied;
    /// gradients of weights and of a bias need it for a block of 256 rows, or of as many as have 16 million logits and
    /// features: then 64 MiB are enough. Where there is more room, threads have larger products to share.
    #[must_use]
    pub const fn workspace(self, bytes: usize) -> Self {
        Self { workspace: Workspace { bytes }, ..self }
    }
}

/// Where that goes which there is one of per row: a slice for each that is wanted.
///
/// An ignored row has a loss of 0, [`LogSumExp::EMPTY`], `usize::MAX` and `false`.
#[derive(Debug, Default)]
#[must_use]
pub struct LinearResults<'a> {
    losses: Option<&'a mut [f32]>,
    saved: Option<&'a mut [LogSumExp]>,
    argmax: Option<&'a mut [usize]>,
    correct: Option<&'a mut [bool]>,
}

impl<'a> LinearResults<'a> {
    /// Nothing but the summary.
    pub fn new() -> Self {
        Self::default()
    }

    /// The losses, in nats.
    pub fn losses(self, to: &'a mut [f32]) -> Self {
        Self { losses: Some(to), ..self }
    }

    /// What a later [`backward_into`](LinearCrossEntropy::backward_into) needs, and the log-sum-exp.
    pub fn saved(self, to: &'a mut [LogSumExp]) -> Self {
        Self { saved: Some(to), ..self }
    }

    /// The class of the largest logit, the first of equal ones; of the first NaN where there is one.
    pub fn argmax(self, to: &'a mut [usize]) -> Self {
        Self { argmax: Some(to), ..self }
    }

    /// Whether that is the label: `false` where labels are distributions.
    pub fn correct(self, to: &'a mut [bool]) -> Self {
        Self { correct: Some(to), ..self }
    }
}

/// Where gradients go: those that are wanted, each written over what is there or added to it.
///
/// ```
/// use xent::{Linear, LinearCrossEntropy, LinearGradients, LinearResults, Rows, RowsMut};
///
/// // Two micro-batches, whose gradients are added up.
/// let w = [0.5, -0.5];
/// let mut gradient = [0.0; 2];
/// for (x, label) in [([1.0], [0_u8]), ([2.0], [1])] {
///     let linear = Linear::new(Rows::new(&x, 1, 1)?, Rows::new(&w, 2, 1)?)?;
///     let sum = LinearGradients::new().add_to_weights(RowsMut::new(&mut gradient, 2, 1)?);
///     LinearCrossEntropy::default().loss_and_gradients_into(&label, linear, LinearResults::new(), sum)?;
/// }
/// assert!((gradient[0] - 1.492_653).abs() < 1e-6); // -1 / (1 + e) + 2 / (1 + e^-2)
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Default)]
#[must_use]
pub struct LinearGradients<'a> {
    x: Option<Gradient<StridedMut<'a>>>,
    weights: Option<Gradient<StridedMut<'a>>>,
    bias: Option<Gradient<&'a mut [f32]>>,
}

impl<'a> LinearGradients<'a> {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// That of `x`, rows × features: `G W`, for a gradient `G` of the logits. It is 0 for a row that is ignored.
    pub fn x(self, to: RowsMut<'a>) -> Self {
        Self { x: Some(Gradient { to: to.into_values(), adds: false }), ..self }
    }

    /// As [`x`](Self::x), added to what is there.
    pub fn add_to_x(self, to: RowsMut<'a>) -> Self {
        Self { x: Some(Gradient { to: to.into_values(), adds: true }), ..self }
    }

    /// That of the weights, classes × features: `G^T x`. Strides say how it is stored, as for the weights themselves.
    pub fn weights(self, to: RowsMut<'a>) -> Self {
        Self { weights: Some(Gradient { to: to.into_values(), adds: false }), ..self }
    }

    /// As [`weights`](Self::weights), added to what is there.
    pub fn add_to_weights(self, to: RowsMut<'a>) -> Self {
        Self { weights: Some(Gradient { to: to.into_values(), adds: true }), ..self }
    }

    /// That of the bias, one value for each class: the sums of the columns of `G`.
    pub fn bias(self, to: &'a mut [f32]) -> Self {
        Self { bias: Some(Gradient { to, adds: false }), ..self }
    }

    /// As [`bias`](Self::bias), added to what is there.
    pub fn add_to_bias(self, to: &'a mut [f32]) -> Self {
        Self { bias: Some(Gradient { to, adds: true }), ..self }
    }

    /// An error unless those that are wanted have the shapes of what they are the gradients of.
    fn validate(&self, linear: &Linear<'_>) -> Result<(), Error> {
        let (rows, classes, features) = (linear.x.rows(), linear.weights.rows(), linear.features());
        for (what, gradient, expected) in [
            ("gradient of x", &self.x, (rows, features)),
            ("gradient of the weights", &self.weights, (classes, features)),
        ] {
            let Some(Gradient { to, .. }) = gradient else { continue };
            let given = (to.layout().rows, to.layout().classes);
            expect_shape(what, given, expected)?;
        }
        if let Some(Gradient { to, .. }) = &self.weights {
            expect_f32("gradient of the weights", to.share().element())?;
            if to.layout().seam(0).is_some() {
                return Err(Error::UnevenRows { what: "gradient of the weights" });
            }
        }
        match &self.bias {
            Some(Gradient { to, .. }) if to.len() != classes => {
                Err(Error::OptionLength { what: "gradient of the bias", given: to.len(), expected: classes })
            }
            _ => Ok(()),
        }
    }
}
