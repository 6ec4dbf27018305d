//! `XENT_BACKEND`: which backend a process runs on, and what it is told where that cannot be.
//!
//! The variable is read once per process, so each case runs this executable again, with the one test that
//! asks and the variable set, and reads what that child answers.

use std::ffi::OsStr;
use std::process::{Command, exit};
use std::sync::Barrier;
use std::thread;

use xent::{Backend, CrossEntropy, LogSumExp, Rows, softmax};

mod common;

use common::writers::{WRITERS, good};

const VARIABLE: &str = "XENT_BACKEND";
/// Set in children.
const CHILD: &str = "XENT_TEST_CHILD";
/// What an answer begins with, so that it is told from the words of the test harness.
const MARK: &str = "answer: ";

/// What `question` gives in a new process with the variable set (or not). `test` is the calling test: in
/// the new process it comes here again, and no further.
fn ask(test: &str, value: Option<&str>, question: fn() -> String) -> String {
    ask_os(test, value.map(OsStr::new), question)
}

/// As [`ask`], with any value that a variable can have.
fn ask_os(test: &str, value: Option<&OsStr>, question: fn() -> String) -> String {
    if std::env::var_os(CHILD).is_some() {
        println!("{MARK}{}", question());
        exit(0);
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(CHILD, "1");
    match value {
        Some(value) => command.env(VARIABLE, value),
        None => command.env_remove(VARIABLE),
    };
    let output = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{VARIABLE}={value:?}: {stdout}{stderr}");
    let answer = stdout.lines().find_map(|line| line.split_once(MARK));
    answer.unwrap_or_else(|| panic!("{test} did not run: {stdout}")).1.to_owned()
}

/// The name of the selected backend, or the error.
fn selected() -> String {
    Backend::selected().map_or_else(|error| error.to_string(), |backend| backend.to_string())
}

fn available() -> String {
    Backend::available().map(Backend::name).collect::<Vec<_>>().join(", ")
}

/// The best backend of this CPU, by the documented order.
fn best() -> Backend {
    let portable_has_vectors =
        cfg!(any(target_feature = "sse2", target_feature = "neon", target_feature = "simd128"));
    let plain = if portable_has_vectors { Backend::Portable } else { Backend::Scalar };
    [Backend::Avx512, Backend::Avx2].into_iter().find(|b| b.is_available()).unwrap_or(plain)
}

#[test]
fn every_available_backend_can_be_named() {
    println!("available: {}", available());
    for backend in Backend::available() {
        let answer = ask("every_available_backend_can_be_named", Some(backend.name()), selected);
        assert_eq!(answer, backend.name());
    }
}

#[test]
fn unset_or_empty_selects_the_best() {
    assert_eq!(ask("unset_or_empty_selects_the_best", None, selected), best().name());
    assert_eq!(ask("unset_or_empty_selects_the_best", Some(""), selected), best().name());
}

#[test]
fn an_unknown_name_is_an_error_that_lists_the_available_ones() {
    for name in ["sse9", "AVX2", " scalar", "scalar,avx2", "auto"] {
        let answer = ask("an_unknown_name_is_an_error_that_lists_the_available_ones", Some(name), selected);
        assert_eq!(answer, format!("unknown backend {name:?}; available here: {}", available()));
    }
}

#[test]
fn an_unavailable_name_is_an_error_that_lists_the_available_ones() {
    let missing: Vec<_> = Backend::ALL.into_iter().filter(|b| !b.is_available()).collect();
    if missing.is_empty() {
        println!("not checked: this CPU runs every backend");
    }
    for backend in missing {
        let test = "an_unavailable_name_is_an_error_that_lists_the_available_ones";
        let expected = format!("this CPU cannot run the backend {backend}; available here: {}", available());
        assert_eq!(ask(test, Some(backend.name()), selected), expected);
    }
}

/// A result whose bits tell the portable backend from the fused ones, where it does not fuse.
fn telling_bits(backend: Option<Backend>) -> String {
    let logits: Vec<f32> = (0..200).map(|i: u16| f32::from(i * 37 % 101) * 0.173 - 8.0).collect();
    let logits = Rows::new(&logits, 1, 200).unwrap();
    let result = softmax(backend.map_or(logits, |backend| logits.with_backend(backend))).unwrap();
    format!("{:08x?}", result.iter().map(|p| p.to_bits()).collect::<Vec<_>>())
}

#[test]
fn the_named_backend_is_the_one_that_runs() {
    for backend in Backend::available() {
        let test = "the_named_backend_is_the_one_that_runs";
        let answer = ask(test, Some(backend.name()), || telling_bits(None));
        assert_eq!(answer, telling_bits(Some(backend)), "{backend}");
    }
    if !Backend::Portable.is_fused() {
        // Else the comparison above would see no difference between any two.
        assert_ne!(telling_bits(Some(Backend::Portable)), telling_bits(Some(Backend::Scalar)));
    }
}

#[cfg(unix)]
#[test]
fn a_name_that_is_no_text_is_an_error() {
    use std::os::unix::ffi::OsStrExt;

    let answer = ask_os("a_name_that_is_no_text_is_an_error", Some(OsStr::from_bytes(b"avx\xff")), selected);
    assert_eq!(answer, format!("unknown backend \"avx\u{fffd}\"; available here: {}", available()));
}

/// What threads that ask at the same time are told, if it is one thing.
fn selected_by_eight_threads() -> String {
    let barrier = Barrier::new(8);
    let ask = || {
        barrier.wait();
        selected()
    };
    let mut answers: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    answers.dedup();
    answers.join(" and ")
}

#[test]
fn threads_that_ask_first_at_the_same_time_are_told_the_same() {
    let test = "threads_that_ask_first_at_the_same_time_are_told_the_same";
    assert_eq!(ask(test, Some("scalar"), selected_by_eight_threads), "scalar");
    assert_eq!(ask(test, None, selected_by_eight_threads), best().name());
}

/// Sets the variable of this process.
fn change(name: &str) {
    // SAFETY: this process runs one test, and the harness's thread waits for it.
    #[expect(unsafe_code, reason = "a change of the environment is what is tested")]
    unsafe {
        std::env::set_var(VARIABLE, name);
    }
}

/// What is selected, and what calls do, before a wrong name is put right.
fn still_refused_after_a_change() -> String {
    let before = selected();
    change("scalar");
    let logits = Rows::new(&[0.0, 1.0], 1, 2).unwrap();
    assert_eq!(softmax(logits).map_err(|error| error.to_string()), Err(before.clone()));
    assert!(softmax(logits.with_backend(Backend::Scalar)).is_ok());
    assert_eq!(selected(), before);
    before
}

#[test]
fn a_wrong_name_stays_wrong_when_it_is_changed_while_running() {
    let test = "a_wrong_name_stays_wrong_when_it_is_changed_while_running";
    let answer = ask(test, Some("sse9"), still_refused_after_a_change);
    assert!(answer.starts_with("unknown backend \"sse9\""), "{answer}");
}

fn selected_before_and_after_a_change() -> String {
    let before = selected();
    change("sse9");
    assert!(softmax(Rows::new(&[0.0, 1.0], 1, 2).unwrap()).is_ok());
    format!("{before}, then {}", selected())
}

#[test]
fn a_change_while_running_has_no_effect() {
    let test = "a_change_while_running_has_no_effect";
    assert_eq!(ask(test, Some("scalar"), selected_before_and_after_a_change), "scalar, then scalar");
}

/// Every function that writes, without a backend of its own in a process that has none.
fn refusals() -> String {
    let error = Backend::selected().expect_err("the variable names no backend");
    for writer in WRITERS {
        let (inputs, mut outputs) = good();
        let before = outputs.clone();
        assert_eq!((writer.call)(&inputs, &mut outputs), Err(error.clone()), "{}", writer.name);
        assert_eq!(outputs, before, "{} has written", writer.name);
    }
    let logits = Rows::new(&[0.0], 1, 1).unwrap();
    assert_eq!(CrossEntropy::new().loss(&[0_u8], logits).err(), Some(error.clone()));
    assert_eq!(LogSumExp::of(&[0.0_f32]).err(), Some(error));
    "all refused".into()
}

#[test]
fn without_a_backend_every_call_is_refused_before_it_writes() {
    let test = "without_a_backend_every_call_is_refused_before_it_writes";
    assert_eq!(ask(test, Some("sse9"), refusals), "all refused");
}

/// The same with a backend chosen for each call.
fn acceptances() -> String {
    assert!(Backend::selected().is_err());
    for backend in Backend::available() {
        for writer in WRITERS {
            let (mut inputs, mut outputs) = good();
            inputs.backend = Some(backend);
            assert_eq!((writer.call)(&inputs, &mut outputs), Ok(()), "{} on {backend}", writer.name);
        }
    }
    "all accepted".into()
}

#[test]
fn a_backend_chosen_for_a_call_does_not_ask_the_variable() {
    let test = "a_backend_chosen_for_a_call_does_not_ask_the_variable";
    assert_eq!(ask(test, Some("sse9"), acceptances), "all accepted");
}
