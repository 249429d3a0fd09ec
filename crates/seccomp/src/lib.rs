//! System call filters: docker's profile as a table, compiled to BPF.
//!
//! ```text
//! capabilities, kernel ──▶ default_profile ─┐
//! docker's JSON ─────────▶ from_docker_json ┴▶ LinuxSeccomp ──▶ compile ──▶ Program ──▶ sys::seccomp::install
//!                                              (runtime-spec)      │
//!                                                                  ├ meaning   name → verdict, in libseccomp's sense
//!                                                                  ├ ranges    number → verdict, by ABI
//!                                                                  └ assemble  search tree → instructions
//! ```
//!
//! `default_program` goes from the table to the program at once: a start finds cold caches, where names cost most.
//!
//! It is pure: nothing here asks the host anything or makes a system call; what a rule may depend on
//! (capabilities, kernel version) is passed in. It is not libseccomp: it knows the ABIs that hull runs on
//! (x86-64 with x32 and i386, aarch64 with arm), and no others.
//!
//! Invariants: for every ABI, number and arguments the program returns what reading the rules one by
//! one gives (tests/program.rs holds it); a program ends after a number of steps that grows with the logarithm of
//! the profile's length, because the kernel runs it once per call number when it is installed, and again for each call
//! whose arguments matter.

mod abi;
mod answer;
mod assemble;
mod capability;
mod docker;
mod meaning;
mod number;
mod profile;
mod program;

pub use abi::{Abi, X32_BIT};
pub use answer::{Answer, answers};
pub use capability::{Capabilities, Capability};
pub use docker::from_docker_json;
pub use number::{number, numbers};
pub use profile::default_profile;
pub use program::{Program, compile, compile_for, default_program};

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A name, a value or a file is not what it should be.
    Invalid,
    /// Well said, and this machine or kernel can't.
    Unsupported,
}

/// An error of this crate.
pub type Error = fault::Error<Kind>;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
