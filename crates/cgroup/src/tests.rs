//! On the real kernel: own groups under a name of their own, gone when the test ends.

use crate::{Cgroup, Host, Kind, Mode, Oom, files};
use oci::runtime::LinuxResources;
use rustix::process::{Pid, Signal};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A group of the cgroup2 tree, without controllers; none where there is no tree.
pub(crate) struct TreeGroup {
    pub(crate) dir: rustix::fd::OwnedFd,
    path: PathBuf,
}

pub(crate) fn tree_group(name: &str) -> Option<TreeGroup> {
    let Some(root) = Host::probe().unwrap().tree() else {
        eprintln!("SKIP: no cgroup2 is mounted");
        return None;
    };
    let path = root.join(format!("hull-test-{}-{name}", std::process::id()));
    files::make_dir(&path).unwrap();
    Some(TreeGroup { dir: files::open_dir(&path).unwrap(), path })
}

impl Drop for TreeGroup {
    fn drop(&mut self) {
        let _ = files::remove_dir(&self.path);
    }
}

/// A container's groups with a path of their own.
struct Sandbox {
    host: Host,
    path: PathBuf,
    group: Option<Cgroup>,
}

impl Sandbox {
    fn new(name: &str, resources: serde_json::Value) -> Self {
        let host = Host::probe().unwrap();
        let path = PathBuf::from(format!("/hull-test-{}-{name}", std::process::id()));
        let group = Some(host.create(&path, &read(resources)).unwrap());
        Self { host, path, group }
    }

    fn group(&self) -> &Cgroup {
        self.group.as_ref().unwrap()
    }

    fn update(&self, resources: serde_json::Value) -> crate::Result<()> {
        self.host.update(self.group(), &read(resources))
    }

    /// What a file holds, by its name on v1 and on v2.
    fn shows(&self, v1: &str, v2: &str) -> String {
        let file = if self.host.mode() == Mode::V2 { v2 } else { v1 };
        let group = self.group();
        let dirs = group.groups.iter().find_map(|group| files::get(&group.dir, file).ok());
        dirs.unwrap_or_else(|| panic!("{file}")).trim().to_owned()
    }

    /// A shell that joins the groups before it does what it is told.
    #[allow(clippy::zombie_processes, reason = "its groups' removal kills it, and the test ends")]
    fn shell(&self, script: &str) -> Child {
        let mut child = Command::new("sh")
            .args(["-c", &format!("read go; {script}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.group().take_in(Pid::from_child(&child)).unwrap();
        drop(child.stdin.take());
        child
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let removed = self.group.take().map(Cgroup::remove);
        if !std::thread::panicking() {
            removed.unwrap().unwrap();
            assert!(self.host.open(&self.path).unwrap().is_none(), "nothing is left");
        }
    }
}

fn read(resources: serde_json::Value) -> LinuxResources {
    serde_json::from_value(resources).unwrap()
}

fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn state(pid: Pid) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit(") ").next().unwrap_or_default().chars().take(1).collect()
}

#[test]
fn what_is_given_is_changed_and_the_rest_is_left() {
    let sandbox = Sandbox::new(
        "update",
        json!({
            "memory": {"limit": 64 << 20, "swap": 128 << 20}, "pids": {"limit": 10},
            "cpu": {"quota": 50_000, "period": 100_000, "shares": 512}
        }),
    );
    sandbox.update(json!({"pids": {"limit": 20}, "cpu": {"quota": 80_000}})).unwrap();
    assert_eq!(sandbox.shows("pids.max", "pids.max"), "20");
    assert_eq!(sandbox.shows("memory.limit_in_bytes", "memory.max"), "67108864");
    assert_eq!(sandbox.shows("cpu.cfs_quota_us", "cpu.max").split(' ').next(), Some("80000"));
    sandbox.update(json!({"cpu": {"period": 50_000}})).unwrap();
    assert_eq!(sandbox.shows("cpu.cfs_quota_us", "cpu.max").split(' ').next(), Some("80000"));
}

#[test]
fn memory_and_swap_are_raised_and_lowered_in_the_order_the_kernel_takes() {
    let both = |limit: i64, swap: i64| json!({"memory": {"limit": limit, "swap": swap}});
    let sandbox = Sandbox::new("order", both(32 << 20, 64 << 20));
    let limit = || sandbox.shows("memory.limit_in_bytes", "memory.max");
    sandbox.update(both(128 << 20, 256 << 20)).unwrap();
    assert_eq!(limit(), (128 << 20).to_string());
    sandbox.update(both(16 << 20, 16 << 20)).unwrap();
    assert_eq!(limit(), (16 << 20).to_string());
    sandbox.update(json!({"memory": {"limit": -1}})).unwrap();
    assert!(["max", "9223372036854771712"].contains(&limit().as_str()), "{}", limit());
}

#[test]
fn an_invalid_value_leaves_all_as_it_was() {
    let sandbox = Sandbox::new(
        "invalid",
        json!({"pids": {"limit": 10}, "memory": {"limit": 64 << 20, "swap": 64 << 20}}),
    );
    let error = sandbox
        .update(
            json!({"pids": {"limit": 30}, "cpu": {"shares": 300, "quota": 5}, "memory": {"limit": 32 << 20}}),
        )
        .unwrap_err();
    assert_eq!(*error.kind(), Kind::Refused, "{error:?}");
    assert_eq!(sandbox.shows("pids.max", "pids.max"), "10");
    assert_eq!(sandbox.shows("memory.limit_in_bytes", "memory.max"), "67108864");
    assert_eq!(sandbox.shows("cpu.shares", "cpu.weight").parse::<u64>().unwrap() % 924, 100);
}

#[test]
fn a_quota_below_the_burst_and_a_burst_above_the_quota_are_taken() {
    let sandbox =
        Sandbox::new("burst", json!({"cpu": {"quota": 50_000, "period": 100_000, "burst": 40_000}}));
    sandbox.update(json!({"cpu": {"quota": 20_000, "burst": 10_000}})).unwrap();
    assert_eq!(sandbox.shows("cpu.cfs_burst_us", "cpu.max.burst"), "10000");
    sandbox.update(json!({"cpu": {"quota": 90_000, "burst": 80_000}})).unwrap();
    assert_eq!(sandbox.shows("cpu.cfs_burst_us", "cpu.max.burst"), "80000");
}

#[test]
fn idle_groups_have_no_weight_and_get_it_back() {
    let sandbox = Sandbox::new("idle", json!({"cpu": {"shares": 512, "idle": 1}}));
    assert_eq!(sandbox.shows("cpu.idle", "cpu.idle"), "1");
    sandbox.update(json!({"cpu": {"shares": 512, "idle": 0}})).unwrap();
    assert!(["512", "59"].contains(&sandbox.shows("cpu.shares", "cpu.weight").as_str()));
}

#[test]
fn frozen_processes_stop_and_go_on() {
    let sandbox = Sandbox::new("freeze", json!({}));
    let mut child = sandbox.shell("while :; do :; done");
    let pid = Pid::from_child(&child);
    eventually("it runs", || state(pid) == "R");
    assert!(!sandbox.group().frozen());
    sandbox.group().freeze().unwrap();
    assert!(sandbox.group().frozen());
    let spent = || std::fs::read_to_string(format!("/proc/{}/schedstat", pid.as_raw_nonzero())).unwrap();
    let before = spent();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(spent(), before, "it takes no CPU");
    // Another handle, as of another command.
    let other = sandbox.host.open(&sandbox.path).unwrap().unwrap();
    assert!(other.frozen());
    other.thaw().unwrap();
    assert!(!sandbox.group().frozen());
    eventually("it goes on", || spent() != before);
    sandbox.group().kill_all().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_forks_all_the_time_is_frozen_and_killed() {
    let sandbox = Sandbox::new("forks", json!({"pids": {"limit": 200}}));
    let mut child = sandbox.shell("f() { while :; do sleep 0.01 & sleep 0.01; done; }; f & f & f & f");
    eventually("it forks", || sandbox.group().all_procs().len() > 6);
    sandbox.group().freeze().unwrap();
    let sorted = || {
        let mut all = sandbox.group().all_procs();
        all.sort_unstable_by_key(|pid| pid.as_raw_nonzero());
        all
    };
    let all = sorted();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(sorted(), all);
    sandbox.group().thaw().unwrap();
    eventually("it goes on", || sorted() != all);
    sandbox.group().kill_all().unwrap();
    assert_eq!(sandbox.group().all_procs(), []);
    child.wait().unwrap();
}

#[test]
fn a_signal_reaches_all_in_groups_below_as_well() {
    let sandbox = Sandbox::new("signal", json!({}));
    let mut children = [sandbox.shell("exec sleep 1000"), sandbox.shell("exec sleep 1000")];
    for group in sandbox.group().groups.iter().filter(|group| !group.is_v2()) {
        files::make_dir(&group.path.join("below")).unwrap();
    }
    if sandbox.host.mode() != Mode::V2 {
        let below = sandbox.group().below(Path::new("below"), None).unwrap();
        below.take_in(Pid::from_child(&children[1])).unwrap();
        assert_eq!(sandbox.group().procs().len(), 1);
    }
    assert_eq!(sandbox.group().all_procs().len(), 2);
    sandbox.group().signal(Signal::TERM).unwrap();
    for child in &mut children {
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(child.wait().unwrap().signal(), Some(15));
    }
}

#[test]
fn want_of_memory_is_told() {
    let sandbox = Sandbox::new("oom", json!({"memory": {"limit": 16 << 20, "swap": 16 << 20}}));
    let mut notice = sandbox.group().oom_notice().unwrap();
    assert_eq!(notice.look(), Oom::Killed(0));
    let mut child = sandbox.shell("x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done");
    let mut poll = [rustix::event::PollFd::new(&notice, rustix::event::PollFlags::IN)];
    let limit = rustix::time::Timespec { tv_sec: 60, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut poll, Some(&limit)), Ok(1));
    child.wait().unwrap();
    let mut told = 0;
    let end = Instant::now() + Duration::from_secs(30);
    while told == 0 && Instant::now() < end {
        let Oom::Killed(more) = notice.look() else { panic!("it is there") };
        told += more;
    }
    assert_eq!((told, sandbox.group().oom_kills()), (1, 1));
    drop(sandbox);
    assert_eq!(notice.look(), Oom::Gone);
}

#[test]
fn huge_pages_are_limited_in_the_tree_of_a_hybrid_host() {
    let host = Host::probe().unwrap();
    if !host.controllers().iter().any(|name| name == "hugetlb") {
        return eprintln!("SKIP: no hugetlb");
    }
    let sandbox = Sandbox::new("huge", json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 5 << 20}]}));
    assert_eq!(sandbox.shows("hugetlb.2MB.max", "hugetlb.2MB.max"), (4 << 20).to_string());
    let mut child = sandbox.shell("sleep 1000");
    let text = std::fs::read_to_string(format!("/proc/{}/cgroup", child.id())).unwrap();
    assert!(text.contains(&format!("0::{}", sandbox.path.display())), "{text}");
    sandbox.group().kill_all().unwrap();
    child.wait().unwrap();
    sandbox.update(json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 2 << 20}]})).unwrap();
    assert_eq!(sandbox.shows("hugetlb.2MB.max", "hugetlb.2MB.max"), (2 << 20).to_string());
}

#[test]
fn what_was_used_is_told() {
    let sandbox = Sandbox::new("stats", json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 7}}));
    let mut child = sandbox.shell("x=aaaaaaaa; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do x=$x$x; done; while :; do :; done");
    let enough = || sandbox.group().stats().cpu.usage.total > 100_000_000;
    eventually("it takes CPU", enough);
    eventually("it takes memory", || sandbox.group().stats().memory.usage.usage > 1 << 20);
    let stats = sandbox.group().stats();
    assert_eq!((stats.pids.current, stats.pids.limit), (1, 7));
    assert_eq!(stats.memory.usage.limit, 64 << 20);
    assert!(stats.memory.usage.usage > 0 && stats.memory.usage.usage < 64 << 20, "{:?}", stats.memory.usage);
    assert!(stats.memory.raw.len() > 10);
    let json = serde_json::to_value(&stats).unwrap();
    assert_eq!(json["memory"]["usage"]["limit"], 64 << 20);
    assert_eq!(json["pids"], json!({"current": 1, "limit": 7}));
    sandbox.group().kill_all().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_group_with_processes_is_not_made_again() {
    let sandbox = Sandbox::new("twice", json!({}));
    let mut child = sandbox.shell("exec sleep 1000");
    let error = sandbox.host.create(&sandbox.path, &read(json!({}))).unwrap_err();
    assert_eq!(*error.kind(), Kind::InUse, "{error:?}");
    assert_eq!(sandbox.group().procs().len(), 1, "and nothing happened to it");
    sandbox.group().kill_all().unwrap();
    child.wait().unwrap();
}

#[test]
fn where_a_process_lives_can_be_found_and_opened_again() {
    let sandbox = Sandbox::new("adopt", json!({"pids": {"limit": 9}}));
    let mut child = sandbox.shell("exec sleep 1000");
    let adopted = sandbox.host.adopt(Pid::from_child(&child)).unwrap().unwrap();
    let sorted = |mut paths: Vec<(String, PathBuf)>| {
        paths.sort();
        paths
    };
    assert_eq!(sorted(adopted.paths()), sorted(sandbox.group().paths()));
    // Frozen after its paths were kept: the freezer's group is found all the same.
    let kept = sandbox.group().paths();
    sandbox.group().freeze().unwrap();
    let reopened = sandbox.host.reopen(&kept).unwrap().unwrap();
    assert!(reopened.frozen());
    reopened.thaw().unwrap();
    sandbox.group().kill_all().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_relative_path_is_at_the_callers_own_group() {
    // In a process of its own: it moves itself, and other tests may run in threads of this one.
    const ALONE: &str = "HULL_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let mut alone = Command::new(std::env::current_exe().unwrap());
        let name = "tests::a_relative_path_is_at_the_callers_own_group";
        assert!(alone.args(["--exact", name]).env(ALONE, "1").status().unwrap().success());
        return;
    }
    let outer = Sandbox::new("outer", json!({}));
    let name = format!("hull-test-{}-inner", std::process::id());
    // The test itself goes into the outer groups, and back.
    let me = rustix::process::getpid();
    let before = crate::own::of(None).unwrap();
    outer.group().take_in(me).unwrap();
    let made = outer.host.create(Path::new(&name), &read(json!({})));
    for one in &before {
        let Some(root) = one.controllers.first().map_or(outer.host.tree(), |name| {
            Some(Path::new("/sys/fs/cgroup").join(name.trim_start_matches("name=")))
        }) else {
            continue;
        };
        let text = me.as_raw_nonzero().to_string();
        let _ = std::fs::write(format!("{}{}/cgroup.procs", root.display(), one.path.display()), text);
    }
    let made = made.unwrap();
    let parent = |cgroup: &Cgroup| cgroup.groups[0].path.clone();
    match outer.host.mode() {
        Mode::V2 => assert_eq!(parent(&made).parent(), parent(outer.group()).parent()),
        _ => assert_eq!(parent(&made).parent(), Some(parent(outer.group()).as_path())),
    }
    made.remove().unwrap();
}

#[test]
fn device_rules_are_summed_up_and_changed() {
    let rules = |list: serde_json::Value| json!({"devices": list});
    let sandbox = Sandbox::new(
        "devices",
        rules(json!([
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "rwm"},
            {"allow": false, "type": "c", "major": 1, "minor": 11, "access": "w"},
        ])),
    );
    // From inside: opening /dev/kmsg and /dev/full, which always is allowed.
    let opens = |how: &str| {
        let script = format!("exec 3{how}/dev/kmsg || exit 1; exec 3>/dev/full");
        sandbox.shell(&script).wait().unwrap().success()
    };
    if !Path::new("/dev/kmsg").exists() {
        return eprintln!("SKIP: no /dev/kmsg");
    }
    assert!(opens("<"));
    assert!(!opens(">"), "the later rule took writing back");
    sandbox
        .update(rules(json!([{"allow": true, "type": "c", "major": 1, "minor": 11, "access": "w"}])))
        .unwrap();
    assert!(opens(">"));
    assert!(!opens("<"));
    sandbox.update(rules(json!([{"allow": true, "access": "rwm"}]))).unwrap();
    assert!(opens("<") && opens(">"));
}

#[test]
fn real_time_is_had_from_the_groups_above() {
    let host = Host::probe().unwrap();
    let has = |host: &Host| {
        let root = host.hierarchy("cpu").map(|one| one.path.join("cpu.rt_runtime_us"));
        root.is_some_and(|file| file.exists())
    };
    if !has(&host) {
        return eprintln!("SKIP: no groups of real-time tasks");
    }
    let above = PathBuf::from(format!("/hull-test-{}-rt", std::process::id()));
    let rt = |us: i64| read(json!({"cpu": {"realtimeRuntime": us, "realtimePeriod": 1_000_000}}));
    let one = host.create(&above.join("one"), &rt(10_000)).unwrap();
    let two = host.create(&above.join("two"), &rt(20_000)).unwrap();
    let error = host.create(&above.join("three"), &rt(999_000)).unwrap_err();
    assert!(error.to_string().contains("no real-time CPU"), "{error:?}");
    one.remove().unwrap();
    two.remove().unwrap();
    host.open(&above).unwrap().unwrap().remove().unwrap();
}

#[test]
fn what_cannot_be_is_refused_by_name_and_nothing_is_left() {
    let host = Host::probe().unwrap();
    let path = PathBuf::from(format!("/hull-test-{}-refused", std::process::id()));
    let v1 = host.mode() != Mode::V2;
    for (resources, word) in [
        (json!({"memory": {"swappiness": 500}}), "swappiness"),
        (json!({"devices": [{"allow": true, "type": "p", "access": "r"}]}), "FIFO"),
        (json!({"devices": [{"allow": true, "type": "c", "access": "x"}]}), "access is made of"),
        (json!({"hugepageLimits": [{"pageSize": "3xB", "limit": 1}]}), "3xB"),
        (json!({"unified": {"memory/x": "1"}}), "memory/x"),
        (json!({"unified": {"nothing.max": "1"}}), "nothing"),
        (json!({"memory": {"kernel": 50_000_000}}), if v1 { "memory.kmem" } else { "kernel memory" }),
        (json!({"rdma": {"mlx5_0": {"hcaHandles": 1}}}), "rdma"),
        (json!({"cpu": {"cpus": "70000"}}), "cpuset.cpus"),
    ] {
        let error = host.create(&path, &read(resources)).unwrap_err();
        let cause = std::error::Error::source(&error).map(|cause| cause.to_string()).unwrap_or_default();
        assert!(format!("{error}: {cause}").contains(word), "{word}: {error:?}");
        assert!(host.open(&path).unwrap().is_none(), "{word}");
    }
}

#[test]
fn a_group_of_the_tree_is_handed_over() {
    use std::os::unix::fs::MetadataExt;
    let Some(tree) = tree_group("delegate") else { return };
    let host = Host::probe().unwrap();
    let group = host.reopen(&[(String::new(), tree.path.clone())]).unwrap().unwrap();
    group.delegate(rustix::fs::Uid::from_raw(12_345)).unwrap();
    let owner = |file: &str| std::fs::metadata(tree.path.join(file)).unwrap().uid();
    assert_eq!((owner(""), owner("cgroup.procs"), owner("cgroup.subtree_control")), (12_345, 12_345, 12_345));
    assert_eq!(owner("cgroup.freeze"), 0);
}

#[test]
fn below_a_group_that_was_handed_over_the_caller_steps_aside() {
    // In a process of its own, as above.
    const ALONE: &str = "HULL_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let mut alone = Command::new(std::env::current_exe().unwrap());
        let name = "tests::below_a_group_that_was_handed_over_the_caller_steps_aside";
        assert!(alone.args(["--exact", name]).env(ALONE, "1").status().unwrap().success());
        return;
    }
    let host = Host::probe().unwrap();
    if !host.has_v2("hugetlb") {
        return eprintln!("SKIP: the cgroup2 tree has no controller that could be turned on");
    }
    let root = host.tree().unwrap();
    let _ = files::put(files::open_dir(&root).unwrap(), "cgroup.subtree_control", "+hugetlb");
    let Some(service) = tree_group("service") else { return };
    rustix::fs::setxattr(&service.path, "user.delegate", b"1", rustix::fs::XattrFlags::empty()).unwrap();
    let before = root
        .join(crate::own::path_of(&crate::own::of(None).unwrap(), None).unwrap().strip_prefix("/").unwrap());
    files::put(&service.dir, "cgroup.procs", "0").unwrap();
    let limits = json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}]});
    let made = host.create(Path::new("inner"), &read(limits)).unwrap();
    let path = made.tree().unwrap().path.clone();
    let own = crate::own::of(None).unwrap();
    let own = crate::own::path_of(&own, None).unwrap().to_owned();
    made.remove().unwrap();
    files::put(files::open_dir(&before).unwrap(), "cgroup.procs", "0").unwrap();
    files::remove_dir(&service.path.join("hull.self")).unwrap();
    assert_eq!(path, service.path.join("inner"), "below, not beside");
    assert!(own.ends_with("hull.self"), "{own:?}");
}
