//! The example `score` and everything that can be wrong with its input: one line on standard error, exit
//! code 2, nothing written.

use std::fs;
use std::path::Path;

use crate::common::example::run;
use crate::common::npy_bytes::{f32_bytes, labels, logits, npy, with_header};

/// Scores files of these bytes, none where there are none, and expects one line that contains `says`.
#[track_caller]
fn refused(logits: Option<&[u8]>, labels: Option<&[u8]>, says: &str) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: Option<&[u8]>| {
        let path = folder.path().join(name);
        bytes.map(|bytes| fs::write(&path, bytes)).transpose().unwrap();
        path.to_str().unwrap().to_owned()
    };
    let arguments = [write("logits.npy", logits), write("labels.npy", labels)];
    let losses = folder.path().join("losses.npy").to_str().unwrap().to_owned();
    refused_arguments(folder.path(), &arguments.each_ref().map(String::as_str), &losses, says);
}

#[track_caller]
fn refused_arguments(folder: &Path, arguments: &[&str], losses: &str, says: &str) {
    let files = || fs::read_dir(folder).unwrap().count();
    let before = files();
    let run = run("score", arguments.iter().copied().chain(["--per-row", losses]));
    assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{run:?}");
    assert!(run.err.starts_with("score: ") && run.err.contains(says), "{says:?} expected: {run:?}");
    assert!(run.err.ends_with('\n') && run.err.lines().count() == 1, "{run:?}");
    assert_eq!(files(), before, "something was written: {run:?}");
}

#[track_caller]
fn refused_logits(bytes: &[u8], says: &str) {
    refused(Some(bytes), Some(&labels(&[0, 1])), &format!("logits.npy: {says}"));
}

#[track_caller]
fn refused_labels(bytes: &[u8], says: &str) {
    refused(Some(&logits(2, 3, &[0.0; 6])), Some(bytes), &format!("labels.npy: {says}"));
}

#[test]
fn missing_files() {
    refused(None, Some(&labels(&[0, 1])), "logits.npy: ");
    refused(Some(&logits(2, 3, &[0.0; 6])), None, "labels.npy: ");
    refused(None, None, "logits.npy: ");
}

#[test]
fn dtypes() {
    let f64s: Vec<u8> = [0.0_f64; 6].iter().flat_map(|x| x.to_le_bytes()).collect();
    refused_logits(
        &npy("'<f8'", false, "(2, 3)", &f64s),
        "dtype \"<f8\"; expected float32 or float16 logits",
    );
    refused_logits(&npy("'<i2'", false, "(2, 3)", &[0; 12]), "dtype \"<i2\"");
    refused_logits(&npy("'<i4'", false, "(2, 3)", &[0; 24]), "dtype \"<i4\"");
    refused_logits(&npy("'|O'", false, "(2, 3)", &[0; 24]), "dtype \"|O\"");
    refused_logits(&npy("[('a', '<f4')]", false, "(2, 3)", &[0; 24]), "its header is not that of a plain");
    refused_logits(&npy("None", false, "(2, 3)", &[0; 24]), "the dtype in its header is no string");
    refused_labels(&npy("'<f4'", false, "(2,)", &[0; 8]), "dtype \"<f4\"; expected integer labels");
    refused_labels(&npy("'|b1'", false, "(2,)", &[0; 2]), "dtype \"|b1\"");
    refused_labels(&npy("'<i3'", false, "(2,)", &[0; 6]), "dtype \"<i3\"");
}

#[test]
fn shapes() {
    refused_logits(&npy("'<f4'", true, "(2, 3)", &[0; 24]), "the array is in Fortran order");
    refused_logits(
        &npy("'<f4'", false, "(6,)", &[0; 24]),
        "a 1-dimensional array; expected the logits as rows x",
    );
    refused_logits(&npy("'<f4'", false, "(1, 2, 3)", &[0; 24]), "a 3-dimensional array");
    refused_logits(&npy("'<f4'", false, "()", &[0; 4]), "a 0-dimensional array");
    refused_logits(&npy("'<f4'", false, "(2, 0)", &[]), "2 rows have 0 classes; expected at least 1");
    refused_labels(
        &npy("'<i8'", false, "(2, 1)", &[0; 16]),
        "a 2-dimensional array; expected one integer label per",
    );
    refused_labels(&labels(&[0, 1, 2]), "labels: 3 given for 2 rows");
    refused_labels(&labels(&[]), "labels: 0 given for 2 rows");
}

#[test]
fn labels_out_of_range() {
    refused_labels(&labels(&[2, 3]), "the label 3 of row 1 is out of range; expected 0 to 2");
    refused_labels(&labels(&[-1, 0]), "the label -1 of row 0");
    refused_labels(&labels(&[0, i64::MIN]), "the label -9223372036854775808 of row 1");
    let largest = npy("'<u8'", false, "(2,)", &[0xff; 16]);
    refused_labels(&largest, "the label 18446744073709551615 of row 0");
}

#[test]
fn truncated_and_overlong_files() {
    let whole = logits(2, 3, &[0.0; 6]);
    refused_logits(&whole[..whole.len() - 1], "23 bytes of data; its shape needs 24");
    refused_logits(&[&whole[..], &[0]].concat(), "25 bytes of data; its shape needs 24");
    refused_logits(&whole[..100], "the file ends within its header");
    refused_logits(&whole[..9], "the file ends within its header");
    refused_logits(&whole[..6], "the file ends within its header");
    refused_logits(&whole[..5], "not a .npy file");
    refused_logits(&[], "not a .npy file");
    refused_logits(b"PK\x03\x04 an archive", "not a .npy file");
}

#[test]
fn headers_that_claim_too_much() {
    for shape in ["(4611686018427387904, 4611686018427387904)", "(1099511627776, 4194304)"] {
        refused_logits(&npy("'<f4'", false, shape, &[0; 24]), "its shape overflows the address space");
    }
    refused_logits(
        &npy("'<f4'", false, "(1048576, 1048576)", &[0; 24]),
        "24 bytes of data; its shape needs 4398046511104",
    );
    refused_logits(&npy("'<f4'", false, "(99999999999999999999, 0)", &[]), "");
    refused_logits(&npy("'<f4'", false, "(-2, -3)", &[0; 24]), "");
    refused_logits(&npy("'<f4'", false, "(2.0, 3)", &[0; 24]), "");
    refused_logits(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{", "the file ends within its header");
}

#[test]
fn headers_that_are_none() {
    let data = f32_bytes(&[0.0; 6]);
    refused_logits(&with_header(1, "{'descr': '<f4', ", &data), "its header is no Python dictionary");
    refused_logits(&with_header(1, "{'descr': '<f4', 'shape': (2, 3)}", &data), "");
    refused_logits(&with_header(1, "'<f4'", &data), "");
    refused_logits(&with_header(4, "{}", &data), "");
    refused_logits(&with_header(1, &"{".repeat(64), &data), "its header is not that of a plain array");
    refused_logits(&with_header(2, &" ".repeat(20_000), &data), "its header is not that of a plain array");
}

#[test]
fn places_where_no_file_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("folder");
    fs::create_dir(&taken).unwrap();
    refused_arguments(folder.path(), &[], taken.to_str().unwrap(), "folder: not a file");
    let nowhere = folder.path().join("nowhere").join("losses.npy");
    refused_arguments(folder.path(), &[], nowhere.to_str().unwrap(), "losses.npy: ");
}

#[test]
fn backends() {
    let folder = tempfile::tempdir().unwrap();
    let losses = folder.path().join("losses.npy");
    let losses = losses.to_str().unwrap();
    refused_arguments(
        folder.path(),
        &["--backend", "sse9"],
        losses,
        "unknown backend \"sse9\"; available here: ",
    );
    for missing in xent::Backend::ALL.into_iter().filter(|backend| !backend.is_available()) {
        refused_arguments(folder.path(), &["--backend", missing.name()], losses, "this CPU cannot run");
    }
}

#[test]
fn one_file_alone_is_a_wrong_use() {
    let run = run("score", ["logits.npy"]);
    assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{run:?}");
    assert!(run.err.contains("LABELS"), "{run:?}");
}
