//! The embedded image `hello`: a newcomer's first container, which tells what isolates it.
//!
//! One static binary plays both parts. On the host, `Engine::embedded_image` makes the image: one layer holds
//! a copy of the running executable as `/hello`, the other the few files of `/etc`. In the container
//! that executable, seeing `/hello` as its name, runs [`main`], which reads the kernel's word on its
//! own isolation and prints a dozen lines.
//!
//! ```text
//! /proc, /sys ──[facts]──▶ Facts ──[page]──▶ text        inside
//! /proc/self/exe ──[image]──▶ tar in flight ──▶ layer    outside
//! ```
//!
//! Reading is apart from setting the lines, so that the page is tested on captured texts of
//! cgroup v1 and v2. What cannot be read is said to be so; nothing is assumed.

mod facts;
mod image;
mod page;

use std::io::Write;
use std::process::ExitCode;

/// The program of the embedded image: prints what isolates it, and succeeds when that was printed.
pub fn main() -> ExitCode {
    let page = page::set(&facts::Facts::read(&facts::Kernel));
    match std::io::stdout().write_all(page.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
