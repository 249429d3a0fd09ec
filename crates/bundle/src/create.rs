//! From a bundle to a container that waits for its start, or runs at once.

use crate::config::Bundle;
use crate::error::{At, from_runtime, invalid};
use crate::notify::Notify;
use crate::record::Process;
use crate::{Error, Kind, Place, Record, Result, Root, Status, console, foreground, listener};
use cgroup::systemd::Manager;
use runtime::{Bond, Event, Gate, Hooks, Manner, Moment, Rootfs, Running, Start};
use rustix::fd::OwnedFd;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The specification's version that is followed.
pub const VERSION: &str = "1.3.0";

/// Puts the caller's binary out of reach of containers, by executing it once more; see [`runtime::seal`].
pub fn seal(
    args: impl Iterator<Item = OsString>,
    env: impl Iterator<Item = (OsString, OsString)>,
) -> Result<()> {
    runtime::seal(args, env).map_err(from_runtime)
}

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
    /// The systemd that makes its groups.
    pub systemd: Option<Manager>,
    /// May it go without groups that are refused? Unless it is said: where its maker is not the host's root.
    pub rootless: Option<bool>,
    /// The caller's sd_notify socket, which the program is to reach, see sd_notify(3).
    pub notify: Option<PathBuf>,
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
        let bundle = Bundle::read(request, self.notify_directory(request).as_deref(), warn)?;
        bundle.check_terminal(request.console_socket.as_deref(), true)?;
        let mut draft = Draft::new(self.make(&request.id)?, &bundle, request)?;
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
        let bundle = Bundle::read(request, self.notify_directory(request).as_deref(), warn)?;
        bundle.check_terminal(request.console_socket.as_deref(), request.detach)?;
        let mut draft = Draft::new(self.make(&request.id)?, &bundle, request)?;
        let notify = request.notify.as_deref().map(|host| Notify::bind(draft.place(), host)).transpose()?;
        let signals = (!request.detach).then(foreground::Signals::block).transpose()?;
        draft.bear(&bundle, request, Bond::Free(None), warn)?;
        draft.let_go(request)?;
        draft.await_program()?;
        draft.tell_hooks(Moment::Poststart, warn);
        notify.zip(draft.record.process).map_or(Ok(()), |(notify, process)| notify.forward(process))?;
        match signals {
            None => {
                draft.keep();
                Ok(Made::Running)
            }
            Some(signals) => draft.attend(&signals, request.keep, warn).map(Made::Ended),
        }
    }
}

/// A container in the making: gone again unless kept.
struct Draft {
    place: Option<Place>,
    running: Option<Running>,
    record: Record,
    master: Option<OwnedFd>,
    hooks: Option<Hooks>,
}

impl Draft {
    /// From here on `delete` knows what there is to remove.
    fn new(place: Place, bundle: &Bundle, request: &Create) -> Result<Self> {
        let record = Record { systemd: request.systemd.clone(), ..bundle.record(place.id()) };
        let hooks = bundle.hooks(place.id());
        let draft = Self { place: Some(place), running: None, record, master: None, hooks };
        sys::step!("bundle.create.placed");
        if request.notify.is_some() {
            draft.place().make_notify()?;
        }
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
        let host = bundle.groups(request.systemd.as_ref(), request.rootless)?;
        let start = Start {
            rootfs: Rootfs::Directory(bundle.root()),
            stdio: bundle.stdio(request.console_socket.is_none()),
            cgroups: host.as_ref(),
            manner: Manner {
                bond,
                kept: request.kept,
                no_pivot: request.no_pivot,
                keeps_keyring: request.keeps_keyring,
                hooks: self.hooks.clone(),
            },
            caller: bundle.caller,
        };
        let running = bundle.plan.start(start).map_err(from_runtime)?;
        running.warnings().iter().for_each(|warning| warn(warning));
        if let (Some(group), None) = (&bundle.group, running.cgroup()) {
            let group = group.display();
            warn(&format!(
                "`linux.cgroupsPath`: `{group}` is refused; without limits the container needs none"
            ));
        }
        self.running = Some(running);
        sys::step!("bundle.create.born");
        loop {
            match self.running().event().map_err(from_runtime)? {
                Event::Terminal(master) => self.take_terminal(master, request)?,
                Event::Failed(error) => return Err(from_runtime(error)),
                Event::Listener(listener) => self.hand_over(&listener, bundle)?,
                Event::Prepared => self.run_hooks()?,
                Event::Ready => return Ok(()),
                Event::Executed => {
                    let died = "the container's process ended before its program";
                    return Err(Error::new(Kind::Start(runtime::Kind::Kernel), died));
                }
            }
        }
    }

    /// Those between the namespaces and the root.
    fn run_hooks(&mut self) -> Result<()> {
        let pid = self.running().pid().as_raw_nonzero().get();
        let hooks = self.hooks.iter();
        let each = [Moment::Prestart, Moment::CreateRuntime];
        hooks
            .flat_map(|hooks| each.map(|moment| hooks.run(moment, Some(pid))))
            .try_for_each(|ran| ran)
            .map_err(from_runtime)?;
        self.running().let_go().map_err(from_runtime)
    }

    fn hand_over(&mut self, filter: &OwnedFd, bundle: &Bundle) -> Result<()> {
        let pid = self.running().pid().as_raw_nonzero().get();
        match bundle.plan.listener() {
            Some(to) => listener::hand_over(to, filter, (&self.record, Status::Creating), pid),
            None => Ok(()),
        }
    }

    fn take_terminal(&mut self, master: OwnedFd, request: &Create) -> Result<()> {
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
        if self.running().cgroup().is_none() {
            self.record.cgroup = None;
        }
        self.record.groups = self.running().cgroup().map(cgroup::Cgroup::paths).unwrap_or_default();
        self.record.rdt = self.running().rdt().map(|rdt| rdt.paths().to_vec()).unwrap_or_default();
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

    /// Hooks whose failure is a warning.
    fn tell_hooks(&mut self, moment: Moment, warn: &mut dyn FnMut(&str)) {
        let pid = self.running.as_ref().map(|running| running.pid().as_raw_nonzero().get());
        let failures = self.hooks.iter().flat_map(|hooks| hooks.run_all(moment, pid));
        failures.for_each(|failure| warn(&failure.to_string()));
    }

    fn keep(mut self) {
        self.place = None;
        self.running = None;
    }

    /// Waits for the program's end in the foreground.
    fn attend(
        mut self,
        signals: &foreground::Signals,
        keep: bool,
        warn: &mut dyn FnMut(&str),
    ) -> Result<i32> {
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
                self.tell_hooks(Moment::Poststop, warn);
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
            self.tell_hooks(Moment::Poststop, &mut |_| {});
        }
        if let Some(place) = self.place.take() {
            let _ = place.remove();
        }
    }
}

/// Beside its place and then renamed: who finds the file finds the whole id.
pub(crate) fn write_pid(path: &Path, pid: i32) -> Result<()> {
    let name = path.file_name().ok_or_else(|| invalid(format!("`{}` is no file", path.display())))?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    let draft = path.with_file_name(hidden);
    std::fs::write(&draft, pid.to_string())
        .and_then(|()| std::fs::rename(&draft, path))
        .at(|| format!("write the pid to `{}`", path.display()))
}
