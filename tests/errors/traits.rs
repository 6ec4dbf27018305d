//! What users expect of the public types: to be sent to threads, cloned, printed, boxed as errors.

use std::error::Error as StdError;
use std::fmt::{Debug, Display};

use xent::{
    Backend, CrossEntropy, EmptyMean, Error, Labels, LogSumExp, Loss, Reduction, Rows, RowsMut, Summary,
    Targets, Upstream,
};

fn shared<T: Send + Sync + Unpin + Debug>() {}
fn copied<T: Copy>() {}

#[test]
fn every_public_type_can_go_to_other_threads_and_be_printed() {
    shared::<Backend>();
    shared::<CrossEntropy>();
    shared::<EmptyMean>();
    shared::<Error>();
    shared::<Labels>();
    shared::<LogSumExp>();
    shared::<Loss>();
    shared::<Reduction>();
    shared::<Rows>();
    shared::<RowsMut>();
    shared::<Summary>();
    shared::<Targets>();
    shared::<Upstream>();
}

#[test]
fn values_and_shared_views_are_copied() {
    copied::<Backend>();
    copied::<CrossEntropy>();
    copied::<Labels>();
    copied::<LogSumExp>();
    copied::<Reduction>();
    copied::<Rows>();
    copied::<Summary>();
    copied::<Targets>();
    copied::<Upstream>();
}

#[test]
fn the_error_is_a_standard_error() {
    fn is_error<T: StdError + Display + Clone + PartialEq + 'static>(_: &T) {}
    let error = Rows::new(&[0.0_f32], 1, 2).unwrap_err();
    is_error(&error);
    let boxed: Box<dyn StdError + Send + Sync> = error.clone().into();
    assert_eq!(boxed.to_string(), error.to_string());
    assert_eq!(boxed.downcast_ref(), Some(&error));
}

#[test]
fn backends_are_known_by_their_names() {
    for backend in Backend::ALL {
        assert_eq!(backend.name().parse(), Ok(backend));
        assert_eq!(backend.to_string(), backend.name());
    }
    for name in ["", "AVX2", "avx-512", " scalar", "neon"] {
        let error = name.parse::<Backend>().unwrap_err();
        assert_eq!(error, Error::UnknownBackend { name: name.into() });
        let available: Vec<_> = Backend::available().map(Backend::name).collect();
        let expected = format!("unknown backend {name:?}; available here: {}", available.join(", "));
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn an_unavailable_backend_is_an_error_that_lists_the_others() {
    let available: Vec<_> = Backend::available().map(Backend::name).collect();
    assert!(available.starts_with(&["scalar", "portable"]), "these two run on every CPU: {available:?}");
    for backend in Backend::ALL {
        let expected =
            format!("this CPU cannot run the backend {backend}; available here: {}", available.join(", "));
        let error = Error::UnavailableBackend { backend };
        assert_eq!(error.to_string(), expected);
        let result = xent::softmax(Rows::new(&[0.0, 1.0], 1, 2).unwrap().with_backend(backend));
        assert_eq!(result.err(), (!backend.is_available()).then_some(error), "{backend}");
    }
}
