//! The attacks that broke other runtimes, each built as it was built then. See SECURITY.md.
//!
//! A test looks at the effect: what a program inside sees and what became of the host. Where Debian's runc or crun
//! still falls, `oracle_…` shows it (`cargo xtask test --long`), so that the attack is known to be one.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may panic, and says what it skips")]

mod bundle;
mod descriptors;
mod masks;
mod paths;
mod privileges;
mod race;
mod runtime;
