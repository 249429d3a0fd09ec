//! v1's list of devices, see cgroup-v1/devices.rst and security/device_cgroup.c.
//!
//! The kernel keeps no order of rules but a list of exceptions: from refusing all, or from allowing all. So rules
//! are summed up here, and what such a list cannot say is refused by name.

use super::{ALL, LETTERS, Node, Rule, access};
use crate::{Error, Kind, Result};
use std::collections::BTreeMap;

/// Which nodes; an absent number is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Pattern {
    node: Node,
    major: Option<u32>,
    minor: Option<u32>,
}

/// Does any number of `inner` belong to `outer`?
fn holds(outer: Option<u32>, inner: Option<u32>) -> bool {
    outer.is_none() || outer == inner
}

fn meet(one: Option<u32>, other: Option<u32>) -> bool {
    holds(one, other) || holds(other, one)
}

impl Pattern {
    fn covers(&self, other: &Self) -> bool {
        self.node == other.node && holds(self.major, other.major) && holds(self.minor, other.minor)
    }

    /// What belongs to both.
    fn overlap(&self, other: &Self) -> Option<Self> {
        let meets = self.node == other.node && meet(self.major, other.major) && meet(self.minor, other.minor);
        let both = |one: Option<u32>, other: Option<u32>| one.or(other);
        meets.then_some(Self {
            node: self.node,
            major: both(self.major, other.major),
            minor: both(self.minor, other.minor),
        })
    }

    /// `c 1:3 rwm`
    fn line(&self, bits: u32) -> String {
        let node = if self.node == Node::Block { 'b' } else { 'c' };
        let number = |number: Option<u32>| number.map_or("*".into(), |number| number.to_string());
        let letters = LETTERS.iter().filter(|(_, bit)| bits & bit != 0).map(|(letter, _)| letter);
        let letters: String = letters.collect();
        format!("{node} {}:{} {letters}", number(self.major), number(self.minor))
    }
}

/// All is allowed or refused, but for the exceptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct List {
    allows_all: bool,
    exceptions: BTreeMap<Pattern, u32>,
}

impl List {
    /// What rules come to. Fails where v1 cannot say it.
    pub(super) fn of(rules: &[Rule]) -> Result<Self> {
        let mut list = Self { allows_all: false, exceptions: BTreeMap::new() };
        for rule in rules {
            match rule {
                Rule { node: None, major: None, minor: None, access: ALL, allow } => {
                    list = Self { allows_all: *allow, exceptions: BTreeMap::new() };
                }
                rule => [Node::Block, Node::Char]
                    .into_iter()
                    .filter(|node| rule.node.is_none_or(|only| only == *node))
                    .try_for_each(|node| list.apply(rule, node))?,
            }
        }
        list.complete();
        Ok(list)
    }

    fn apply(&mut self, rule: &Rule, node: Node) -> Result<()> {
        let pattern = Pattern { node, major: rule.major, minor: rule.minor };
        if rule.allow != self.allows_all {
            *self.exceptions.entry(pattern).or_default() |= rule.access;
            return Ok(());
        }
        for (other, bits) in &mut self.exceptions {
            if *bits & rule.access == 0 || pattern.overlap(other).is_none() {
                continue;
            }
            if !pattern.covers(other) {
                return Err(cannot(rule.allow, &pattern, rule.access, other, *bits));
            }
            *bits &= !rule.access;
        }
        self.exceptions.retain(|_, bits| *bits != 0);
        Ok(())
    }

    /// The kernel allows an access only if one exception has it whole, so each gets what broader ones have.
    fn complete(&mut self) {
        if self.allows_all {
            return;
        }
        let given: Vec<_> = self.exceptions.iter().map(|(pattern, bits)| (*pattern, *bits)).collect();
        let meets =
            given.iter().flat_map(|(one, _)| given.iter().filter_map(|(other, _)| one.overlap(other)));
        for pattern in meets.collect::<Vec<_>>() {
            let covering = given.iter().filter(|(other, _)| other.covers(&pattern));
            let bits = covering.fold(0, |bits, (_, more)| bits | more);
            self.exceptions.insert(pattern, bits);
        }
    }

    /// `DevicePolicy=` and `DeviceAllow=`, see systemd.resource-control(5).
    pub(super) fn for_systemd(&self) -> (&'static str, Vec<(String, String)>) {
        if self.allows_all {
            // With exceptions it is systemd that allows too much; what is written holds.
            return ("auto", Vec::new());
        }
        let name = |pattern: &Pattern| {
            let kind = if pattern.node == Node::Block { "block" } else { "char" };
            match (pattern.major, pattern.minor) {
                (Some(major), Some(minor)) => Some(format!("/dev/{kind}/{major}:{minor}")),
                (Some(major), None) => Some(format!("{kind}-{major}")),
                (None, None) => Some(format!("{kind}-*")),
                (None, Some(_)) => None,
            }
        };
        let entry = |(pattern, bits): (&Pattern, &u32)| {
            let line = pattern.line(*bits);
            Some((name(pattern)?, line.rsplit(' ').next()?.to_owned()))
        };
        ("strict", self.exceptions.iter().filter_map(entry).collect())
    }

    /// `devices.list`
    pub(super) fn parse(text: &str) -> Self {
        let allows_all = text.lines().any(|line| line.starts_with("a *:*"));
        let exceptions = text.lines().filter_map(exception).collect();
        Self { allows_all, exceptions }
    }

    /// Files and lines to write, from the list that is there, or for a group that is new.
    pub(super) fn changes(&self, before: Option<&Self>) -> Vec<(&'static str, String)> {
        let (add, take) = if self.allows_all {
            ("devices.deny", "devices.allow")
        } else {
            ("devices.allow", "devices.deny")
        };
        let lines = |from: &Self, minus: &Self| -> Vec<String> {
            let left = from.exceptions.iter().map(|(pattern, bits)| {
                (pattern, bits & !minus.exceptions.get(pattern).copied().unwrap_or_default())
            });
            left.filter(|(_, bits)| *bits != 0).map(|(pattern, bits)| pattern.line(bits)).collect()
        };
        let none = Self { allows_all: self.allows_all, exceptions: BTreeMap::new() };
        // The exceptions from allowing all are not shown, so that they can only be written anew.
        let start = before.filter(|before| !self.allows_all && !before.allows_all);
        let reset = start.is_none().then(|| (take, "a".to_owned()));
        let start = start.unwrap_or(&none);
        let added = lines(self, start).into_iter().map(|line| (add, line));
        let taken = lines(start, self).into_iter().map(|line| (take, line));
        reset.into_iter().chain(taken).chain(added).collect()
    }

    /// Is this what the kernel shows? Exceptions from allowing all it does not show.
    pub(super) fn is_shown_as(&self, shown: &Self) -> bool {
        self.allows_all == shown.allows_all && (self.allows_all || self.exceptions == shown.exceptions)
    }
}

fn exception(line: &str) -> Option<(Pattern, u32)> {
    let mut words = line.split([' ', ':']);
    let node = match words.next()? {
        "b" => Node::Block,
        "c" => Node::Char,
        _ => return None,
    };
    let mut number = || match words.next()? {
        "*" => Some(None),
        number => number.parse().ok().map(Some),
    };
    let pattern = Pattern { node, major: number()?, minor: number()? };
    Some((pattern, access(words.next()?.trim())?))
}

fn cannot(allow: bool, pattern: &Pattern, access: u32, other: &Pattern, bits: u32) -> Error {
    let (verb, held) = if allow { ("allow", "refused") } else { ("deny", "allowed") };
    Error::new(
        Kind::Unsupported,
        format!(
            "device rule `{verb} {}`: cgroup v1 cannot take a part out of `{}`, which is {held}",
            pattern.line(access),
            other.line(bits)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn rule(
        allow: bool,
        node: Option<Node>,
        major: Option<u32>,
        minor: Option<u32>,
        access: u32,
    ) -> Rule {
        Rule { allow, node, major, minor, access }
    }

    const NONE: Rule = rule(false, None, None, None, ALL);
    const EVERY: Rule = rule(true, None, None, None, ALL);

    fn lines(rules: &[Rule]) -> Vec<String> {
        List::of(rules)
            .unwrap()
            .changes(None)
            .into_iter()
            .map(|(file, line)| format!("{file} {line}"))
            .collect()
    }

    #[test]
    fn rules_come_to_a_sum() {
        use Node::Char;
        let null = |allow, access| rule(allow, Some(Char), Some(1), Some(3), access);
        assert_eq!(
            lines(&[NONE, null(true, 7), null(false, 4)]),
            ["devices.deny a", "devices.allow c 1:3 mr"],
            "a later deny narrows"
        );
        assert_eq!(lines(&[NONE, null(true, 7), rule(false, None, Some(1), None, 7)]), ["devices.deny a"]);
        assert_eq!(lines(&[NONE, null(true, 7), EVERY]), ["devices.allow a"]);
        assert_eq!(lines(&[EVERY, null(false, 4)]), ["devices.allow a", "devices.deny c 1:3 w"]);
    }

    #[test]
    fn any_type_with_numbers_is_both_types() {
        assert_eq!(
            lines(&[NONE, rule(true, None, Some(9), Some(1), 2)]),
            ["devices.deny a", "devices.allow b 9:1 r", "devices.allow c 9:1 r"]
        );
    }

    #[test]
    fn what_is_allowed_in_pieces_is_allowed_whole() {
        use Node::Char;
        let list = lines(&[
            NONE,
            rule(true, Some(Char), None, None, 1),
            rule(true, Some(Char), Some(1), None, 2),
            rule(true, Some(Char), None, Some(3), 4),
        ]);
        assert!(list.contains(&"devices.allow c 1:3 mrw".to_owned()), "{list:?}");
        assert!(list.contains(&"devices.allow c 1:* mr".to_owned()), "{list:?}");
    }

    #[test]
    fn a_hole_in_a_range_is_refused_by_name() {
        use Node::Char;
        let hole =
            [NONE, rule(true, Some(Char), Some(1), None, 7), rule(false, Some(Char), Some(1), Some(3), 4)];
        assert_eq!(
            List::of(&hole).unwrap_err().to_string(),
            "device rule `deny c 1:3 w`: cgroup v1 cannot take a part out of `c 1:* mrw`, which is allowed"
        );
    }

    /// security/device_cgroup.c: an exception from refusing all must have an access whole, one from allowing all
    /// any part of it.
    fn kernel(list: &List, node: Node, access: u32, major: u32, minor: u32) -> bool {
        let asked = Pattern { node, major: Some(major), minor: Some(minor) };
        let mut meeting = list.exceptions.iter().filter(|(pattern, _)| pattern.covers(&asked));
        match list.allows_all {
            false => meeting.any(|(_, bits)| access & !bits == 0),
            true => meeting.all(|(_, bits)| access & bits == 0),
        }
    }

    fn model(rules: &[Rule], node: Node, access: u32, major: u32, minor: u32) -> bool {
        let asked = Pattern { node, major: Some(major), minor: Some(minor) };
        let speaks = |rule: &&Rule, bit: u32| {
            let pattern = Pattern { node: rule.node.unwrap_or(node), major: rule.major, minor: rule.minor };
            pattern.covers(&asked) && rule.access & bit != 0
        };
        let allowed = |bit| rules.iter().rev().find(|rule| speaks(rule, bit)).is_some_and(|rule| rule.allow);
        [1, 2, 4].into_iter().filter(|bit| access & bit != 0).all(allowed)
    }

    fn rules() -> impl Strategy<Value = Vec<Rule>> {
        let node = prop_oneof![Just(None), Just(Some(Node::Block)), Just(Some(Node::Char))];
        let number = || prop_oneof![Just(None), (0u32..3).prop_map(Some)];
        let rule = (any::<bool>(), node, number(), number(), 1u32..8)
            .prop_map(|(allow, node, major, minor, access)| rule(allow, node, major, minor, access));
        proptest::collection::vec(rule, 0..6)
    }

    proptest! {
        #[test]
        fn a_list_says_what_the_rules_say_or_is_refused(
            rules in rules(), block in any::<bool>(), access in 1u32..8, major in 0u32..3, minor in 0u32..3
        ) {
            let node = if block { Node::Block } else { Node::Char };
            if let Ok(list) = List::of(&rules) {
                let said = kernel(&list, node, access, major, minor);
                prop_assert_eq!(said, model(&rules, node, access, major, minor));
            }
        }
    }

    #[test]
    fn a_running_group_is_changed_without_a_gap() {
        use Node::Char;
        let one = |minor| rule(true, Some(Char), Some(1), Some(minor), 7);
        let before = List::parse("c 1:3 rwm\nc 1:5 rwm\n");
        let changes = List::of(&[NONE, one(5), one(7)]).unwrap().changes(Some(&before));
        assert_eq!(
            changes,
            [("devices.deny", "c 1:3 mrw".to_owned()), ("devices.allow", "c 1:7 mrw".to_owned())]
        );
    }
}
