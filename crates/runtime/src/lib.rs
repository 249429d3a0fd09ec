//! A runtime-spec Spec to a running process.
