//! From a bundle to a container that waits for its start, or runs at once.

use crate::error::{At, from_cgroup, from_runtime, invalid};
use crate::record::Process;
use crate::{Kind, Place, Record, Result, Root, console, foreground, listener};
use oci::runtime::{Mount, Spec};
use runtime::{Bond, Event, Gate, Manner, Plan, Rootfs, Running, Start, Stdio};
use std::path::{Path, PathBuf};
use sys::tty::Winsize;

/// The specification's version that is followed.
pub const VERSION: &str = "1.3.0";

/// A container to be.
#[derive(Debug, Default)]
pub struct Create {
    /// Its name.
    pub id: String,
    /// The bundle's directory, absolute.
    pub bundle: PathBuf,
    /// Where the master of its terminal goes: a listening Unix socket.
    pub console_socket: Option<PathBuf>,
    /// Where a pidfd of its first process goes, likewise.
    pub pidfd_socket: Option<PathBuf>,
    /// The file that is to hold its first process's id.
    pub pid_file: Option<PathBuf>,
    /// How many of the caller's descriptors, from 3 on, its program inherits.
    pub kept: u16,
    /// How many of these are sockets that its program is to listen on, see sd_listen_fds(3).
    pub listened: u16,
    /// It enters its root by chroot(2): a root on a ramdisk refuses pivot_root(2).
    pub no_pivot: bool,
    /// Its program keeps the caller's session keyring.
    pub keeps_keyring: bool,
    /// It is run, and its maker leaves as soon as its program runs.
    pub detach: bool,
    /// It stays, stopped, when its program has ended in the foreground.
    pub keep: bool,
}

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// The program runs, without us.
    Running,
    /// It has ended with a code: its own, or 128 plus the signal that killed it.
    Ended(i32),
}

impl Root {
    /// Makes a container whose program waits for [`Place::start`].
    ///
    /// # Errors
    /// Nothing is left.
    pub fn create(&self, request: &Create, warn: &mut dyn FnMut(&str)) -> Result<()> {
        let bundle = Bundle::read(request, warn)?;
        bundle.check_terminal(request, true)?;
        let mut draft = Draft::new(self.make(&request.id)?, &bundle)?;
        let gate = Gate::make(draft.place().dir()).map_err(from_runtime)?;
        draft.bear(&bundle, request, Bond::Free(Some(gate)), warn)?;
        draft.let_go(request)?;
        draft.keep();
        Ok(())
    }

    /// Makes a container and runs its program.
    ///
    /// # Errors
    /// Nothing is left.
    pub fn run(&self, request: &Create, warn: &mut dyn FnMut(&str)) -> Result<Made> {
        let bundle = Bundle::read(request, warn)?;
        bundle.check_terminal(request, request.detach)?;
        let mut draft = Draft::new(self.make(&request.id)?, &bundle)?;
        let signals = (!request.detach).then(foreground::Signals::block).transpose()?;
        draft.bear(&bundle, request, Bond::Free(None), warn)?;
        draft.let_go(request)?;
        draft.await_program()?;
        match signals {
            None => {
                draft.keep();
                Ok(Made::Running)
            }
            Some(signals) => draft.attend(&signals, request.keep).map(Made::Ended),
        }
    }
}

/// A bundle, read and understood.
struct Bundle {
    path: PathBuf,
    bytes: Vec<u8>,
    spec: Spec,
    plan: Plan,
}

impl Bundle {
    fn read(request: &Create, warn: &mut dyn FnMut(&str)) -> Result<Self> {
        let path = &request.bundle;
        let file = path.join("config.json");
        let bytes = std::fs::read(&file).at(|| format!("read `{}`", file.display()))?;
        let oci::spec::Read { value: mut spec, warnings } =
            oci::spec::read(&bytes).map_err(|error| error.map_kind(|_| Kind::Invalid))?;
        warnings.iter().for_each(|line| warn(line));
        place_cgroup(&mut spec, &request.id);
        place_binds(&mut spec, path);
        let plan = Plan::new(&spec).map_err(from_runtime)?;
        Ok(Self { path: path.clone(), bytes, spec, plan })
    }

    fn root(&self) -> PathBuf {
        let root = self.spec.root().as_ref().map_or(Path::new(""), |root| root.path());
        self.path.join(root)
    }

    fn has_terminal(&self) -> bool {
        self.spec.process().as_ref().and_then(|process| process.terminal()).unwrap_or(false)
    }

    /// runc's two rules.
    fn check_terminal(&self, request: &Create, leaves: bool) -> Result<()> {
        match (leaves && self.has_terminal(), request.console_socket.is_some()) {
            (true, false) => {
                Err(invalid("cannot allocate tty if the runtime will detach without setting console socket"))
            }
            (false, true) => {
                Err(invalid("cannot use console socket if the runtime will not detach or allocate tty"))
            }
            _ => Ok(()),
        }
    }

    fn stdio(&self) -> Stdio {
        if !self.has_terminal() {
            return Stdio::Inherited;
        }
        let size = self.spec.process().as_ref().and_then(|process| process.console_size());
        let size = size.map(|size| (size.height() as u16, size.width() as u16));
        Stdio::Terminal(size.map(|(ws_row, ws_col)| Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 }))
    }

    fn record(&self, id: &str) -> Record {
        Record {
            oci_version: self.spec.version().clone(),
            id: id.to_owned(),
            process: None,
            bundle: self.path.clone(),
            rootfs: self.root(),
            created: jiff::Timestamp::now(),
            annotations: self
                .spec
                .annotations()
                .iter()
                .flatten()
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
            cgroup: self.spec.linux().as_ref().and_then(|linux| linux.cgroups_path().clone()),
        }
    }
}

/// Where the bundle names no group, one of the container's name.
fn place_cgroup(spec: &mut Spec, id: &str) {
    let Some(mut linux) = spec.linux().clone() else { return };
    if linux.cgroups_path().as_ref().is_none_or(|path| path.as_os_str().is_empty()) {
        linux.set_cgroups_path(Some(Path::new("/hull-runtime").join(id)));
        spec.set_linux(Some(linux));
    }
}

/// Sources of binds are relative to the bundle (config.md, Mounts).
fn place_binds(spec: &mut Spec, bundle: &Path) {
    let is_bind = |mount: &Mount| {
        let kind = mount.typ().as_deref().unwrap_or("bind");
        matches!(kind, "bind" | "rbind")
            || mount.options().iter().flatten().any(|option| option == "bind" || option == "rbind")
    };
    let Some(mut mounts) = spec.mounts().clone() else { return };
    for mount in mounts.iter_mut().filter(|mount| is_bind(mount)) {
        if let Some(source) = mount.source().as_ref().filter(|source| source.is_relative()) {
            let source = bundle.join(source);
            mount.set_source(Some(source));
        }
    }
    spec.set_mounts(Some(mounts));
}

/// A container in the making: gone again unless kept.
struct Draft {
    place: Option<Place>,
    running: Option<Running>,
    record: Record,
    master: Option<rustix::fd::OwnedFd>,
}

impl Draft {
    /// From here on `delete` knows what there is to remove.
    fn new(place: Place, bundle: &Bundle) -> Result<Self> {
        let record = bundle.record(place.id());
        let draft = Self { place: Some(place), running: None, record, master: None };
        sys::step!("bundle.create.placed");
        draft.place().put_config(&bundle.bytes)?;
        draft.place().put_record(&draft.record)?;
        sys::step!("bundle.create.recorded");
        Ok(draft)
    }

    fn place(&self) -> &Place {
        self.place.as_ref().expect("taken only by value")
    }

    fn running(&mut self) -> &mut Running {
        self.running.as_mut().expect("born before")
    }

    /// Makes the container's process, and waits until all but its program is done.
    fn bear(
        &mut self,
        bundle: &Bundle,
        request: &Create,
        bond: Bond,
        warn: &mut dyn FnMut(&str),
    ) -> Result<()> {
        let host = cgroup::Host::probe().map_err(from_cgroup)?;
        let start = Start {
            rootfs: Rootfs::Directory(bundle.root()),
            stdio: bundle.stdio(),
            cgroups: Some(&host),
            manner: Manner {
                bond,
                kept: request.kept,
                no_pivot: request.no_pivot,
                keeps_keyring: request.keeps_keyring,
            },
        };
        let running = bundle.plan.start(start).map_err(from_runtime)?;
        running.warnings().iter().for_each(|warning| warn(warning));
        self.running = Some(running);
        sys::step!("bundle.create.born");
        loop {
            match self.running().event().map_err(from_runtime)? {
                Event::Terminal(master) => self.take_terminal(master, request)?,
                Event::Failed(error) => return Err(from_runtime(error)),
                Event::Listener(listener) => self.hand_over(&listener, bundle)?,
                Event::Ready => return Ok(()),
                Event::Executed => {
                    let died = "the container's process ended before its program";
                    return Err(crate::Error::new(Kind::Start(runtime::Kind::Kernel), died));
                }
            }
        }
    }

    fn hand_over(&mut self, filter: &rustix::fd::OwnedFd, bundle: &Bundle) -> Result<()> {
        let pid = self.running().pid().as_raw_nonzero().get();
        match bundle.plan.listener() {
            Some(to) => listener::hand_over(to, filter, &self.record, pid),
            None => Ok(()),
        }
    }

    fn take_terminal(&mut self, master: rustix::fd::OwnedFd, request: &Create) -> Result<()> {
        match &request.console_socket {
            Some(socket) => console::send(socket, "/dev/ptmx", &master),
            None => {
                self.master = Some(master);
                Ok(())
            }
        }
    }

    /// Takes note of the process, tells who wants to know, and lets it live without us.
    fn let_go(&mut self, request: &Create) -> Result<()> {
        let pid = self.running().pid().as_raw_nonzero().get();
        let process = Process::of(pid).at(|| format!("look at process {pid}"))?;
        self.record.process = Some(process);
        self.place().put_record(&self.record)?;
        sys::step!("bundle.create.noted");
        if let Some(socket) = &request.pidfd_socket {
            let pidfd = self.running().pidfd().try_clone_to_owned().at(|| "copy a pidfd".into())?;
            console::send(socket, "pidfd", &pidfd)?;
        }
        request.pid_file.as_deref().map_or(Ok(()), |path| write_pid(path, pid))?;
        self.running().let_go().map_err(from_runtime)
    }

    /// Waits until the program runs, or the container says why it does not.
    fn await_program(&mut self) -> Result<()> {
        match self.running().event().map_err(from_runtime)? {
            Event::Failed(error) => Err(from_runtime(error)),
            _ => Ok(()),
        }
    }

    fn keep(mut self) {
        self.place = None;
        self.running = None;
    }

    /// Waits for the program's end in the foreground.
    fn attend(mut self, signals: &foreground::Signals, keep: bool) -> Result<i32> {
        let master = self.master.take();
        foreground::attend(self.running().pidfd(), master, signals)?;
        let Some(running) = self.running.take() else { return Ok(0) };
        let exited = running.wait().map_err(from_runtime)?;
        let code = exited.status.code();
        match self.place.take() {
            Some(_) if keep => drop(exited),
            place => {
                exited.clean_up().map_err(from_runtime)?;
                sys::step!("bundle.run.cleaned");
                place.map_or(Ok(()), Place::remove)?;
            }
        }
        Ok(code)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.kill(rustix::process::Signal::KILL.as_raw());
            let _ = running.wait().and_then(runtime::Exited::clean_up);
        }
        if let Some(place) = self.place.take() {
            let _ = place.remove();
        }
    }
}

/// Beside its place and then renamed: who finds the file finds the whole id.
fn write_pid(path: &Path, pid: i32) -> Result<()> {
    let name = path.file_name().ok_or_else(|| invalid(format!("`{}` is no file", path.display())))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    let draft = path.with_file_name(hidden);
    std::fs::write(&draft, pid.to_string())
        .and_then(|()| std::fs::rename(&draft, path))
        .at(|| format!("write the pid to `{}`", path.display()))
}
