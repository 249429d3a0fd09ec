//! Benchmarks.
use crate::shell::Done;
pub(crate) fn run(_args: &[String]) -> Done {
    Err("bench".into())
}
