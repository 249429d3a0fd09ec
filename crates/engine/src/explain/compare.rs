//! Two isolations side by side: one list of facts for each, in words, without what changes by itself.

use super::value::{Difference, Isolation, Origin, Owner};

/// A fact: of what, and what.
type Fact = (String, String);

/// All facts of one.
fn facts(is: &Isolation) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |what: &str, is: String| facts.push((what.to_owned(), is));
    for one in &is.namespaces {
        let owner = match one.owner {
            Owner::Own => "own".to_owned(),
            Owner::Host => "the host's".to_owned(),
            Owner::Shared => "joined".to_owned(),
        };
        add(&format!("{} namespace", one.kind), owner);
    }
    let ids: u64 = is.ids.users.iter().map(|range| u64::from(range.size)).sum();
    add("user ids", format!("{ids}"));
    add("user", is.ids.user.0.to_string());
    add("effective capabilities", names(&is.capabilities.effective));
    add("bounding capabilities", names(&is.capabilities.bounding));
    add("ambient capabilities", names(&is.capabilities.ambient));
    add("inheritable capabilities", names(&is.capabilities.inheritable));
    add("filter of system calls", is.seccomp.mode.to_owned());
    add("no new privileges", is.no_new_privileges.to_string());
    add("label", is.modules.label.clone().unwrap_or_else(|| "none".into()));
    add("hidden paths", names(&is.masked));
    add("all devices", is.devices.all.to_string());
    add("oom score", is.oom.adjust.to_string());
    for limit in is.limits.resources.iter().filter(|one| COMPARED.contains(&one.name)) {
        add(&format!("limit of {}", limit.name), limit.limit.clone().unwrap_or_else(|| "none".into()));
    }
    facts
}

/// Limits that both a request and a group can tell.
const COMPARED: [&str; 5] = ["memory", "memory+swap", "cpu", "cpus", "processes"];

fn names(names: &[String]) -> String {
    let mut names: Vec<_> = names.iter().map(|name| name.trim_start_matches("CAP_")).collect();
    names.sort_unstable();
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}

/// Mounts that two readers can agree about: not what the runtime makes of its own.
fn mounts(is: &Isolation) -> Vec<Fact> {
    let shown = is
        .mounts
        .iter()
        .filter(|mount| matches!(mount.origin, Origin::Root | Origin::Host | Origin::Hull | Origin::Memory));
    let access = |writable| if writable { "writable" } else { "read-only" }.to_owned();
    shown.map(|mount| (format!("mount {}", mount.target), access(mount.writable))).collect()
}

fn differences(one: &[Fact], other: &[Fact], none: &str) -> Vec<Difference> {
    let find =
        |facts: &[Fact], what: &str| facts.iter().find(|fact| fact.0 == what).map(|fact| fact.1.clone());
    let names =
        one.iter().chain(other.iter().filter(|fact| find(one, &fact.0).is_none())).map(|fact| &fact.0);
    let pair = |what: &String| {
        let (one, other) = (find(one, what), find(other, what));
        let word = |fact: Option<String>| fact.unwrap_or_else(|| none.to_owned());
        (one != other).then(|| Difference { what: what.clone(), one: word(one), other: word(other) })
    };
    names.filter_map(pair).collect()
}

/// What was asked for and is not so. A mount that was not asked for is the runtime's or the container's own.
pub(super) fn asked_and_is(asked: &Isolation, is: &Isolation) -> Vec<Difference> {
    let mut all = differences(&facts(asked), &facts(is), "unknown");
    all.retain(|one| !is_explained(one, is));
    let (wanted, there) = (mounts(asked), mounts(is));
    all.extend(differences(&wanted, &there, "not there").into_iter().filter(|one| one.one != "not there"));
    all
}

/// Differences that follow from something else.
fn is_explained(one: &Difference, is: &Isolation) -> bool {
    match one.what.as_str() {
        // Not every kernel has every path; and a label that nothing asked for is the host's default.
        "hidden paths" => {
            one.other.split(' ').all(|path| one.one.split(' ').any(|asked| asked == path))
                && !is.masked.is_empty()
        }
        "label" => one.one == "none",
        // Without a limit of memory there is none of both together, and not every kernel counts swap.
        "limit of memory+swap" => one.other == "none" || one.one == "none",
        "limit of cpus" => one.one == "none",
        _ => false,
    }
}

/// Where two containers differ.
pub(super) fn two(one: &Isolation, other: &Isolation) -> Vec<Difference> {
    let all = |is: &Isolation| {
        let mut all = facts(is);
        all.extend(mounts(is));
        all.push(("network".into(), is.network.reach.clone()));
        all.push(("refused system calls".into(), is.seccomp.refused.to_string()));
        all
    };
    differences(&all(one), &all(other), "not there")
}

#[cfg(test)]
mod tests {
    use super::super::value::{Mount, Resource};
    use super::*;

    #[test]
    fn what_is_the_same_is_not_told() {
        assert_eq!(two(&Isolation::default(), &Isolation::default()), []);
        assert_eq!(asked_and_is(&Isolation::default(), &Isolation::default()), []);
    }

    #[test]
    fn a_limit_that_is_not_held_is_told() {
        let limit = |limit: &str| {
            let mut is = Isolation::default();
            is.limits.resources =
                vec![Resource { name: "memory", limit: Some(limit.into()), used: None, unit: "bytes" }];
            is
        };
        let told = asked_and_is(&limit("10"), &limit("20"));
        assert_eq!(
            told,
            [Difference { what: "limit of memory".into(), one: "10".into(), other: "20".into() }]
        );
    }

    #[test]
    fn a_mount_that_was_asked_for_and_is_not_there_is_told_and_not_the_reverse() {
        let mut with = Isolation::default();
        let (source, kind, why) = ("/s".into(), "ext4".into(), String::new());
        with.mounts = vec![Mount {
            target: "/d".into(),
            origin: Origin::Host,
            kind,
            source,
            writable: true,
            why,
            propagates: false,
            mapped: false,
        }];
        assert_eq!(asked_and_is(&with, &Isolation::default()).len(), 1);
        assert_eq!(asked_and_is(&Isolation::default(), &with), []);
        assert_eq!(two(&Isolation::default(), &with).len(), 1);
    }
}
