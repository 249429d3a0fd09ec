//! What the filter of a container costs: table, compilation, both at once, installation; µs: the first time with
//! cold caches, then median and least.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use seccomp::{Capabilities, compile, default_profile, default_program};
use std::time::Instant;

const ROUNDS: usize = 200;

fn main() {
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let profile = default_profile(Capabilities::DEFAULT, (6, 18));
        let table = start.elapsed();
        let program = compile(&profile).unwrap();
        let compiled = start.elapsed();
        times[0].push(table);
        times[1].push(compiled - table);
        let start = Instant::now();
        let direct = default_program(Capabilities::DEFAULT, (6, 18));
        times[2].push(start.elapsed());
        assert_eq!(direct, program);
        // A filter stays; each goes to a thread of its own, so that none runs below another.
        times[3].push(std::thread::spawn(move || install(&program)).join().unwrap());
    }
    for (name, times) in ["table", "compile", "at once", "install"].iter().zip(&mut times) {
        let first = times[0];
        times.sort();
        let [first, median, least] =
            [first, times[ROUNDS / 2], times[0]].map(|time| time.as_nanos() as f64 / 1e3);
        println!("{name:8} {first:7.1} {median:7.1} {least:7.1}");
    }
    let program = compile(&default_profile(Capabilities::DEFAULT, (6, 18))).unwrap();
    println!("{} instructions", program.instructions.len());
}

fn install(program: &seccomp::Program) -> std::time::Duration {
    let start = Instant::now();
    sys::seccomp::install(&program.instructions, program.flags).unwrap();
    start.elapsed()
}
