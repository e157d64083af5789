//! The checks, by what they look at. Each says its figures, or what was not right.

pub mod boot;
pub mod charges;
pub mod figures;
pub mod machine;
pub mod policy;
