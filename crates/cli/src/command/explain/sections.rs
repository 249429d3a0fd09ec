//! An explanation in words: what a reader wants first comes first.

use crate::render::{short, size};
use crate::sheet::{Mark, Row, Section};
use engine::explain::{
    Calls, Capabilities, Explanation, Isolation, Limits, Mount, Namespace, Origin, Owner, Range, Resource,
    Severity,
};

/// All of it.
pub(super) fn all(it: &Explanation) -> Vec<Section> {
    let is = &it.isolation;
    let mut all = vec![subject(it), weaknesses(it)];
    all.extend((!it.differences.is_empty()).then(|| differences(it)));
    all.extend([
        namespaces(is),
        ids(is),
        capabilities(&is.capabilities),
        calls(is),
        modules(is),
        mounts(is),
        devices(is),
        network(is),
        limits(&is.limits, is),
        layers(it),
    ]);
    all
}

fn section(title: &'static str, summary: impl Into<String>, rows: Vec<Row>) -> Section {
    Section { title, summary: summary.into(), rows }
}

pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn subject(it: &Explanation) -> Section {
    let one = &it.container;
    let basis = match one.pid {
        Some(pid) => format!("as the kernel says of process {pid}"),
        None => "what it would have: it does not run".to_owned(),
    };
    let rows = vec![
        Row::plain("container", format!("{} ({}), {}", one.name, short(&one.id), one.status)),
        Row::plain("image", &one.image),
        Row::plain("command", one.command.join(" ")),
        Row::plain(
            "host",
            format!(
                "Linux {}, control groups {}, {}",
                it.host.kernel,
                it.host.cgroups,
                counted(it.host.neighbours, "neighbour")
            ),
        ),
    ];
    section("Isolation", basis, rows)
}

fn weaknesses(it: &Explanation) -> Section {
    let mark = |severity| match severity {
        Severity::High => (Mark::Bad, "high"),
        Severity::Medium => (Mark::Warn, "medium"),
        Severity::Low => (Mark::Plain, "low"),
    };
    let row = |weakness: &engine::explain::Weakness| {
        let (mark, word) = mark(weakness.severity);
        let flag = if weakness.flag.is_empty() { String::new() } else { format!(" ({})", weakness.flag) };
        let more = vec![format!("gains: {}", weakness.gains), format!("close: {}", weakness.close)];
        Row::new(mark, word, format!("{}{flag}", weakness.found)).with(more)
    };
    let count = |severity| it.weaknesses.iter().filter(|one| one.severity == severity).count();
    let summary = format!(
        "{} high, {} medium, {} low: what an attacker inside gains by each",
        count(Severity::High),
        count(Severity::Medium),
        count(Severity::Low)
    );
    section("Weaker than it could be", summary, it.weaknesses.iter().map(row).collect())
}

fn differences(it: &Explanation) -> Section {
    let row = |one: &engine::explain::Difference| {
        Row::new(Mark::Warn, &one.what, format!("asked for: {}", one.one))
            .with(vec![format!("is: {}", one.other)])
    };
    section("Not as asked for", "the kernel's word is the truth", it.differences.iter().map(row).collect())
}

fn namespaces(is: &Isolation) -> Section {
    let row = |one: &Namespace| {
        let with = one.with.join(", ");
        let (mark, whose) = match one.owner {
            Owner::Own => (Mark::Good, format!("own: {}", one.isolates)),
            Owner::Host => (
                if one.kind == "time" { Mark::Plain } else { Mark::Bad },
                format!("the host's, so not: {}", one.isolates),
            ),
            Owner::Shared if with.is_empty() => (Mark::Warn, "joined another container's".to_owned()),
            Owner::Shared => (Mark::Warn, format!("shared with {with}")),
        };
        let number = one.inode.map_or(String::new(), |inode| format!(" [{inode}]"));
        Row::new(mark, one.kind, whose + &number)
    };
    let own = is.namespaces.iter().filter(|one| one.owner == Owner::Own).count();
    section(
        "Namespaces",
        format!("{own} of {} are its own", is.namespaces.len()),
        is.namespaces.iter().map(row).collect(),
    )
}

fn ids(is: &Isolation) -> Section {
    let ids = &is.ids;
    let (mark, root) = match ids.root {
        Some(0) => (Mark::Bad, "root inside is root on the host".to_owned()),
        Some(id) if is.mounts.iter().any(|mount| mount.mapped) => (
            Mark::Good,
            format!("root inside is {id} on the host: nobody there, but to files that are bound"),
        ),
        Some(id) => (Mark::Good, format!("root inside is {id} on the host: nobody there")),
        None => (Mark::Good, "there is no root inside".to_owned()),
    };
    let user = Row::plain("first process", format!("user {} inside, {} on the host", ids.user.0, ids.user.1));
    let with = (!ids.with.is_empty()).then(|| Row::new(Mark::Warn, "shared with", ids.with.join(", ")));
    let rows = [
        Row::new(mark, "root", root),
        user,
        Row::plain("users", ranges(&ids.users)),
        Row::plain("groups", ranges(&ids.groups)),
    ];
    section("Users", "", rows.into_iter().chain(with).collect())
}

fn ranges(ranges: &[Range]) -> String {
    let one = |range: &Range| match range.size {
        u32::MAX => "the host's own".to_owned(),
        size => format!(
            "{}–{} are {}–{}",
            range.inside,
            range.inside + (size - 1),
            range.host,
            range.host + (size - 1)
        ),
    };
    ranges.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn capabilities(sets: &Capabilities) -> Section {
    let over = if sets.over_host { "over the host" } else { "over what is its own only" };
    let summary = format!("{} at most, {} effective, {over}", sets.bounding.len(), sets.effective.len());
    let lower = |name: &str| name.trim_start_matches("CAP_").to_lowercase();
    let meaning = sets.meaning.iter().map(|one| {
        let is_effective = sets.effective.contains(&one.name);
        let (mark, note) = match (one.is_void, is_effective) {
            (true, _) => (Mark::Plain, " – void below its user namespace"),
            (false, true) => (if sets.over_host { Mark::Warn } else { Mark::Plain }, ""),
            (false, false) => (Mark::Plain, " – not effective"),
        };
        Row::new(mark, lower(&one.name), format!("{}{note}", one.allows))
    });
    let other =
        [("permitted", &sets.permitted), ("inheritable", &sets.inheritable), ("ambient", &sets.ambient)];
    let told = other.into_iter().filter(|(_, set)| **set != sets.effective || set.is_empty());
    let told = told.map(|(name, set)| {
        let names: Vec<_> = set.iter().map(|name| lower(name)).collect();
        Row::plain(name, if names.is_empty() { "none".to_owned() } else { names.join(" ") })
    });
    section("Capabilities", summary, told.chain(meaning).collect())
}

fn calls(is: &Isolation) -> Section {
    let filter = &is.seccomp;
    let summary = match filter.mode {
        "filter" => format!(
            "{} let through, {} refused, {} by their arguments",
            filter.allowed, filter.refused, filter.conditional
        ),
        "strict" => "only read, write and exit".to_owned(),
        _ => format!("no filter: all {} are let through", filter.allowed),
    };
    let row = |group: &Calls| {
        let (mark, word) = match (group.refused.len() + group.conditional.len(), group.open.len()) {
            (0, _) => (Mark::Bad, "open"),
            (_, 0) => (Mark::Good, "refused"),
            _ => (Mark::Warn, "in part"),
        };
        let conditional = if group.conditional.is_empty() {
            String::new()
        } else {
            format!("; by arguments: {}", group.conditional.join(" "))
        };
        let open =
            if word == "in part" { format!("; open: {}", group.open.join(" ")) } else { String::new() };
        Row::new(mark, word, format!("{}{conditional}{open}", group.purpose))
    };
    section("System calls", summary, filter.groups.iter().map(row).collect())
}

fn modules(is: &Isolation) -> Section {
    let yes = |on: bool, yes: &str, no: &str| {
        if on {
            Row::new(Mark::Good, "new privileges", yes)
        } else {
            Row::new(Mark::Warn, "new privileges", no)
        }
    };
    let modules = &is.modules;
    let active =
        modules.active.as_ref().map_or("securityfs is not mounted: unknown".to_owned(), |all| all.join(" "));
    let landlock = match modules.landlock {
        Some(abi) => format!(
            "version {abi}: programs inside can confine themselves further; whether they do, the kernel tells nobody"
        ),
        None => "not in this kernel".to_owned(),
    };
    let rows = vec![
        yes(
            is.no_new_privileges,
            "never: setuid programs are void",
            "by setuid programs inside, up to the capabilities above",
        ),
        Row::plain("label", modules.label.clone().unwrap_or_else(|| "none".into())),
        Row::plain("modules", active),
        Row::plain("Landlock", landlock),
    ];
    section("Security modules", "", rows)
}

fn mounts(is: &Isolation) -> Section {
    let row = |mount: &Mount| {
        let access = if mount.writable { "rw" } else { "ro" };
        let from = match mount.origin {
            Origin::Root => "the image's layers, and its own".to_owned(),
            Origin::Kernel => format!("{}, the kernel's", mount.kind),
            Origin::Memory => format!("{}, in memory", mount.kind),
            Origin::Host => format!("{} of the host", mount.source),
            Origin::Hull => "made for it by hull".to_owned(),
            Origin::Device => format!("device {}", mount.source),
            Origin::Mask => "hidden".to_owned(),
        };
        let mark = match (mount.origin, mount.writable) {
            (Origin::Host, true) => Mark::Warn,
            _ => Mark::Plain,
        };
        let shared = if mount.propagates { "; shared with the host" } else { "" };
        let mapped = if mount.mapped { "; ids there are the host's, root's too" } else { "" };
        Row::new(mark, &mount.target, format!("{access}, {from}: {}{shared}{mapped}", mount.why))
    };
    let mut rows: Vec<_> = is.mounts.iter().map(row).collect();
    rows.push(match is.masked.is_empty() {
        true => Row::new(Mark::Bad, "hidden", "nothing"),
        false => Row::new(Mark::Good, "hidden", is.masked.join(" ")),
    });
    let binds = is.mounts.iter().filter(|mount| mount.origin == Origin::Host).count();
    section("Mounts", format!("{}, {binds} from the host", counted(is.mounts.len(), "mount")), rows)
}

fn devices(is: &Isolation) -> Section {
    let devices = &is.devices;
    let by = match devices.enforced {
        "none" => "nothing holds it off any device".to_owned(),
        how => format!("held by {}", if how == "program" { "a BPF program" } else { "the kernel's list" }),
    };
    if devices.all {
        return section(
            "Devices",
            by,
            vec![Row::new(Mark::Bad, "all", "every device of the host may be opened")],
        );
    }
    let number = |number: Option<u32>| number.map_or("*".to_owned(), |number| number.to_string());
    let row = |rule: &engine::explain::Rule| {
        let numbers = format!("{} {}:{}", rule.kind, number(rule.major), number(rule.minor));
        let name = rule.name.clone().unwrap_or_else(|| {
            if rule.access == "m" { "make nodes, open none".into() } else { "unknown".into() }
        });
        Row::plain(numbers, format!("{:3}  {name}", rule.access))
    };
    section("Devices", by, devices.rules.iter().map(row).collect())
}

fn network(is: &Isolation) -> Section {
    let network = &is.network;
    let list = |label: &str, all: &[String]| (!all.is_empty()).then(|| Row::plain(label, all.join(", ")));
    let rows = [
        list("interfaces", &network.interfaces),
        list("addresses", &network.addresses),
        list("listens", &network.listens),
    ];
    section("Network", format!("reaches {}", network.reach), rows.into_iter().flatten().collect())
}

fn limits(limits: &Limits, is: &Isolation) -> Section {
    let resources = limits.resources.iter().filter(|one| one.limit.is_some() || one.used.is_some());
    let mut rows: Vec<_> = resources.map(resource).collect();
    let pressure = limits.pressure.iter().map(|one| {
        let [ten, minute, five] = one.some;
        Row::plain(
            format!("{} pressure", one.resource),
            format!("{ten:.1} % of 10 s, {minute:.1} % of 1 min, {five:.1} % of 5 min"),
        )
    });
    rows.extend(pressure);
    if limits.oom_kills > 0 {
        rows.push(Row::new(Mark::Warn, "killed", format!("{} for want of memory", limits.oom_kills)));
    }
    let score = is.oom.score.map_or(String::new(), |score| format!(", {score} now"));
    rows.push(Row::plain(
        "oom score",
        format!("{:+}{score}: the highest of the host dies first", is.oom.adjust),
    ));
    rows.extend(
        limits
            .processes
            .iter()
            .map(|one| Row::plain(&one.name, format!("{} of each process, at most {}", one.soft, one.hard))),
    );
    let whose = if limits.pressure_of == "host" && !limits.pressure.is_empty() {
        "; pressure is the host's, v1 counts none of groups"
    } else {
        ""
    };
    let group = if limits.group.is_empty() { "no group yet" } else { &limits.group };
    section("Limits", format!("{group}{whose}"), rows)
}

fn resource(one: &Resource) -> Row {
    let amount = |text: &String| match (one.unit, text.parse::<u64>()) {
        ("bytes", Ok(bytes)) => size(bytes),
        _ => text.clone(),
    };
    let used = one.used.as_ref().map(|used| match one.name {
        "cpu" => format!("{used} s used"),
        "disk" => format!("{} moved", amount(used)),
        _ => format!("{} used", amount(used)),
    });
    let (mark, limit) = match (&one.limit, one.name) {
        (Some(limit), _) => (Mark::Good, format!("at most {}", amount(limit))),
        (None, "memory" | "processes") => (Mark::Warn, "no limit".to_owned()),
        (None, _) => (Mark::Plain, "no limit".to_owned()),
    };
    let limit = if one.name == "cpu shares" {
        format!("weight {}", one.limit.clone().unwrap_or_default())
    } else {
        limit
    };
    let mark = if one.name == "cpu shares" { Mark::Plain } else { mark };
    Row::new(mark, one.name, [Some(limit), used].into_iter().flatten().collect::<Vec<_>>().join(", "))
}

fn layers(it: &Explanation) -> Section {
    let layers = &it.layers;
    let row = |layer: &engine::explain::Layer| {
        let others =
            |kind: &str, all: &[String]| (!all.is_empty()).then(|| format!("{kind} {}", all.join(", ")));
        let with = [others("images", &layer.images), others("containers", &layer.containers)];
        let with: Vec<_> = with.into_iter().flatten().collect();
        Row::plain(short(&layer.id), format!("{}; in {}", size(layer.bytes), with.join("; ")))
    };
    let written = if layers.read_only {
        "its root is read-only".to_owned()
    } else {
        format!("{} written by it", size(layers.written))
    };
    let own = Row::plain("own", written);
    let rows = std::iter::once(own).chain(layers.image.iter().rev().map(row)).collect();
    section("Layers", format!("{} of the image, the lowest last", counted(layers.image.len(), "layer")), rows)
}
