//! Tests of the whole station: the real programs on a bench, watched from the driver's, the operator's and the
//! engineer's side. The tests are in `tests/`; here is what a scene of them needs.

pub mod books;
pub mod chaos;
pub mod link;
pub mod power_cut;
pub mod python;
pub mod scene;
