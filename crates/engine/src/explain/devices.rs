//! Devices a container may open.

use super::value::{Devices, Rule};
use super::words;
use serde_json::Value;

/// v1's own list, which the kernel keeps: `c 1:3 rwm` a line, `a *:* rwm` for everything.
pub(super) fn listed(text: &str) -> Devices {
    let rules: Vec<_> = text.lines().filter_map(listed_one).collect();
    devices(rules, "devices.list")
}

fn devices(rules: Vec<Rule>, enforced: &'static str) -> Devices {
    let all = rules.iter().any(|rule| rule.kind == 'a' && rule.access.contains('r'));
    Devices { all, enforced, rules }
}

fn listed_one(line: &str) -> Option<Rule> {
    let mut words = line.split_whitespace();
    let kind = words.next()?.chars().next()?;
    let (major, minor) = words.next()?.split_once(':')?;
    let number = |text: &str| text.parse().ok();
    Some(rule(kind, number(major), number(minor), words.next().unwrap_or_default()))
}

fn rule(kind: char, major: Option<u32>, minor: Option<u32>, access: &str) -> Rule {
    let name = major.and_then(|major| match words::device(kind, major, minor) {
        Some(name) => Some(name.to_owned()),
        None => named_by_host(kind, major, minor?),
    });
    Rule { kind, major, minor, access: access.into(), name }
}

/// `DEVNAME=vda` of sysfs, if there is such a device now.
fn named_by_host(kind: char, major: u32, minor: u32) -> Option<String> {
    let class = if kind == 'b' { "block" } else { "char" };
    let text = std::fs::read_to_string(format!("/sys/dev/{class}/{major}:{minor}/uevent")).ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("DEVNAME="))?;
    Some(format!("/dev/{name}"))
}

/// What the runtime-spec's rules come to: later ones count, and the first forbids everything. On v2 they are a
/// program, which the kernel does not show again.
pub(super) fn wanted(spec: &Value, enforced: &'static str) -> Devices {
    let mut rules: Vec<Rule> = Vec::new();
    for asked in spec["linux"]["resources"]["devices"].as_array().into_iter().flatten() {
        let kind = asked["type"].as_str().and_then(|kind| kind.chars().next()).unwrap_or('a');
        let number = |name: &str| asked[name].as_u64().and_then(|number| u32::try_from(number).ok());
        let rule = rule(kind, number("major"), number("minor"), asked["access"].as_str().unwrap_or("rwm"));
        let is_same =
            |other: &Rule| (other.kind, other.major, other.minor) == (rule.kind, rule.major, rule.minor);
        match asked["allow"].as_bool() == Some(true) {
            true => rules.push(rule),
            false if rule.kind == 'a' => rules.clear(),
            false => rules.retain(|other| !is_same(other)),
        }
    }
    devices(rules, enforced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_is_read() {
        let found = listed("c *:* m\nc 1:3 rwm\nc 136:* rwm\n");
        assert!(!found.all);
        assert_eq!(found.rules[1].name.as_deref(), Some("/dev/null"));
        assert_eq!((found.rules[2].minor, found.rules[2].name.as_deref()), (None, Some("/dev/pts/*")));
        assert!(listed("a *:* rwm\n").all);
    }

    #[test]
    fn rules_come_to_what_is_allowed_at_the_end() {
        let spec = |rules: Value| serde_json::json!({"linux": {"resources": {"devices": rules}}});
        let closed = serde_json::json!({"allow": false, "access": "rwm"});
        let device = serde_json::json!({"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"});
        let found = wanted(&spec(serde_json::json!([closed, device])), "program");
        assert_eq!((found.all, found.rules.len()), (false, 1));
        assert!(wanted(&spec(serde_json::json!([{"allow": true, "access": "rwm"}])), "program").all);
    }
}
