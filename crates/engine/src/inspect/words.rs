//! Small values as docker's JSON has them.

use jiff::Timestamp;
use serde_json::Value;

/// A list; Go's `nil` where it is empty.
pub(super) fn some(list: Vec<String>) -> Value {
    if list.is_empty() { Value::Null } else { list.into() }
}

/// A limit of setrlimit(2); -1 is none.
pub(super) fn limit(limit: u64) -> i64 {
    i64::try_from(limit).unwrap_or(-1)
}

/// A moment; Go's zero time where there is none.
pub(super) fn moment(time: Option<Timestamp>) -> String {
    time.map_or("0001-01-01T00:00:00Z".to_owned(), |time| time.to_string())
}
