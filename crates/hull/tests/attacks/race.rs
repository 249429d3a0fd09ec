//! Attacks that need luck are tried again and again.

use crate::runtime::is_hull;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What came of one try.
#[derive(Debug)]
pub(crate) enum End {
    /// The attack succeeded, and this is how it shows.
    Fallen(String),
    /// The program ran, and nothing is wrong.
    Withstood,
    /// There was no container.
    Refused,
}

impl End {
    pub(crate) fn is_fallen(&self) -> bool {
        matches!(self, Self::Fallen(_))
    }
}

/// How often a race is run. Each start gives the attacker some thousand exchanges.
const TRIES: usize = 25;

/// How long a runtime is given that ought to fall.
const PATIENCE: Duration = Duration::from_secs(150);

/// No try succeeds. It goes on until the program has run once: a refusal each time would prove little.
pub(crate) fn assert_withstands(mut attack: impl FnMut() -> End) {
    let begin = Instant::now();
    let (mut tried, mut ran) = (0, 0);
    while if is_hull() {
        tried < TRIES || ran == 0 && tried < 100 * TRIES
    } else {
        begin.elapsed() < PATIENCE
    } {
        tried += 1;
        match attack() {
            End::Fallen(how) => panic!("FALLEN, try {tried}: {how}"),
            End::Withstood => ran += 1,
            End::Refused => {}
        }
    }
    assert!(ran > 0, "never once did it run");
}

/// There is no container, whoever does what meanwhile.
pub(crate) fn assert_refuses(mut attack: impl FnMut() -> End) {
    let begin = Instant::now();
    let mut tried = 0;
    while if is_hull() { tried < 10 } else { begin.elapsed() < PATIENCE } {
        tried += 1;
        match attack() {
            End::Fallen(how) => panic!("FALLEN, try {tried}: {how}"),
            end => assert!(!is_hull() || matches!(end, End::Refused), "there is a container"),
        }
    }
}

/// One try in due time succeeds.
pub(crate) fn assert_falls(mut attack: impl FnMut() -> End) {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if attack().is_fallen() {
            return;
        }
    }
    panic!("it withstood: Debian's is patched, or this is no attack");
}

/// Exchanges two names for as long as it lives: the attacker in another container that shares the directory.
pub(crate) struct Swapper {
    names: [PathBuf; 2],
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Swapper {
    pub(crate) fn new(one: PathBuf, other: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let names = [one.clone(), other.clone()];
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let exchange = rustix::fs::RenameFlags::EXCHANGE;
                let _ = rustix::fs::renameat_with(rustix::fs::CWD, &one, rustix::fs::CWD, &other, exchange);
            }
        });
        Self { names, stop, thread: Some(thread) }
    }

    /// Stops with the link, of the two names, under the second.
    pub(crate) fn leave(mut self) {
        self.stop();
        let [one, other] = &self.names;
        if one.is_symlink() {
            let exchange = rustix::fs::RenameFlags::EXCHANGE;
            rustix::fs::renameat_with(rustix::fs::CWD, one, rustix::fs::CWD, other, exchange).unwrap();
        }
    }

    fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.stop();
    }
}
