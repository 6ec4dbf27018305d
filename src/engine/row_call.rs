//! Calls whose rows need no sums of exponentials, as data: gradients through softmax and log-softmax, largest logits,
//! losses of elements, hinges and likelihoods.

mod compare;
mod lines;

pub(crate) use self::compare::Comparing;
use self::lines::{Lines, rows_of};
use super::call::{Source, split};
use super::maxima;
use super::options::{Scale, Weights, set};
use super::rows::make_room;
use super::scratch::Scratch;
use super::total::Total;
use crate::kernels::elements::{Elements, Formula};
use crate::kernels::gradient::{Gradient, Through};
use crate::kernels::group::{Group, NO_LABEL};
use crate::kernels::maximum::GroupArgmax;
use crate::kernels::row_losses::{RowFormula, RowLosses};
use crate::numbers::factor::narrow;
use crate::simd::strided::{Strided, StridedMut};
use crate::simd::{LANES, Token};
use crate::views::labels::RowLabels;

/// Values of each view of a group of rows of 16 bits, which are copied one by one as well as together: these stay in the nearest
/// cache.
const NEAR: usize = 4096;

/// What is done with each row.
#[derive(Clone, Copy)]
pub(crate) enum RowWork {
    /// The gradient through an operation: of the upstream gradient as the inputs, and of what the operation gave.
    Gradient(Through),
    /// The class of the largest logit, and that logit.
    Maximum,
    /// The losses of elements, and their gradients times a constant: of inputs and targets.
    Elements(Formula, f64),
    /// A loss per row, and its gradient: of inputs, and of labels or distributions.
    Loss(RowFormula),
    /// How far the softmax of the inputs is from that of others, and the gradient of that.
    Compare,
}

/// One call, or some of its rows. Views that are there have the shape of the inputs, and slices one value per row, or
/// none.
pub(crate) struct RowCall<'a> {
    pub(crate) work: RowWork,
    pub(crate) inputs: Source<'a>,
    /// What the operation gave, targets, or distributions.
    pub(crate) second: Option<Strided<'a>>,
    /// What each element is multiplied by, of losses of elements.
    pub(crate) factors: ElementFactors<'a>,
    /// Gradients, where they are not written over the inputs.
    pub(crate) results: Option<StridedMut<'a>>,
    /// Losses of elements.
    pub(crate) element_losses: Option<StridedMut<'a>>,
    pub(crate) labels: Option<RowLabels<'a>>,
    pub(crate) weights: Weights<'a>,
    pub(crate) scale: Scale<'a>,
    pub(crate) losses: &'a mut [f32],
    pub(crate) indices: &'a mut [usize],
    pub(crate) values: &'a mut [f32],
    /// Of two sets of logits.
    pub(crate) compare: Comparing<'a>,
}

/// Factors of elements, 1 where there are none.
#[derive(Clone, Copy, Default)]
pub(crate) struct ElementFactors<'a> {
    pub(crate) weights: Option<Strided<'a>>,
    /// Those of positive targets.
    pub(crate) positive: Option<Strided<'a>>,
    /// The upstream gradient.
    pub(crate) upstream: Option<Strided<'a>>,
}

impl ElementFactors<'_> {
    fn split_at(self, row: usize) -> (Self, Self) {
        let (weights, other_weights) = split(self.weights, row);
        let (positive, other_positive) = split(self.positive, row);
        let (upstream, other_upstream) = split(self.upstream, row);
        (
            Self { weights, positive, upstream },
            Self { weights: other_weights, positive: other_positive, upstream: other_upstream },
        )
    }
}

impl<'a> RowCall<'a> {
    /// A call that writes nothing yet.
    pub(crate) fn new(work: RowWork, inputs: Source<'a>) -> Self {
        Self {
            work,
            inputs,
            second: None,
            factors: ElementFactors::default(),
            results: None,
            element_losses: None,
            labels: None,
            weights: Weights::default(),
            scale: Scale::ONE,
            losses: &mut [],
            indices: &mut [],
            values: &mut [],
            compare: Comparing::default(),
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.inputs.share().layout().rows
    }

    pub(crate) fn classes(&self) -> usize {
        self.inputs.share().layout().classes
    }

    /// The first `row` rows and the others.
    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        let classes = self.classes();
        let Self { work, inputs, second, factors, results, element_losses, labels, weights, scale, .. } =
            self;
        let (inputs, other_inputs) = inputs.split_at(row);
        let (second, other_second) = split(second, row);
        let (factors, other_factors) = factors.split_at(row);
        let (results, other_results) = results.map(|results| results.split_at(row)).unzip();
        let (element_losses, other_element_losses) =
            element_losses.map(|losses| losses.split_at(row)).unzip();
        let (labels, other_labels) = labels.map(|labels| labels.split_at(row)).unzip();
        let (weights, other_weights) = weights.split_at(row);
        let (scale, other_scale) = scale.split_at(row);
        let (losses, other_losses) = self.losses.split_at_mut(row.min(self.losses.len()));
        let (compare, other_compare) = self.compare.split_at(row, classes);
        let (indices, other_indices) = self.indices.split_at_mut(row.min(self.indices.len()));
        let (values, other_values) = self.values.split_at_mut(row.min(self.values.len()));
        (
            Self {
                work,
                inputs,
                second,
                factors,
                results,
                element_losses,
                labels,
                weights,
                scale,
                losses,
                indices,
                values,
                compare,
            },
            Self {
                work,
                inputs: other_inputs,
                second: other_second,
                factors: other_factors,
                results: other_results,
                element_losses: other_element_losses,
                labels: other_labels,
                weights: other_weights,
                scale: other_scale,
                losses: other_losses,
                indices: other_indices,
                values: other_values,
                compare: other_compare,
            },
        )
    }

    /// The views that are read, and those that are written.
    fn views(&self) -> impl Iterator<Item = Strided<'_>> {
        let ElementFactors { weights, positive, upstream } = self.factors;
        let read = [Some(self.inputs.share()), self.second, weights, positive, upstream];
        let written = [&self.results, &self.element_losses];
        read.into_iter().flatten().chain(written.into_iter().flatten().map(StridedMut::share))
    }

    /// A row close to `near` where rows must be cut so that those of each view lie at one stride.
    pub(crate) fn seam(&self, near: usize) -> Option<usize> {
        self.views().find_map(|view| view.layout().seam(near))
    }

    /// Runs the call on this thread, and gives the sum of its losses before they are rounded.
    pub(super) fn run(&mut self, token: Token, scratch: &mut Scratch) -> Total {
        let (rows, classes) = (self.rows(), self.classes());
        if rows == 0 {
            return Total::default();
        }
        if matches!(self.work, RowWork::Maximum) && maxima::suits(self.inputs.share()) {
            let (indices, values) = (&mut self.indices, &mut self.values);
            maxima::run(token, self.inputs.share(), scratch, |row, class, max| {
                set(indices, row, class);
                set(values, row, max);
            });
            return Total::default();
        }
        let copies = self.views().filter(|view| !view.are_slices()).count();
        // Neighbours in memory are copied sixteen at a time, rows of 16 bits as many as stay near.
        let columns = self.views().any(|view| view.layout().class_step != 1);
        let at_once = match (copies, columns) {
            (0, _) | (_, true) => LANES,
            (_, false) => (NEAR / classes).clamp(1, LANES),
        };
        let Scratch { groups, lines, .. } = scratch;
        make_room(lines, copies * at_once * classes);
        groups.resize_with(groups.len().max(1), || Group::EMPTY);
        let group = &mut groups[0];
        let mut total = Total::default();
        for first in (0..rows).step_by(at_once) {
            self.collect(first, group, (rows - first).min(at_once));
            if group.len > 0 {
                let lines = Lines { token, group, free: lines.chunks_mut(at_once * classes) };
                self.group(lines, &mut total);
            }
        }
        total
    }

    /// Fills a group with rows from `first` on that are not ignored. What ignored rows have is written at once.
    fn collect(&mut self, first: usize, group: &mut Group, rows: usize) {
        if !matches!(self.work, RowWork::Loss(_) | RowWork::Compare) {
            // No row is ignored, and none has a label or a weight.
            group.len = rows;
            for (i, row) in group.rows.iter_mut().enumerate() {
                *row = first + if i < rows { i } else { 0 };
            }
            return;
        }
        let mut labels = [NO_LABEL; LANES];
        if let Some(all) = &self.labels {
            all.classes(first, &mut labels[..rows]);
        }
        group.len = 0;
        for (row, label) in (first..first + rows).zip(labels) {
            let weightless = self.weights.rows.is_some_and(|weights| weights[row] == 0.0);
            if weightless || (self.labels.is_some() && label == NO_LABEL) {
                set(self.losses, row, 0.0);
                self.compare.ignore(row);
                self.clear(row);
                continue;
            }
            let i = group.len;
            (group.rows[i], group.labels[i]) = (row, label);
            group.weight[i] = self.weights.of_row(row);
            group.scale[i] = self.scale.of(row) * group.weight[i];
            group.len += 1;
        }
        // Lanes without a row repeat the first.
        for i in group.len..LANES {
            (group.rows[i], group.labels[i]) = (group.rows[0], group.labels[0]);
        }
    }

    /// Makes the gradient of a row 0.
    fn clear(&mut self, row: usize) {
        let Some(results) = &mut self.results else { return };
        for class in 0..results.layout().classes {
            results.set(row, class, 0.0);
        }
    }

    /// Copies a group's rows where they must be, works them off, and copies the results back.
    fn group(&mut self, mut lines: Lines<'_>, total: &mut Total) {
        let (token, group, classes) = (lines.token, lines.group, self.classes());
        let second = self.second.map(|from| lines.read(from));
        match self.work {
            RowWork::Maximum => {
                let logits = lines.read(self.inputs.share());
                let mut largest = [0; LANES];
                token.run(GroupArgmax { group, classes, logits, to: &mut largest });
                for (i, class) in largest.into_iter().enumerate().take(group.len) {
                    set(self.indices, group.rows[i], class);
                    set(self.values, group.rows[i], logits.row(group, i, classes)[class]);
                }
            }
            RowWork::Gradient(through) => {
                // There is what the operation gave.
                let Some(output) = second else { return };
                let gradient =
                    |upstream, results| Gradient { through, group, classes, output, upstream, results };
                match (&mut self.inputs, &mut self.results) {
                    (Source::Over(values), _) => {
                        let mut copy = lines.update(values);
                        token.run(gradient(None, rows_of(&mut copy, values)));
                        lines.put_back(copy, values);
                    }
                    (Source::Shared(from), Some(values)) => {
                        let upstream = lines.read(*from);
                        let mut copy = lines.write(values);
                        token.run(gradient(Some(upstream), rows_of(&mut copy, values)));
                        lines.put_back(copy, values);
                    }
                    (Source::Shared(_), None) => {}
                }
            }
            RowWork::Elements(formula, constant) => {
                let Some(targets) = second else { return };
                let inputs = lines.read(self.inputs.share());
                let factors = self.factors;
                let [weights, positive, upstream] = [factors.weights, factors.positive, factors.upstream]
                    .map(|factors| factors.map(|from| lines.read(from)));
                let (losses, gradient) = (&mut self.element_losses, &mut self.results);
                let mut copy = losses.as_ref().and_then(|to| lines.write(to));
                let mut copied_gradient = gradient.as_ref().and_then(|to| lines.write(to));
                let mut sums = [0.0; LANES];
                token.run(Elements {
                    formula,
                    group,
                    classes,
                    inputs,
                    targets,
                    weights,
                    positive,
                    upstream,
                    constant,
                    losses: losses.as_mut().map(|to| rows_of(&mut copy, to)),
                    gradient: gradient.as_mut().map(|to| rows_of(&mut copied_gradient, to)),
                    sums: &mut sums,
                });
                for (copy, to) in [(copy, losses), (copied_gradient, gradient)] {
                    if let Some(to) = to {
                        lines.put_back(copy, to);
                    }
                }
                self.put_losses(group, &sums, total);
            }
            RowWork::Compare => {
                // There are the logits that these are compared with.
                let Some(first) = second else { return };
                self.compare.group(lines, first, &mut self.inputs, self.results.as_mut());
            }
            RowWork::Loss(formula) => {
                let inputs = lines.read(self.inputs.share());
                let gradient = &mut self.results;
                let mut copy = gradient.as_ref().and_then(|to| lines.write(to));
                let mut losses = [0.0; LANES];
                token.run(RowLosses {
                    formula,
                    group,
                    classes,
                    inputs,
                    dense: second,
                    class_weights: self.weights.classes,
                    gradient: gradient.as_mut().map(|to| rows_of(&mut copy, to)),
                    losses: &mut losses,
                });
                if let Some(to) = gradient {
                    lines.put_back(copy, to);
                }
                self.put_losses(group, &losses, total);
            }
        }
    }

    /// Writes the losses of a group where they are wanted, and adds them up.
    fn put_losses(&mut self, group: &Group, losses: &[f64; LANES], total: &mut Total) {
        for (row, &loss) in group.rows[..group.len].iter().zip(losses) {
            set(self.losses, *row, narrow(loss));
            *total = total.plus(loss);
        }
    }
}
