//! Archives made to harm, taken by `import` and `load` as they come: each has a clear end, leaves nothing, and touches
//! nothing outside the store. What each is, and what must come of it, is in `testkit::archive`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod canary;
mod images;
mod layers;
mod taken;
mod tree;

#[path = "../support/mod.rs"]
mod support;
