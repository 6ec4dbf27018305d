//! Backends that fuse multiply-add give the same bits as each other.

use xent::Backend;

use crate::case::{Case, LONG, assert_same, is_slow, lengths};
use crate::common::backends;
use crate::common::paths::Layout;
use crate::common::property::for_all;

/// The available backends that fuse, but the first, to be compared with the first.
fn fused() -> (Backend, Vec<Backend>) {
    let mut fused = backends().into_iter().filter(|backend| backend.is_fused());
    let first = fused.next().expect("the scalar backend fuses everywhere");
    (first, fused.collect())
}

fn assert_the_same_on_all(case: &Case, slow_too: bool) {
    let (mut first, mut others) = fused();
    if is_slow(first) && !slow_too && !others.is_empty() {
        first = others.remove(0);
    }
    let expected = case.outcomes(Layout::default(), first);
    for other in others {
        let context = format!("{other} and {first}, {} classes", case.logits.classes);
        assert_same(&context, &case.outcomes(Layout::default(), other), &expected);
    }
}

#[test]
fn fused_backends_give_the_same_bits_at_every_short_length() {
    let (first, others) = fused();
    println!("compared with {first}: {others:?}");
    for classes in lengths() {
        assert_the_same_on_all(&Case::of_every_kind(classes, true), true);
    }
}

#[test]
fn fused_backends_give_the_same_bits_in_long_rows() {
    for classes in LONG {
        assert_the_same_on_all(&Case::of_every_kind(classes, false), classes == 32_769);
    }
}

#[test]
fn fused_backends_give_the_same_bits_for_anything() {
    let (first, others) = fused();
    for_all("the same bits on fused backends", Case::any(), |(case, layout), backend, _| {
        if others.contains(&backend) {
            let context = format!("{backend} and {first}");
            assert_same(&context, &case.outcomes(*layout, backend), &case.outcomes(*layout, first));
        }
    });
}

/// Else none of the comparisons above could fail.
#[test]
fn a_backend_that_does_not_fuse_gives_other_bits() {
    let case = Case::of_every_kind(100, false);
    for backend in backends().into_iter().filter(|backend| !backend.is_fused()) {
        let (a, b) = (case.outcomes(Layout::default(), backend), case.outcomes(Layout::default(), fused().0));
        let differ = std::panic::catch_unwind(|| assert_same("", &a, &b)).is_err();
        assert!(differ, "{backend} gives the bits of a fused backend");
    }
}

/// The list of backends that `XENT_EXPECT_BACKENDS` names ends with the best: that one must also be the one chosen.
#[test]
fn the_best_available_backend_is_the_selected_one() {
    let available = backends();
    if std::env::var_os("XENT_BACKEND").is_none_or(|name| name.is_empty()) {
        let best = available.last().expect("one is everywhere");
        assert_eq!(Backend::selected().as_ref(), Ok(best));
    }
}

/// NEON's multiply-add rounds once, and `wide` uses it: the bits of x86-64's fused backends.
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
#[test]
fn the_portable_backend_fuses_on_neon() {
    assert!(Backend::Portable.is_fused());
}
