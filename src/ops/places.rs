//! Which place an operation works in: rows that are slices are read where they are, others by groups.

/// Evaluates an expression with the place of some logits, and of their results where there are any.
macro_rules! in_place_of {
    ($place:ident = read_only($logits:expr) => $run:expr) => {{
        let logits = $logits;
        if logits.is_plain() {
            let $place = $crate::kernel::place::ReadOnly(logits);
            $run
        } else {
            let $place = $crate::kernel::loaded::Loaded::read_only(logits);
            $run
        }
    }};
    // Results of the logits' shape elsewhere, called `what` in errors.
    ($place:ident = out_of_place($what:literal, $logits:expr, $results:expr) => $run:expr) => {{
        let (logits, results) = ($logits, $results);
        results.expect_shape($what, (logits.rows(), logits.classes()))?;
        if logits.is_plain() && results.is_plain() {
            let $place = $crate::kernel::place::OutOfPlace { logits, results };
            $run
        } else {
            let $place = $crate::kernel::loaded::Loaded::out_of_place(logits, results);
            $run
        }
    }};
    ($place:ident = in_place($logits:expr) => $run:expr) => {{
        let logits = $logits;
        if logits.is_plain() {
            let $place = $crate::kernel::place::InPlace(logits);
            $run
        } else {
            let $place = $crate::kernel::loaded::Loaded::in_place(logits);
            $run
        }
    }};
}
pub(super) use in_place_of;
