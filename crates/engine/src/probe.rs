//! What the host can isolate, by doing it: a process that lives for a moment in each kind of namespace, a mount on
//! the store's own file system, a filter that is asked. Some milliseconds in all.

use crate::Engine;
use crate::error::Result;
use runtime::Overlay;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::process::{Signal, WaitOptions, set_parent_process_death_signal, waitpid};
use std::path::Path;
use sys::mount::{FileSystem, clone_tree, set_id_map};
use sys::process::{Birth, Clone3, NamespaceOf, Namespaces, clone3, exit_now, namespace_of, unshare};

/// Something a host has or lacks.
#[derive(Debug, Clone)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// Does it work here?
    pub works: bool,
    /// What is lost without.
    pub without: &'static str,
}

impl Engine {
    /// Tries everything. In a process with one thread.
    pub(crate) fn features(&self) -> Vec<Feature> {
        let basic = Namespaces::MOUNT | Namespaces::PID | Namespaces::IPC | Namespaces::UTS;
        let reads =
            |path: &str, yes: &str| std::fs::read_to_string(path).is_ok_and(|text| text.trim() == yes);
        let feature = |name, works, without| Feature { name, works, without };
        vec![
            feature("mount, pid, IPC and UTS namespaces", is_born_into(basic), "no container can run"),
            feature("user namespaces", is_born_into(Namespaces::USER), "a container's root is the host's"),
            feature("id-mapped mounts", self.maps_ids(), "containers share the host's user namespace"),
            feature("network namespaces", is_born_into(Namespaces::NET), "only `--network host`"),
            feature(
                "cgroup namespaces",
                is_born_into(Namespaces::CGROUP),
                "containers see the host's groups",
            ),
            feature("time namespaces", leaves(Namespaces::TIME), "`--time` is refused"),
            feature("control groups", self.makes_groups(), "containers have no limits"),
            feature("overlay", self.stacks(), "no container can run"),
            feature(
                "overlay layers by descriptor",
                overlay_takes_descriptors(),
                "layers are handed over by path",
            ),
            feature("seccomp filters", filters(), "every system call is open"),
            feature(
                "Landlock",
                sys::landlock::abi().is_ok(),
                "programs in containers cannot confine themselves",
            ),
            feature(
                "AppArmor",
                reads("/sys/module/apparmor/parameters/enabled", "Y"),
                "`--security-opt apparmor` is refused",
            ),
            feature(
                "SELinux",
                std::fs::read("/sys/fs/selinux/enforce").is_ok(),
                "`--security-opt label` is refused",
            ),
        ]
    }

    /// On the store's own file system, with a process that lives only for its user namespace.
    fn maps_ids(&self) -> bool {
        let Some(place) = self.place() else { return false };
        let how = Clone3 { namespaces: Namespaces::USER, ..Clone3::default() };
        let Ok(Birth::Parent { pid, pidfd }) = clone3(&how).map(|birth| match birth {
            Birth::Child => {
                let _ = set_parent_process_death_signal(Some(Signal::KILL));
                rustix::event::pause();
                exit_now(0)
            }
            parent => parent,
        }) else {
            return false;
        };
        let map =
            |name: &str| std::fs::write(format!("/proc/{}/{name}", pid.as_raw_nonzero()), "0 1000000 65536");
        let works = map("uid_map").and_then(|()| map("gid_map")).is_ok()
            && namespace_of(&pidfd, NamespaceOf::User).is_ok_and(|userns| {
                clone_tree(&place, c"", false).and_then(|tree| set_id_map(&tree, &userns, false)).is_ok()
            });
        let _ = sys::signal::send(&pidfd, Signal::KILL.as_raw());
        let _ = waitpid(Some(pid), WaitOptions::empty());
        works
    }

    /// The store's directory, or the one it would be made in.
    fn place(&self) -> Option<OwnedFd> {
        let open = |path: &Path| openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).ok();
        self.store.path().ancestors().find_map(open)
    }

    /// Mounts an overlay on a draft in the store, and looks whether what is written into it comes where it should.
    fn stacks(&self) -> bool {
        // A store that is not there yet, or cannot be written, says nothing about its file system.
        let Ok(shared) = self.store.share() else { return overlay_is_known() };
        let Ok(draft) = self.store.draft_layer(&shared) else { return overlay_is_known() };
        stack_in(draft.dir()).is_ok_and(|works| works)
    }

    fn makes_groups(&self) -> bool {
        let path = format!("/hull/probe-{}", std::process::id());
        let made = self.cgroups.create(Path::new(&path), &Default::default());
        made.and_then(cgroup::Cgroup::remove).is_ok()
    }
}

fn stack_in(dir: BorrowedFd<'_>) -> Result<bool> {
    use crate::error::{Kind, from_runtime};
    use fault::Context;
    let failed = || "try an overlay".to_owned();
    for name in ["lower", "upper", "work"] {
        mkdirat(dir, name, Mode::from_raw_mode(0o755)).or_err(Kind::Failed, failed)?;
    }
    let base = dir.try_clone_to_owned().or_err(Kind::Failed, failed)?;
    let upper = Some(("upper".into(), "work".into()));
    let root = Overlay { base, lower: vec!["lower".into()], upper, volatile: false }.view();
    mkdirat(root.map_err(from_runtime)?, "made", Mode::from_raw_mode(0o755)).or_err(Kind::Failed, failed)?;
    Ok(openat(dir, "upper/made", OFlags::PATH, Mode::empty()).is_ok())
}

/// Whether a child can do it.
fn can(how: Clone3<'_>, act: impl FnOnce() -> bool) -> bool {
    match clone3(&how) {
        Ok(Birth::Child) => exit_now(i32::from(!act())),
        Ok(Birth::Parent { pid, .. }) => waitpid(Some(pid), WaitOptions::empty())
            .is_ok_and(|ended| ended.is_some_and(|(_, status)| status.exit_status() == Some(0))),
        Err(_) => false,
    }
}

fn is_born_into(namespaces: Namespaces) -> bool {
    can(Clone3 { namespaces, ..Clone3::default() }, || true)
}

fn leaves(namespaces: Namespaces) -> bool {
    can(Clone3::default(), || unshare(namespaces).is_ok())
}

/// Under the profile of a container without capabilities root may not do what it may otherwise.
fn filters() -> bool {
    let program = seccomp::default_program(seccomp::Capabilities::EMPTY, (6, 0));
    can(Clone3::default(), || {
        sys::seccomp::install(&program.instructions, program.flags).is_ok()
            && unshare(Namespaces::UTS) == Err(rustix::io::Errno::PERM)
    })
}

fn overlay_is_known() -> bool {
    FileSystem::open("overlay").is_ok()
}

/// Linux 6.13.
fn overlay_takes_descriptors() -> bool {
    let root = openat(CWD, c"/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let set = |root: OwnedFd| FileSystem::open("overlay")?.set_fd("lowerdir+", root.as_fd());
    root.and_then(set).is_ok()
}
