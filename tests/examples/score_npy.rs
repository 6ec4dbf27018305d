//! The reader of `.npy` files in the example `score`: whatever the bytes, it gives an array or an error.

#[allow(dead_code, reason = "what other files hold")]
#[path = "../../examples/score/npy.rs"]
mod npy;
#[allow(dead_code, reason = "what other files hold")]
#[path = "../../examples/score/values.rs"]
mod values;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::common::npy_bytes::{f32_bytes, labels, logits, with_header};

/// Reads the bytes as either kind of array.
fn read(bytes: &[u8]) -> Result<(), TestCaseError> {
    let len = bytes.len() as u64;
    if let Ok(mut matrix) = npy::matrix(bytes, len) {
        let (rows, row_bytes) = (matrix.rows, matrix.row_bytes());
        prop_assert!(rows == 0 || rows * row_bytes <= bytes.len());
        prop_assert_eq!(matrix.read(rows).unwrap().rows(), rows);
        prop_assert!(matrix.data.is_empty());
    }
    if let Ok(mut integers) = npy::integers(bytes, len) {
        let count = integers.len;
        prop_assert!(count <= bytes.len());
        prop_assert_eq!(integers.read(count).unwrap().len(), count);
        prop_assert!(integers.data.is_empty());
    }
    Ok(())
}

/// Headers put together from what headers are made of.
fn header() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ":",
        ",",
        "'descr'",
        "'shape'",
        "'fortran_order'",
        "'<f4'",
        "'>f2'",
        "'<i8'",
        "'|u1'",
        "True",
        "False",
        "None",
        "0",
        "2",
        "-1",
        "1e400",
        "2j",
        "18446744073709551615",
        "'\\N{x}'",
        "'\\777'",
        "b'\\xff'",
        "'''",
        "\"",
        "\\",
        "+",
        "\u{e9}",
        "\n",
    ];
    vec(select(WORDS), 0..24).prop_map(|words| words.join(" "))
}

/// Headers that are right but for one value.
fn nearly_right() -> impl Strategy<Value = String> {
    let value =
        || prop_oneof![Just("'<f4'".to_owned()), Just("(1, 3)".into()), Just("False".into()), header()];
    (value(), value(), value()).prop_map(|(descr, order, shape)| {
        format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}")
    })
}

/// A good file with some bytes replaced, and cut off anywhere.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let good = select(vec![logits(2, 3, &[1.0; 6]), labels(&[0, 1, 2])]);
    (good, vec((any::<Index>(), any::<u8>()), 0..6), proptest::option::of(any::<Index>())).prop_map(
        |(mut bytes, changes, end)| {
            for (at, byte) in changes {
                *at.get_mut(&mut bytes) = byte;
            }
            let end = end.map_or(bytes.len(), |end| end.index(bytes.len()));
            bytes.truncate(end);
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files(bytes in damaged()) {
        read(&bytes)?;
    }

    #[test]
    fn made_up_headers(
        header in prop_oneof![header(), nearly_right()],
        version in 0_u8..5,
        data in vec(any::<u8>(), 0..32),
    ) {
        read(&with_header(version, &header, &data))?;
    }

    #[test]
    fn what_is_written_is_whole(values in vec(any::<f32>(), 0..100)) {
        let mut bytes = Vec::new();
        npy::write_header(values.len(), &mut bytes).unwrap();
        npy::write(&values, &mut bytes).unwrap();
        prop_assert!(bytes.ends_with(&f32_bytes(&values)));
        // The shape is all there is to complain about: one dimension where logits have two.
        let error = npy::matrix(&bytes[..], bytes.len() as u64).unwrap_err();
        prop_assert_eq!(error.to_string(), "a 1-dimensional array; expected the logits as rows x classes");
    }
}

#[test]
fn a_file_that_becomes_shorter_is_an_error() {
    let bytes = logits(2, 3, &[1.0; 6]);
    let cut = &bytes[..bytes.len() - 1];
    let mut matrix = npy::matrix(cut, bytes.len() as u64).unwrap();
    assert_eq!(matrix.read(1).unwrap().row(0), Some(&[1.0; 3][..]));
    let error = matrix.read(1).unwrap_err();
    assert_eq!(error.to_string(), "the file has become shorter while it was read");
}
