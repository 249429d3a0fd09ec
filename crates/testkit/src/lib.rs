//! Bad input for tests: what a stranger could send who means harm, each with what must come of it.
//!
//! ```text
//! archive::tar      a tar stream in which every field can lie
//! archive::layout   an OCI layout or docker's archive, likewise
//! archive::layers() ─┐
//! archive::images() ─┴▶ [Case {name, make, answer}]
//! ```
//!
//! A dependency of tests alone, outside the tiers. It depends on nothing of hull's: what reads and what is
//! read must not share a mistake.

pub mod archive;
