//! What is called: an operation, its options, and inputs of some shape, whose results are a hash.

use std::hash::{DefaultHasher, Hasher};

use fastrand::Rng;
use xent::{
    Backend, BinaryCrossEntropy, CrossEntropy, ElementReduction, Error, Hinge, HingePower, KlDivergence,
    LogSumExp, NegativeLogLikelihood, Normalise, Reduction, Rows, RowsMut, Smoothing, SquaredError,
    Statistics, Targets, argmax, log_softmax, log_softmax_gradient, log_softmax_in_place, log_sum_exp,
    row_max, softmax, softmax_gradient, softmax_in_place,
};

/// One row and many, one class and many; on both sides of the sizes at which rows are computed together, leave the
/// calling thread, and are shared by threads.
const SHAPES: [(usize, usize); 12] = [
    (1, 1),
    (1000, 3),
    (37, 96),
    (37, 97),
    (900, 40),
    (64, 1000),
    (300, 513),
    (4000, 10),
    (5, 16_385),
    (2, 40_000),
    (1, 65_537),
    (3, 70_000),
];

/// On slow backends a case has at most so many logits, so that the time goes to many calls.
const FEW: usize = 8000;

/// Labels of ignored rows.
const IGNORED: i64 = -100;

/// What every call of a shape reads.
pub(crate) struct Inputs {
    rows: usize,
    classes: usize,
    stride: usize,
    logits: Vec<f32>,
    labels: Vec<i64>,
    distributions: Vec<f32>,
    row_weights: Vec<f32>,
    class_weights: Vec<f32>,
    mask: Vec<bool>,
}

impl Inputs {
    /// Inputs of every shape.
    pub(crate) fn all(rng: &mut Rng) -> Vec<Self> {
        SHAPES.map(|(rows, classes)| Self::new(rows, classes, rng)).into()
    }

    fn new(rows: usize, classes: usize, rng: &mut Rng) -> Self {
        let stride = classes + rng.usize(..4);
        // A label in sixteen is ignored; logits of which some are masked, and some far above the others.
        let logit = |rng: &mut Rng| match rng.u16(..1000) {
            0 => f32::NEG_INFINITY,
            1 => 60.0,
            _ => rng.f32().mul_add(20.0, -10.0),
        };
        let label = |rng: &mut Rng| match rng.u8(..16) {
            0 => IGNORED,
            _ => i64::try_from(rng.usize(..classes)).expect("a few classes"),
        };
        let mut some = |len: usize| (0..len).map(|_| rng.f32()).collect::<Vec<_>>();
        let (distributions, row_weights, class_weights) = (some(rows * classes), some(rows), some(classes));
        Self {
            rows,
            classes,
            stride,
            logits: (0..rows * stride).map(|_| logit(rng)).collect(),
            labels: (0..rows).map(|_| label(rng)).collect(),
            distributions,
            row_weights,
            class_weights,
            // The first class is there for everybody.
            mask: (0..classes).map(|class| class == 0 || rng.u8(..8) > 0).collect(),
        }
    }

    pub(crate) const fn values(&self) -> usize {
        self.rows * self.classes
    }

    fn logits(&self, backend: Backend) -> Result<Rows<'_>, Error> {
        Ok(Rows::with_stride(&self.logits, self.rows, self.classes, self.stride)?.with_backend(backend))
    }

    fn distributions(&self, backend: Backend) -> Result<Rows<'_>, Error> {
        Ok(Rows::new(&self.distributions, self.rows, self.classes)?.with_backend(backend))
    }
}

/// What is computed.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Softmax,
    LogSoftmax,
    InPlace,
    Reductions,
    Gradients,
    Sparse(Options),
    Dense(Options),
    Passes(Options),
    Statistics(Options),
    Hinge,
    Likelihood,
    Binary,
    Divergence,
    SquaredError,
    /// A call that must be refused.
    Refused,
}

/// Sets of options of the loss.
#[derive(Clone, Copy, Debug)]
enum Options {
    Plain,
    Mean,
    Weighted,
    Smoothed,
    Mapped,
}

const OPTIONS: [Options; 5] =
    [Options::Plain, Options::Mean, Options::Weighted, Options::Smoothed, Options::Mapped];

impl Options {
    fn loss(self, inputs: &Inputs) -> Result<CrossEntropy<'_>, Error> {
        let loss = CrossEntropy::new().ignore_index(IGNORED);
        match self {
            Self::Plain => Ok(loss),
            Self::Mean => Ok(loss.reduction(Reduction::Mean).upstream(0.5)),
            Self::Weighted => loss.class_weights(&inputs.class_weights)?.row_weights(&inputs.row_weights),
            Self::Smoothed => {
                Ok(loss.label_smoothing(0.1, Smoothing::Uniform)?.z_loss(1e-3)?.class_mask(&inputs.mask))
            }
            Self::Mapped => loss.soft_cap(30.0)?.temperature(2.0),
        }
    }
}

/// One call, or a few that belong together.
pub(crate) struct Case<'a> {
    inputs: &'a Inputs,
    operation: Operation,
    backend: Backend,
}

impl<'a> Case<'a> {
    /// Every operation with every set of options, of every shape, on every backend.
    pub(crate) fn all(inputs: &'a [Inputs]) -> Vec<Self> {
        let plain = [
            Operation::Softmax,
            Operation::LogSoftmax,
            Operation::InPlace,
            Operation::Reductions,
            Operation::Gradients,
            Operation::Hinge,
            Operation::Likelihood,
            Operation::Binary,
            Operation::Divergence,
            Operation::SquaredError,
            Operation::Refused,
        ];
        let with_options =
            [Operation::Sparse, Operation::Dense, Operation::Passes, Operation::Statistics as fn(_) -> _];
        let with_options = with_options.into_iter().flat_map(|operation| OPTIONS.map(operation));
        let operations: Vec<_> = plain.into_iter().chain(with_options).collect();
        let mut cases = Vec::new();
        for backend in Backend::available() {
            let slow = matches!(backend, Backend::Scalar | Backend::Portable);
            for inputs in inputs.iter().filter(|inputs| !slow || inputs.values() <= FEW) {
                cases.extend(operations.iter().map(|&operation| Self { inputs, operation, backend }));
            }
        }
        cases
    }

    /// What it is, for people.
    pub(crate) fn named(&self) -> String {
        let Self { inputs: Inputs { rows, classes, .. }, operation, backend } = self;
        format!("{operation:?} of {rows} rows of {classes} on {backend}")
    }

    /// Logits of a call.
    pub(crate) const fn values(&self) -> usize {
        self.inputs.values()
    }

    /// The hash of all that it gives: of the results, and of the error where there is one.
    pub(crate) fn run(&self) -> u64 {
        let mut hash = Hash::default();
        if let Err(error) = self.results(&mut hash) {
            hash.text(&error.to_string());
        }
        hash.0.finish()
    }

    fn results(&self, hash: &mut Hash) -> Result<(), Error> {
        let Self { inputs, operation, backend } = *self;
        let (rows, classes) = (inputs.rows, inputs.classes);
        let logits = inputs.logits(backend)?;
        match operation {
            Operation::Softmax => hash.values(&softmax(logits)?),
            Operation::LogSoftmax => hash.values(&log_softmax(logits)?),
            Operation::InPlace => {
                let mut values = inputs.distributions.clone();
                softmax_in_place(RowsMut::new(&mut values, rows, classes)?.with_backend(backend))?;
                log_softmax_in_place(RowsMut::new(&mut values, rows, classes)?.with_backend(backend))?;
                hash.values(&values);
            }
            Operation::Reductions => {
                hash.values(&log_sum_exp(logits)?);
                hash.values(&row_max(logits)?);
                hash.indices(&argmax(logits)?);
            }
            Operation::Gradients => {
                let upstream = inputs.distributions(backend)?;
                hash.values(&softmax_gradient(upstream, logits)?);
                hash.values(&log_softmax_gradient(logits, upstream)?);
            }
            Operation::Sparse(options) => {
                let loss = options.loss(inputs)?;
                let (loss, gradient) = loss.loss_and_gradient(&inputs.labels, logits)?;
                hash.values(&loss.rows);
                hash.values(&[loss.summary.value]);
                hash.values(&gradient);
            }
            Operation::Dense(options) => {
                let loss = options.loss(inputs)?;
                let (loss, gradient) = loss.loss_and_gradient(inputs.distributions(backend)?, logits)?;
                hash.values(&loss.rows);
                hash.values(&gradient);
            }
            Operation::Passes(options) => self.passes(options, logits, hash)?,
            Operation::Statistics(options) => self.statistics(options, logits, hash)?,
            Operation::Hinge => {
                let hinge = Hinge::new().power(HingePower::Squared).ignore_index(IGNORED);
                let (loss, gradient) = hinge.loss_and_gradient(&inputs.labels, logits)?;
                hash.values(&loss.rows);
                hash.values(&gradient);
            }
            Operation::Likelihood => {
                let loss = NegativeLogLikelihood::of_probabilities(1e-7, Normalise::AfterClipping)?;
                let probabilities = inputs.distributions(backend)?;
                let (loss, gradient) =
                    loss.ignore_index(IGNORED).loss_and_gradient(&inputs.labels, probabilities)?;
                hash.values(&loss.rows);
                hash.values(&gradient);
            }
            Operation::Binary => {
                let binary = BinaryCrossEntropy::new().reduction(ElementReduction::Mean);
                let (loss, gradient) = binary.loss_and_gradient(inputs.distributions(backend)?, logits)?;
                hash.values(&loss.values);
                hash.values(&gradient);
            }
            Operation::Divergence => {
                hash.values(&KlDivergence::new().loss(inputs.distributions(backend)?, logits)?.values);
            }
            Operation::SquaredError => {
                hash.values(&SquaredError::new().loss(inputs.distributions(backend)?, logits)?.values);
            }
            Operation::Refused => {
                let mut labels = inputs.labels.clone();
                labels[rows / 2] = i64::MAX;
                CrossEntropy::new().ignore_index(IGNORED).loss(&labels, logits)?;
            }
        }
        Ok(())
    }

    /// A pass forward and one back, into buffers.
    fn passes(&self, options: Options, logits: Rows<'_>, hash: &mut Hash) -> Result<(), Error> {
        let Inputs { rows, classes, .. } = *self.inputs;
        let loss = options.loss(self.inputs)?;
        let labels = Targets::from(&self.inputs.labels);
        let (mut losses, mut sums) = (vec![0.0; rows], vec![LogSumExp::EMPTY; rows]);
        loss.forward_into(labels, logits, &mut losses, &mut sums)?;
        let mut gradient = vec![0.0; rows * classes];
        loss.backward_into(labels, logits, &sums, RowsMut::new(&mut gradient, rows, classes)?)?;
        hash.values(&losses);
        hash.values(&gradient);
        Ok(())
    }

    fn statistics(&self, options: Options, logits: Rows<'_>, hash: &mut Hash) -> Result<(), Error> {
        let rows = self.inputs.rows;
        let (mut entropy, mut probability, mut indices) = (vec![0.0; rows], vec![0.0; rows], vec![0; rows]);
        let wanted =
            Statistics::new().entropy(&mut entropy).log_probability(&mut probability).argmax(&mut indices);
        options.loss(self.inputs)?.statistics_into(&self.inputs.labels, logits, wanted)?;
        hash.values(&entropy);
        hash.values(&probability);
        hash.indices(&indices);
        Ok(())
    }
}

/// A hash of results.
#[derive(Default)]
struct Hash(DefaultHasher);

impl Hash {
    fn values(&mut self, values: &[f32]) {
        for value in values {
            // Which NaN it is, nobody promises.
            self.0.write_u32(if value.is_nan() { f32::NAN } else { *value }.to_bits());
        }
    }

    fn indices(&mut self, indices: &[usize]) {
        for &index in indices {
            self.0.write_usize(index);
        }
    }

    fn text(&mut self, text: &str) {
        self.0.write(text.as_bytes());
    }
}
