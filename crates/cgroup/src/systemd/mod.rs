//! The systemd driver: a container's groups are those of a transient scope, see org.freedesktop.systemd1(5),
//! "StartTransientUnit()".
//!
//! ```text
//! a seat: a process of ours ──StartTransientUnit──▶ scope in its slice, group made by systemd
//!     its group, as /proc/PID/cgroup tells ──limits written and read back──▶ Cgroup
//! the container's first process is in it ──Cgroup::seated──▶ the seat is given up
//! ```
//!
//! The unit goes when its last process ends, also when that failed (`CollectMode=`), and at the latest when the groups
//! are removed. Where systemd is must be said by the caller: nothing here reads the environment.

mod bus;
mod message;
mod property;
mod seat;
mod unit;

pub use bus::Manager;
pub use message::Value;
pub use property::from_annotations;
pub(crate) use seat::Seat;
pub use unit::{Unit, expand};

use crate::group::kernel;
use crate::limits::{self, Held};
use crate::setting::Setting;
use crate::{Cgroup, Error, Host, Kind, Mode, Result, device};
use bus::{Answer, Bus};
use oci::runtime::LinuxResources;
use rustix::process::Pid;
use std::path::Path;

const NO_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";
const EXISTS: &str = "org.freedesktop.systemd1.UnitExists";

/// How [`Host::create`] asks systemd.
#[derive(Debug, Clone)]
pub struct Driver {
    /// Whose systemd.
    pub manager: Manager,
    /// Properties besides the limits', e.g. [`from_annotations`].
    pub properties: Vec<(String, Value)>,
}

impl Driver {
    /// The slice of containers that name none.
    fn slice(&self) -> &'static str {
        if self.manager == Manager::System { "system.slice" } else { "user.slice" }
    }

    pub(crate) fn unit(&self, path: &Path) -> Result<Unit> {
        Unit::parse(&path.to_string_lossy(), self.slice())
    }

    /// Starts the scope that `cgroupsPath` names, with all limits, or nothing.
    pub(crate) fn create(&self, host: &Host, path: &Path, resources: &LinuxResources) -> Result<Cgroup> {
        let unit = self.unit(path)?;
        Systemd::connect(&self.manager)?.start(host, &unit, self, resources)
    }

    /// Tells systemd of changes that were written. The last part of the group's path is the unit's name.
    pub(crate) fn update(&self, cgroup: &Cgroup, settings: &[Setting], to: &LinuxResources) -> Result<()> {
        Systemd::connect(&self.manager)?.tell(&unit_of(cgroup), settings, to)
    }

    /// Is it a user's systemd, and not the system's?
    pub(crate) fn is_users(&self) -> bool {
        self.manager != Manager::System
    }

    /// Asks for a process to be moved into the unit.
    pub(crate) fn attach(&self, cgroup: &Cgroup, pid: Pid) -> Result<()> {
        Systemd::connect(&self.manager)?.attach(&unit_of(cgroup), pid)
    }

    /// Ends what runs in the unit and takes it down. One that is gone is no error.
    pub(crate) fn stop(&self, cgroup: &Cgroup) -> Result<()> {
        cgroup.kill_all()?;
        Systemd::connect(&self.manager)?.stop_unit(&unit_of(cgroup))
    }
}

fn unit_of(cgroup: &Cgroup) -> String {
    let name = cgroup.groups.first().and_then(|group| group.path.file_name());
    name.unwrap_or_default().to_string_lossy().into_owned()
}

/// A connection to a systemd.
#[derive(Debug)]
struct Systemd {
    bus: Bus,
}

impl Systemd {
    fn connect(manager: &Manager) -> Result<Self> {
        Ok(Self { bus: Bus::connect(manager)? })
    }

    fn start(
        &mut self,
        host: &Host,
        unit: &Unit,
        driver: &Driver,
        resources: &LinuxResources,
    ) -> Result<Cgroup> {
        let rules = host.rules(resources)?;
        let settings = limits::settings(host, resources, &Held::default())?;
        let mut seat = Seat::take().map_err(|errno| kernel(errno, "make a process for a scope".into()))?;
        let mut properties = given(unit, seat.pid, host.mode());
        properties.extend(property::of(&settings));
        properties.extend(device::properties(rules)?);
        properties.extend(driver.properties.iter().cloned());
        self.start_unit(&unit.name, properties)?;
        let (settings, pids) = seat::with_room(&settings);
        // Where this fails, the seat goes, and the unit with it.
        let group = host.in_unit(seat.pid, &settings, rules)?;
        seat.pids = pids;
        Ok(Cgroup { seat: Some(seat), driver: Some(driver.clone()), ..group })
    }

    fn start_unit(&mut self, name: &str, properties: Vec<(String, Value)>) -> Result<()> {
        let arguments = [text(name), text("replace"), Value::Properties(properties), Value::NoUnits];
        let mut answer = self.bus.call("StartTransientUnit", &arguments)?;
        if matches!(&answer, Answer::Refused(error, _) if error == EXISTS) {
            // One that failed is kept until somebody has looked at it.
            self.bus.call("ResetFailedUnit", &[text(name)])?;
            answer = self.bus.call("StartTransientUnit", &arguments)?;
        }
        let job = done(answer, || format!("start unit `{name}`"))?;
        let result = self.bus.await_job(&job)?;
        match result.as_str() {
            "done" => Ok(()),
            result => {
                let _ = self.bus.call("ResetFailedUnit", &[text(name)]);
                Err(Error::new(Kind::Kernel, format!("start unit `{name}`: systemd says `{result}`")))
            }
        }
    }

    fn stop_unit(&mut self, name: &str) -> Result<()> {
        match self.bus.call("StopUnit", &[text(name), text("replace")])? {
            Answer::Refused(error, _) if error == NO_UNIT => Ok(()),
            answer => {
                let job = done(answer, || format!("stop unit `{name}`"))?;
                self.bus.await_job(&job).map(drop)
            }
        }
    }

    fn attach(&mut self, unit: &str, pid: Pid) -> Result<()> {
        let pids = Value::Uint32s(vec![pid.as_raw_nonzero().get().unsigned_abs()]);
        let answer = self.bus.call("AttachProcessesToUnit", &[text(unit), text(""), pids])?;
        done(answer, || format!("move a process into unit `{unit}`")).map(drop)
    }

    fn tell(&mut self, unit: &str, settings: &[Setting], to: &LinuxResources) -> Result<()> {
        let mut properties = property::of(settings);
        properties.extend(device::properties(to.devices().as_deref().unwrap_or_default())?);
        let arguments = [text(unit), Value::Bool(true), Value::Properties(properties)];
        let answer = self.bus.call("SetUnitProperties", &arguments)?;
        done(answer, || format!("set properties of unit `{unit}`")).map(drop)
    }
}

/// What every scope of ours has.
fn given(unit: &Unit, pid: Pid, mode: Mode) -> Vec<(String, Value)> {
    let text = |name: &str, value: &str| (name.to_owned(), Value::Text(value.to_owned()));
    let flag = |name: &str, value| (name.to_owned(), Value::Bool(value));
    let io = if mode == Mode::V2 { "IOAccounting" } else { "BlockIOAccounting" };
    let pids = Value::Uint32s(vec![pid.as_raw_nonzero().get().unsigned_abs()]);
    let mut all = vec![
        text("Description", &format!("container {}", unit.name)),
        text("Slice", &unit.slice),
        text("CollectMode", "inactive-or-failed"),
        flag("Delegate", true),
        flag("DefaultDependencies", false),
        ("PIDs".to_owned(), pids),
    ];
    all.extend(["MemoryAccounting", "CPUAccounting", io, "TasksAccounting"].map(|name| flag(name, true)));
    all
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// The one text of an answer; empty for none.
fn done(answer: Answer, what: impl Fn() -> String) -> Result<String> {
    match answer {
        Answer::Done(heard) => Ok(heard.one_text().unwrap_or_default()),
        Answer::Refused(error, words) => {
            let kind = match error.as_str() {
                "org.freedesktop.DBus.Error.AccessDenied"
                | "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired" => Kind::Denied,
                "org.freedesktop.DBus.Error.InvalidArgs" | "org.freedesktop.DBus.Error.PropertyReadOnly" => {
                    Kind::Invalid
                }
                _ => Kind::Kernel,
            };
            Err(Error::new(kind, what()).caused_by(format!("{words} ({error})")))
        }
    }
}
