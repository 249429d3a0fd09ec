//! The OCI runtime, by what a container sees of it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod spec_bundle;
mod spec_kernel;
mod spec_mounts;
mod spec_namespaces;
mod spec_process;
