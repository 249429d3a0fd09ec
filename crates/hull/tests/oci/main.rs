//! The OCI runtime, by what a container sees of it.

#[path = "../support/mod.rs"]
mod support;

mod bundle;
mod spec_kernel;
mod spec_mounts;
mod spec_namespaces;
mod spec_process;
