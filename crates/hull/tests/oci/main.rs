//! The OCI runtime, by what a container sees of it and an engine hears of it.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may panic, and says what it skips")]

#[path = "../support/mod.rs"]
mod support;

mod console;
mod container;
mod crash;
mod exec;
mod hooks;
mod life;
mod limits;
mod rootless;
mod spec_bundle;
mod spec_kernel;
mod spec_mounts;
mod spec_namespaces;
mod spec_process;
