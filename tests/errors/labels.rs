//! Integer labels of all nine types: what is out of range, and what is not because it is ignored.

use xent::{CrossEntropy, Error, Labels, Rows, sparse_softmax_cross_entropy_with_logits};

const LOGITS: [f32; 8] = [0.0; 8];

/// The error for four rows of two classes.
fn error<'a>(labels: impl Into<Labels<'a>>) -> Option<Error> {
    let logits = Rows::new(&LOGITS, 4, 2).unwrap();
    sparse_softmax_cross_entropy_with_logits(labels, logits).err()
}

fn ignoring<'a>(ignored: i64, labels: impl Into<Labels<'a>>) -> Result<usize, Error> {
    let logits = Rows::new(&LOGITS, 4, 2).unwrap();
    let labels: Labels = labels.into();
    Ok(CrossEntropy::new().ignore_index(ignored).loss(labels, logits)?.summary.used_rows)
}

fn out_of_range(row: usize, label: i128) -> Error {
    Error::LabelOutOfRange { row, label, classes: 2 }
}

macro_rules! for_every_type {
    ($($type:ident)+) => {
        #[test]
        fn every_label_type_accepts_its_classes_and_refuses_the_next() {
            $(
                assert_eq!(error(&[0 as $type, 1, 1, 0]), None);
                assert_eq!(error(&[0 as $type, 1, 2, 3]), Some(out_of_range(2, 2)), stringify!($type));
                assert_eq!(error(&[0, 1, 0, $type::MAX]), Some(out_of_range(3, i128::try_from($type::MAX).unwrap())));
                assert_eq!(
                    error(&[0 as $type, 1]),
                    Some(Error::RowCount { what: "labels", given: 2, expected: 4 })
                );
            )+
        }

        #[test]
        fn every_label_type_may_mark_ignored_rows_inside_and_outside_of_the_classes() {
            $(
                assert_eq!(ignoring(0, &[0 as $type, 1, 1, 0]), Ok(2));
                assert_eq!(ignoring(100, &[0 as $type, 1, 100, 0]), Ok(3), stringify!($type));
                assert_eq!(ignoring(100, &[0 as $type, 1, 100, 99]).err(), Some(out_of_range(3, 99)));
            )+
        }
    };
}

for_every_type!(u8 u16 u32 u64 usize i8 i16 i32 i64);

macro_rules! for_every_signed_type {
    ($($type:ident)+) => {
        #[test]
        fn negative_labels_are_out_of_range_unless_ignored() {
            $(
                assert_eq!(error(&[0 as $type, -1, 0, 0]), Some(out_of_range(1, -1)), stringify!($type));
                assert_eq!(error(&[$type::MIN, 1, 0, 0]), Some(out_of_range(0, i128::from($type::MIN))));
                assert_eq!(ignoring(-100, &[0 as $type, -100, 0, 1]), Ok(3));
                assert_eq!(ignoring(-100, &[0 as $type, -100, -1, 1]).err(), Some(out_of_range(2, -1)));
                assert_eq!(ignoring(i64::from($type::MIN), &[$type::MIN; 4]), Ok(0));
            )+
        }
    };
}

for_every_signed_type!(i8 i16 i32 i64);

#[test]
fn large_labels_never_wrap_to_a_class_or_to_the_ignored_label() {
    // 2^32 and 2^64 - 1 would be 0 and -1 in narrower integers.
    assert_eq!(error(&[1 << 32, 0, 0, 0_u64]), Some(out_of_range(0, 1 << 32)));
    assert_eq!(error(&[1 << 32, 0, 0, 0_i64]), Some(out_of_range(0, 1 << 32)));
    assert_eq!(ignoring(-1, &[0, 0, 0, u64::MAX]).err(), Some(out_of_range(3, i128::from(u64::MAX))));
    assert_eq!(ignoring(-1, &[0, u32::MAX, 0, 0]).err(), Some(out_of_range(1, i128::from(u32::MAX))));
    assert_eq!(ignoring(-1, &[0, 0, u8::MAX, 0]).err(), Some(out_of_range(2, 255)));
}

#[test]
fn the_first_bad_label_is_the_one_reported() {
    assert_eq!(error(&[0_i32, 7, -3, 9]), Some(out_of_range(1, 7)));
}

#[test]
fn the_message_says_row_label_and_classes() {
    assert_eq!(
        error(&[0_i32, -7, 0, 0]).unwrap().to_string(),
        "the label -7 of row 1 is out of range; expected 0 to 1"
    );
    assert_eq!(
        error(&[0, 0, 0, u64::MAX]).unwrap().to_string(),
        "the label 18446744073709551615 of row 3 is out of range; expected 0 to 1"
    );
}

#[test]
fn labels_are_found_again() {
    let labels = Labels::from(&[3_u8, 1]);
    assert_eq!((labels.len(), labels.is_empty()), (2, false));
    assert_eq!((labels.get(0), labels.get(1), labels.get(2)), (Some(3), Some(1), None));
    assert_eq!(Labels::from(&[u64::MAX]).get(0), Some(i128::from(u64::MAX)));
    assert_eq!(Labels::from(&vec![i64::MIN]).get(0), Some(i128::from(i64::MIN)));
    assert!(Labels::from(&[0_u16; 0][..]).is_empty());
}
