//! The bits themselves, as they were committed: a hash for each function over rows that integer arithmetic makes.
//!
//! `committed.tsv` has one for backends that fuse multiply-add and one for those that do not; no CPU, thread count,
//! optimisation or emulator may give another. Where a change of bits is meant, `XENT_WRITE_BITS=1 cargo test --test
//! bits committed`, on a machine with backends of both classes, writes the file anew, and the fingerprint of the new
//! file goes into CHANGELOG.md with what has changed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::ThreadPoolBuilder;
use xent::{Backend, LogSumExp};

use crate::case::is_slow;
use crate::common::integer_rows::{KINDS, call, reset};
use crate::common::writers::{Outputs, Part, WRITERS, Writer};
use crate::common::{backends, report};

/// Rows of every kind, at lengths where loops begin and end: so few that an emulated CPU is done in seconds.
const SHORT: &[(usize, usize)] = &[
    (KINDS, 1),
    (KINDS, 2),
    (KINDS, 3),
    (KINDS, 7),
    (KINDS, 8),
    (KINDS, 15),
    (KINDS, 16),
    (KINDS, 17),
    (KINDS, 33),
    (KINDS, 64),
    (KINDS, 67),
    (2 * KINDS + 3, 13),
    (KINDS, 96),
    (KINDS, 97),
    (KINDS, 100),
    (KINDS, 511),
    (KINDS, 513),
    (3, 1025),
];

/// Shapes that are cut between threads: between rows, between groups of rows, and within a row.
const LONG: &[(usize, usize)] = &[(2003, 17), (307, 131), (67, 701), (3, 16_385), (1, 65_537)];

const THREADS: [usize; 4] = [1, 2, 3, 8];

/// How often the short rows are computed while other threads compute them too.
const REPETITIONS: usize = 100;

/// FNV-1a, of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hash(u64);

impl Hash {
    const NEW: Self = Self(0xcbf2_9ce4_8422_2325);

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// NaN counts as one value.
    fn float(&mut self, x: f32) {
        self.bytes(&if x.is_nan() { f32::NAN } else { x }.to_bits().to_le_bytes());
    }

    /// What a function wrote, and left as it was; of the sums only where it has to do with them.
    fn outputs(&mut self, writer: &Writer, outputs: &Outputs) {
        let Outputs { matrix, shape: _, elements, losses, indices, flags, sums } = outputs;
        for x in [matrix, elements, losses].into_iter().flatten() {
            self.float(*x);
        }
        for index in indices {
            self.bytes(&(*index as u64).to_le_bytes());
        }
        for flag in flags {
            self.bytes(&[u8::from(*flag)]);
        }
        for sum in sums.iter().filter(|_| writer.parts.contains(&Part::Sums)) {
            let value = sum.to_f64();
            self.bytes(&if value.is_nan() { f64::NAN } else { value }.to_bits().to_le_bytes());
        }
    }
}

/// What each function gives for the shapes.
fn hashes(shapes: &[(usize, usize)], backend: Backend) -> BTreeMap<&'static str, Hash> {
    let mut hashes: BTreeMap<_, _> = WRITERS.iter().map(|writer| (writer.name, Hash::NEW)).collect();
    assert_eq!(hashes.len(), WRITERS.len(), "two functions have one name");
    for &(rows, classes) in shapes {
        let (inputs, mut outputs) = call(rows, classes, 0, backend);
        let sums = outputs.sums.clone();
        for writer in WRITERS {
            reset(&inputs, &sums, &mut outputs);
            (writer.call)(&inputs, &mut outputs).expect("a valid call");
            hashes.get_mut(writer.name).expect("one for each").outputs(writer, &outputs);
        }
    }
    hashes
}

/// A line of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Committed {
    fused: Hash,
    unfused: Hash,
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bits/committed.tsv")
}

/// What the file has of a set of shapes.
fn committed(set: &str) -> BTreeMap<String, Committed> {
    let hash = |text: &str| Hash(u64::from_str_radix(text, 16).expect("a hash"));
    let text = fs::read_to_string(path()).expect("the file is in the repository");
    let lines = text.lines().filter_map(|line| line.strip_prefix(set)?.strip_prefix('\t'));
    let line = |line: &str| {
        let [function, fused, unfused] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line:?} has no three columns");
        };
        (function.to_owned(), Committed { fused: hash(fused), unfused: hash(unfused) })
    };
    lines.map(line).collect()
}

#[track_caller]
fn assert_committed(set: &str, shapes: &[(usize, usize)], backend: Backend, context: &str) {
    let expected = committed(set);
    let got = hashes(shapes, backend);
    let names = |given: &mut dyn Iterator<Item = &str>| given.map(str::to_owned).collect::<Vec<_>>();
    let (known, found) = (names(&mut expected.keys().map(String::as_str)), names(&mut got.keys().copied()));
    assert_eq!(found, known, "functions with and without committed bits");
    for (function, hash) in got {
        let Committed { fused, unfused } = expected[function];
        let expected = if backend.is_fused() { fused } else { unfused };
        assert_eq!(hash, expected, "{function}: other bits than committed, {set} rows on {backend}{context}");
    }
}

/// Whether the file is to be written, instead of compared with.
fn writes() -> bool {
    std::env::var_os("XENT_WRITE_BITS").is_some()
}

#[test]
fn short_rows_have_the_committed_bits() {
    if writes() {
        return;
    }
    for backend in backends() {
        assert_committed("short", SHORT, backend, "");
    }
}

#[test]
fn long_rows_have_the_committed_bits_on_any_number_of_threads() {
    if writes() {
        return;
    }
    for threads in THREADS {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        // On others of one number each: they are cut alike.
        for backend in backends().into_iter().filter(|backend| threads == 3 || !is_slow(*backend)) {
            let context = format!(", {threads} threads");
            pool.install(|| assert_committed("long", LONG, backend, &context));
        }
    }
}

#[test]
fn a_hundred_repetitions_under_load_have_the_committed_bits() {
    if writes() {
        return;
    }
    let backend = *backends().last().expect("one is everywhere");
    std::thread::scope(|scope| {
        for threads in THREADS {
            scope.spawn(move || {
                let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
                for _ in 0..REPETITIONS / THREADS.len() {
                    pool.install(|| assert_committed("short", SHORT, backend, ", under load"));
                }
            });
        }
    });
}

/// Else nothing of the function is in its hash.
#[test]
fn what_a_function_writes_changes_its_hash() {
    let hash = |writer: &Writer, outputs: &Outputs| {
        let mut hash = Hash::NEW;
        hash.outputs(writer, outputs);
        hash
    };
    for backend in backends() {
        for &(rows, classes) in SHORT {
            let (inputs, mut outputs) = call(rows, classes, 0, backend);
            let sums = vec![LogSumExp::from(1.0); rows];
            for writer in WRITERS {
                reset(&inputs, &sums, &mut outputs);
                let before = hash(writer, &outputs);
                (writer.call)(&inputs, &mut outputs).expect("a valid call");
                let context = format!("{}, {rows} rows of {classes} on {backend}", writer.name);
                assert_ne!(hash(writer, &outputs), before, "{context}");
            }
        }
    }
}

/// The fingerprint of the file.
fn fingerprint(text: &str) -> String {
    let mut hash = Hash::NEW;
    hash.bytes(text.as_bytes());
    format!("{:016x}", hash.0)
}

#[test]
fn the_changelog_has_the_fingerprint_of_the_committed_bits() {
    if writes() {
        return write();
    }
    let read = |path: PathBuf| fs::read_to_string(path).expect("it is in the repository").replace('\r', "");
    let changelog = read(Path::new(env!("CARGO_MANIFEST_DIR")).join("CHANGELOG.md"));
    let fingerprint = fingerprint(&read(path()));
    assert!(
        changelog.contains(&fingerprint),
        "bits have changed: CHANGELOG.md has to say so, with the fingerprint {fingerprint}"
    );
}

fn write() {
    let both = [true, false].map(|fused| {
        let backend = backends().into_iter().rev().find(|backend| backend.is_fused() == fused);
        backend.expect("written where there are backends of both classes")
    });
    let mut text = String::from("set\tfunction\tfused\tunfused\n");
    for (set, shapes) in [("short", SHORT), ("long", LONG)] {
        let [fused, unfused] = both.map(|backend| hashes(shapes, backend));
        for (function, Hash(fused)) in fused {
            let Hash(unfused) = unfused[function];
            writeln!(text, "{set}\t{function}\t{fused:016x}\t{unfused:016x}").expect("a string");
        }
    }
    fs::write(path(), &text).expect("the file can be written");
    report(&format!("the bits of {both:?} are committed; their fingerprint is {}", fingerprint(&text)));
}
