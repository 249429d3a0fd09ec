//! Named steps at which a test can kill the process.
//!
//! A promise such as "kill it at any moment and nothing acknowledged is lost" is only worth
//! something when it is tried. Every persistent effect of a journey is followed by
//! `sys::step!("crate.journey.effect")`. A test names one with [`kill_at`], and the process is
//! gone, by SIGKILL, the moment it gets there. In release builds a step is nothing at all.

/// Marks a step; the name is unique in the whole workspace.
#[macro_export]
macro_rules! step {
    ($name:literal) => {
        $crate::step::reached($name)
    };
}

#[cfg(debug_assertions)]
static KILL_AT: std::sync::OnceLock<String> = std::sync::OnceLock::new();

/// Instead of a step: every step is written to standard error, a line each, and nothing is killed.
pub const LIST: &str = "list";

/// Chooses the step at which this process is killed, or [`LIST`]. Only the first call counts, and only in
/// builds with debug assertions. The one global of the workspace: threading a test's wish through
/// every signature would cost more than it protects.
pub fn kill_at(name: String) {
    #[cfg(debug_assertions)]
    let _ = KILL_AT.set(name);
    #[cfg(not(debug_assertions))]
    drop(name);
}

/// What [`step!`](crate::step!) expands to.
#[inline(always)]
pub fn reached(name: &'static str) {
    #[cfg(debug_assertions)]
    match KILL_AT.get() {
        Some(at) if at == name => {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            // The first process of a pid namespace is deaf to its own signals.
            crate::process::exit_now(137);
        }
        Some(at) if at == LIST => {
            let _ = rustix::io::write(rustix::stdio::stderr(), format!("step {name}\n").as_bytes());
        }
        _ => {}
    }
    #[cfg(not(debug_assertions))]
    let _ = name;
}
