//! When a container that has ended is started again: docker's rules (moby, `restartmanager`).

use crate::request::Restart;
use std::time::Duration;

/// Before the first start anew.
const FIRST: Duration = Duration::from_millis(100);
/// The longest rest.
const LONGEST: Duration = Duration::from_secs(60);
/// One that ran for so long begins at the first rest again.
const LONG: Duration = Duration::from_secs(10);

/// How long the next rest is.
#[derive(Debug, Default)]
pub(crate) struct Backoff(Option<Duration>);

/// How a life ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Past {
    /// The exit code.
    pub(crate) code: i32,
    /// How long it ran.
    pub(crate) ran: Duration,
    /// Somebody stopped it.
    pub(crate) by_hand: bool,
    /// How often it was started again before.
    pub(crate) restarts: u32,
}

impl Backoff {
    /// The rest until it is started again; none where it stays ended.
    pub(crate) fn next(&mut self, policy: Restart, past: Past) -> Option<Duration> {
        if past.by_hand || !wants(policy, past) {
            return None;
        }
        let before = self.0.filter(|_| past.ran < LONG);
        let rest = before.map_or(FIRST, |before| (before * 2).min(LONGEST));
        self.0 = Some(rest);
        Some(rest)
    }
}

fn wants(policy: Restart, past: Past) -> bool {
    match policy {
        Restart::No => false,
        Restart::OnFailure { max } => past.code != 0 && max.is_none_or(|max| past.restarts < max),
        Restart::Always | Restart::UnlessStopped => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Past = Past { code: 1, ran: Duration::from_secs(1), by_hand: false, restarts: 0 };

    #[test]
    fn rests_double_up_to_a_minute_and_begin_anew_after_a_long_run() {
        let mut backoff = Backoff::default();
        let rests: Vec<_> =
            (0..12).map(|_| backoff.next(Restart::Always, SHORT).unwrap().as_millis()).collect();
        assert_eq!(rests, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
        let long = Past { ran: Duration::from_secs(10), ..SHORT };
        assert_eq!(backoff.next(Restart::Always, long), Some(FIRST));
        assert_eq!(backoff.next(Restart::Always, SHORT), Some(FIRST * 2));
    }

    #[test]
    fn each_policy_has_its_own_ends() {
        let next = |policy, past| Backoff::default().next(policy, past).is_some();
        let well = Past { code: 0, ..SHORT };
        let twice = Past { restarts: 2, ..SHORT };
        assert!(!next(Restart::No, SHORT));
        assert!(
            next(Restart::OnFailure { max: None }, twice) && !next(Restart::OnFailure { max: None }, well)
        );
        assert!(next(Restart::OnFailure { max: Some(3) }, twice));
        assert!(!next(Restart::OnFailure { max: Some(2) }, twice));
        for policy in [Restart::Always, Restart::UnlessStopped] {
            assert!(next(policy, well) && next(policy, twice));
            assert!(!next(policy, Past { by_hand: true, ..SHORT }));
        }
    }
}
