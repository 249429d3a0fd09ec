//! stub
use crate::request::Restart;
use std::time::Duration;
#[derive(Default)]
pub(crate) struct Backoff(Duration);
impl Backoff {
    pub(crate) fn next(
        &mut self,
        policy: &Restart,
        code: i32,
        by_hand: bool,
        ran: Duration,
        count: u32,
    ) -> Option<Duration> {
        let _ = (policy, code, by_hand, ran, count);
        None
    }
}
