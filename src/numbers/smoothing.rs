//! Label smoothing: how a label's mass is spread over classes.

/// How much of a label's mass goes to other classes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spread {
    pub(crate) mass: f64,
    /// Whether it goes to the other classes alone.
    pub(crate) others: bool,
}

impl Spread {
    /// The masses of a row with a class index: at the label, and of every other class that takes part. `classes` take
    /// part, the label among them or not.
    pub(crate) fn shares(self, classes: f64, label_takes_part: bool) -> (f64, f64) {
        if self.mass == 0.0 {
            return (1.0, 0.0);
        }
        let kept = 1.0 - self.mass;
        let others = if label_takes_part { classes - 1.0 } else { classes };
        if !self.others {
            let share = if classes > 0.0 { self.mass / classes } else { 0.0 };
            (kept + if label_takes_part { share } else { 0.0 }, share)
        } else if others > 0.0 {
            (kept, self.mass / others)
        } else {
            (1.0, 0.0)
        }
    }

    /// How much of a distribution's mass stays, and the share that every class gets beside it, of those that take part.
    pub(crate) fn dense_shares(self, classes: f64) -> (f64, f64) {
        if !self.others {
            (1.0 - self.mass, if classes > 0.0 { self.mass / classes } else { 0.0 })
        } else if classes > 1.0 {
            let share = self.mass / (classes - 1.0);
            (1.0 - self.mass - share, share)
        } else {
            (1.0, 0.0)
        }
    }
}
