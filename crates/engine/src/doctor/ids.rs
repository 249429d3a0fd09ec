//! Ids for containers: how many are left, and who else was given some.

use super::{Finding, IDS, Verdict};
use store::{IdRange, Pool};

/// What is reserved by /etc/subuid and /etc/subgid, and how many ranges containers have now.
pub(super) fn all(reserved: &[IdRange], slots: usize) -> Vec<Finding> {
    let pool = Pool::default();
    let whole = IdRange { first: pool.base, size: u32::MAX - pool.base };
    let meeting: Vec<_> = reserved.iter().filter(|range| range.overlaps(&whole)).copied().collect();
    let lost = (0..pool.ranges)
        .filter(|&number| meeting.iter().any(|one| one.overlaps(&pool.range(number))))
        .count();
    vec![free(&pool, lost, slots), overlap(&meeting, lost), overlap_of_users(reserved)]
}

fn free(pool: &Pool, lost: usize, slots: usize) -> Finding {
    let left = (pool.ranges as usize).saturating_sub(lost + slots);
    let told = Finding::ok(IDS, "free", format!("{left} of {} ranges of 65,536 ids", pool.ranges));
    let mend = "edit /etc/subuid and /etc/subgid: ids from 1879048192 on are hull's";
    match left {
        0 => told.but(Verdict::No, "no container can start", mend),
        1..100 => told.but(Verdict::Warn, "no more containers than that can start", mend),
        _ => told,
    }
}

fn overlap(meeting: &[IdRange], lost: usize) -> Finding {
    let told = |is: String| Finding::ok(IDS, "hull's own", is);
    match meeting {
        [] => told("nobody was granted any of them".into()),
        [first, ..] => told(format!("{} was granted to a user, from {} on", plural(lost), first.first)).but(
            Verdict::Warn,
            "these are left alone: fewer containers can run",
            "edit /etc/subuid and /etc/subgid: ids below 1879048192 are for users",
        ),
    }
}

fn plural(ranges: usize) -> String {
    format!("{ranges} range{}", if ranges == 1 { "" } else { "s" })
}

/// Whether two users were granted the same ids: their rootless containers are not apart.
fn overlap_of_users(reserved: &[IdRange]) -> Finding {
    let told = |is: &str| Finding::ok(IDS, "users' own", is);
    // A user has the same range in both files: only different ranges that meet are two users'.
    let meets = |(at, one): (usize, &IdRange)| {
        reserved[at + 1..].iter().find(|other| **other != *one && other.overlaps(one)).copied()
    };
    match reserved.iter().enumerate().find_map(meets) {
        None => told("granted ranges do not meet"),
        Some(range) => told(&format!("two granted ranges meet at {}", range.first)).but(
            Verdict::Warn,
            "rootless containers of two users have the same ids, and are each other's",
            "edit /etc/subuid and /etc/subgid: usermod --del-subuids FIRST-LAST USER",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::about;
    use super::*;

    fn range(first: u32, size: u32) -> IdRange {
        IdRange { first, size }
    }

    #[test]
    fn the_usual_grants_take_nothing() {
        let usual = [range(100_000, 65_536), range(165_536, 65_536), range(100_000, 65_536)];
        let all = all(&usual, 3);
        assert!(all.iter().all(|one| one.verdict == Verdict::Ok), "{all:?}");
        assert!(about(&all, "free").is.starts_with("32765 of 32768"), "{all:?}");
    }

    #[test]
    fn grants_among_hulls_are_counted_out() {
        let all = all(&[range(1_879_048_192, 65_537)], 0);
        assert!(about(&all, "free").is.starts_with("32766 "), "{all:?}");
        assert_eq!(about(&all, "hull's own").verdict, Verdict::Warn);
        let everything = super::all(&[range(0, u32::MAX)], 0);
        assert_eq!(about(&everything, "free").verdict, Verdict::No);
    }

    #[test]
    fn two_users_with_the_same_ids_are_found() {
        let all = all(&[range(100_000, 65_536), range(120_000, 65_536)], 0);
        assert_eq!(about(&all, "users' own").is, "two granted ranges meet at 120000");
    }
}
