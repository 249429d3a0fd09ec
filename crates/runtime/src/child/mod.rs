//! The child: born by clone3, it executes the plan and becomes the program.
//!
//! It is single-threaded and has a copy of the parent's memory, so it may allocate. It makes no
//! decision of its own: whatever is not in the plan does not happen.

mod device;
mod entering;
mod identity;
mod joining;
mod mounts;
mod root;
mod streams;

pub(crate) use joining::Joining;
pub(crate) use mounts::{change, make_file_system};

use crate::caller::Caller;
use crate::channel::{Channel, Tag};
use crate::failure::{Failure, Step};
use crate::hook::{Hooks, Moment};
use crate::plan::{MemoryPlan, Plan, Sysctl};
use crate::start::{Bond, Manner, Stdio};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::path::Path;
use sys::proc::Procfs;
use sys::process::Namespaces;

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Says what was being done.
trait During<T> {
    fn during(self, step: Step, subject: impl Into<String>) -> Result<T>;
}

impl<T> During<T> for rustix::io::Result<T> {
    fn during(self, step: Step, subject: impl Into<String>) -> Result<T> {
        self.map_err(|errno| Failure::new(step, errno, subject))
    }
}

/// All that the child needs from its parent.
pub(crate) struct Child<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) stdio: Stdio,
    pub(crate) channel: Channel,
    pub(crate) entry: Option<cgroup::Entry>,
    pub(crate) groups: &'a [cgroup::Mount],
    pub(crate) manner: Manner,
    pub(crate) caller: Caller,
}

impl Child<'_> {
    /// Becomes the container's program, or tells the parent why not and ends.
    pub(crate) fn run(self) -> ! {
        let failure = match self.become_program() {
            Ok(never) => match never {},
            Err(failure) => failure,
        };
        match &self.manner.bond {
            Bond::Free(Some(gate)) if gate.is_passed() => gate.tell(&failure),
            _ => drop(self.channel.send(Tag::Failed, &failure.encode())),
        }
        sys::process::exit_now(125)
    }

    fn become_program(&self) -> Result<std::convert::Infallible> {
        if self.channel.receive().during(Step::Receive, "the parent's word")?.is_none() {
            sys::process::exit_now(125); // the parent died: nobody is left to tell
        }
        hide()?;
        rustix::process::umask(rustix::fs::Mode::empty()); // until the program's
        self.make_namespaces()?;
        let prepared = mounts::prepare(self.plan, self.groups)?;
        let proc = self.procfs()?;
        let Some(sent) = self.channel.receive_mounts().during(Step::Receive, "mounts")? else {
            sys::process::exit_now(125)
        };
        sys::step!("runtime.child.mounts-received");
        let entered = self.enter_root(sent, prepared)?;
        self.set_names()?;
        self.set_sysctls(proc.as_ref())?;
        let console = streams::console(self.plan, &entered.root, &self.stdio, &self.channel)?;
        root::finish(self.plan, &entered)?;
        sys::step!("runtime.child.root-entered");
        self.become_user(proc.as_ref(), console)?;
        sys::step!("runtime.child.before-exec");
        drop((entered, proc)); // whoever waits at a gate has closed all, and must not close anything again
        self.leave_maker()?;
        self.run_hooks(Moment::StartContainer)?;
        identity::install_last_filter(self.plan, &self.channel)?;
        Err(self.exec())
    }

    fn enter_root(&self, sent: Vec<OwnedFd>, prepared: mounts::Prepared) -> Result<root::Root> {
        let early = [Moment::Prestart, Moment::CreateRuntime, Moment::CreateContainer];
        let hooks = self.manner.hooks.as_ref().filter(|hooks| hooks.has(&early));
        let place = hooks.map(Hooks::root);
        root::enter(self.plan, sent, prepared, (!self.manner.no_pivot, place, self.caller), || {
            if hooks.is_some_and(|hooks| hooks.has(&early[..2])) {
                self.show()?;
                self.channel.send(Tag::Prepared, &[]).during(Step::Gate, "its maker")?;
                self.await_maker()?;
            }
            self.run_hooks(Moment::CreateContainer)
        })
    }

    fn run_hooks(&self, moment: Moment) -> Result<()> {
        let Some(hooks) = &self.manner.hooks else { return Ok(()) };
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        hooks
            .run(moment, Some(pid))
            .map_err(|error| Failure::new(Step::Hook, Errno::CANCELED, error.to_string()))
    }

    /// An ordinary caller, and its hooks, may look at its container only if this process is dumpable. Nobody but them is in
    /// sight of it who might, unless others' pid namespace is joined.
    fn show(&self) -> Result<()> {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let has_company = self.plan.namespaces.joins.iter().any(|join| join.kind == Namespaces::PID);
        match self.caller == Caller::Ordinary && !has_company {
            true => set_dumpable_behavior(DumpableBehavior::Dumpable).during(Step::Identity, "visible"),
            false => Ok(()),
        }
    }

    /// Waits for the maker to say: go on. If it died, nobody is left to go on for.
    fn await_maker(&self) -> Result<()> {
        match self.channel.receive().during(Step::Receive, "the maker's word")? {
            Some(_) => Ok(()),
            None => sys::process::exit_now(125),
        }
    }

    /// Where labels and settings are written: out of sight of everybody, or the host's, as it still is.
    fn procfs(&self) -> Result<Option<Procfs>> {
        if self.plan.sysctls.is_empty() && self.plan.process.labels.is_empty() {
            return Ok(None);
        }
        Procfs::detached().or_else(|_| Procfs::mounted()).map(Some).during(Step::Mount, "procfs")
    }

    fn set_sysctls(&self, proc: Option<&Procfs>) -> Result<()> {
        for Sysctl { path, value } in &self.plan.sysctls {
            let written =
                proc.ok_or(Errno::BADF).and_then(|proc| proc.write(Path::new("sys").join(path), value));
            written.during(Step::Sysctl, format!("{path}={value}"))?;
        }
        Ok(())
    }

    /// Who is nobody's says that it is ready, and goes on once its maker has taken note of it.
    fn leave_maker(&self) -> Result<()> {
        let Bond::Free(gate) = &self.manner.bond else { return Ok(()) };
        self.look_up()?;
        self.show()?;
        self.channel.send(Tag::Ready, &[]).during(Step::Gate, "its maker")?;
        self.await_maker()?;
        let Some(gate) = gate else { return Ok(()) };
        // It may be long: nobody's pipe or lock is held open meanwhile.
        let first_own = 3 + i32::from(self.manner.kept);
        sys::process::close_all_from(first_own, &gate.descriptors()).during(Step::Gate, "its start")?;
        gate.wait().during(Step::Gate, "its start")
    }

    /// What the kernel would make before the id map is written would belong to nobody inside, so
    /// these namespaces come now; and meanwhile the parent makes the mounts.
    fn make_namespaces(&self) -> Result<()> {
        // While this process is its maker's by id: v1 asks for that where the maker is not root.
        if let Some(entry) = &self.entry {
            entry.join().during(Step::JoinCgroup, "of the container")?;
        }
        if self.plan.namespaces.has_user() {
            identity::become_root()?;
        }
        let later = self.plan.namespaces.new & AFTER_MAP;
        unshare(later)?;
        if later.contains(Namespaces::NET) {
            sys::link::bring_loopback_up().during(Step::Loopback, "lo")?;
        }
        self.arrive()?;
        match &self.plan.namespaces.time_offsets {
            Some(text) => {
                set_time_offsets(text).during(Step::TimeOffset, text.trim_end().replace('\n', ", "))
            }
            None => Ok(()),
        }
    }

    /// Says so where that is waited for.
    fn arrive(&self) -> Result<()> {
        match self.plan.is_placed() {
            true => self.channel.send(Tag::Arrived, &[]).during(Step::Receive, "its place"),
            false => Ok(()),
        }
    }

    fn set_names(&self) -> Result<()> {
        if let Some(name) = &self.plan.hostname {
            rustix::system::sethostname(name.as_bytes()).during(Step::HostName, name)?;
        }
        match &self.plan.domainname {
            Some(name) => rustix::system::setdomainname(name.as_bytes()).during(Step::HostName, name),
            None => Ok(()),
        }
    }

    fn become_user(&self, proc: Option<&Procfs>, console: Option<OwnedFd>) -> Result<()> {
        let process = &self.plan.process;
        rustix::process::setsid().during(Step::Streams, "new session")?;
        streams::set(&self.stdio, console.as_ref())?;
        // Without CONFIG_KEYS there is no key to protect.
        let joined = match self.manner.keeps_keyring {
            true => Ok(()),
            false => sys::process::new_session_keyring(c"_ses.hull"),
        };
        match joined {
            Ok(()) | Err(Errno::NOSYS) => {}
            Err(errno) => return Err(Failure::new(Step::Keyring, errno, "_ses.hull")),
        }
        if let Some(persona) = process.personality {
            sys::process::set_personality(persona).during(Step::Personality, format!("{persona:#x}"))?;
        }
        if let Some(MemoryPlan { mode, nodes }) = &self.plan.placement.memory {
            sys::schedule::set_memory_policy(*mode, nodes)
                .during(Step::MemoryPolicy, format!("{mode:#x}"))?;
        }
        for label in &process.labels {
            let written = proc.ok_or(Errno::BADF).and_then(|proc| proc.write(label.file, &label.text));
            written.during(Step::Label, &label.text)?;
        }
        identity::become_user(self.plan, &self.channel, &self.manner)
    }

    /// Engines want to hear at `create` of a program that is not there, or is the user's not to execute.
    fn look_up(&self) -> Result<()> {
        use rustix::fs::{Access, AtFlags, CWD, accessat};
        let process = &self.plan.process;
        let may = |candidate: &CString| match is_directory(candidate) {
            true => Err(Errno::ISDIR),
            false => accessat(CWD, candidate.as_c_str(), Access::EXEC_OK, AtFlags::EACCESS),
        };
        let tried: Vec<_> = process.candidates.iter().map(may).collect();
        if tried.iter().any(std::result::Result::is_ok) {
            return Ok(());
        }
        let denied = tried.into_iter().filter_map(std::result::Result::err).find(|errno| match *errno {
            Errno::ISDIR => process.program.contains('/'),
            errno => !matches!(errno, Errno::NOENT | Errno::NOTDIR),
        });
        Err(Failure::new(self.exec_step(), denied.unwrap_or(Errno::NOENT), &process.program))
    }

    fn exec_step(&self) -> Step {
        if self.plan.process.program.contains('/') { Step::Exec } else { Step::ExecLookup }
    }

    /// Tries each candidate as execvp(3) does: a directory without the program is passed over, one
    /// with a program that may not be executed is remembered.
    fn exec(&self) -> Failure {
        let process = &self.plan.process;
        let step = self.exec_step();
        let mut errno = Errno::NOENT;
        for candidate in &process.candidates {
            match self.plan.process.vectors.exec(candidate) {
                Errno::NOENT | Errno::NOTDIR => {}
                Errno::ACCESS if is_directory(candidate) && step == Step::ExecLookup => {}
                Errno::ACCESS if is_directory(candidate) => {
                    return Failure::new(step, Errno::ISDIR, &process.program);
                }
                Errno::ACCESS => errno = Errno::ACCESS,
                other => return Failure::new(step, other, &process.program),
            }
        }
        Failure::new(step, errno, &process.program)
    }
}

/// Made by the child itself once ids are mapped and the cgroup is joined (its namespace is rooted
/// where one is). A time namespace is entered at exec, see time_namespaces(7).
pub(crate) const AFTER_MAP: Namespaces =
    Namespaces::IPC.union(Namespaces::NET).union(Namespaces::CGROUP).union(Namespaces::TIME);

fn unshare(namespaces: Namespaces) -> Result<()> {
    if namespaces.is_empty() {
        return Ok(());
    }
    sys::process::unshare(namespaces).during(Step::Unshare, format!("{namespaces:?}"))
}

/// A process that changed its ids is not dumpable, and its files in `/proc` are the host root's: for this one write
/// it must be. Nobody else is in its pid namespace yet.
fn set_time_offsets(text: &str) -> rustix::io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    Procfs::mounted()?.write("self/timens_offsets", text)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// From whoever is in the container's pid namespace already: not even its root may look into this process's memory or
/// at its descriptors (CVE-2016-9962).
fn hide() -> Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    set_dumpable_behavior(DumpableBehavior::NotDumpable).during(Step::Identity, "hidden")
}

fn is_directory(path: &CStr) -> bool {
    rustix::fs::stat(path).is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir())
}
