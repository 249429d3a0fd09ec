//! The systemd driver: a container's groups are those of a transient scope, see org.freedesktop.systemd1(5),
//! "StartTransientUnit()".
//!
//! ```text
//! pid of the container's first process ──StartTransientUnit──▶ scope in its slice, group made by systemd
//!     its group, as /proc/PID/cgroup tells ──limits written and read back──▶ Cgroup
//! ```
//!
//! Where systemd is must be said by the caller: nothing here reads the environment.

mod bus;
mod message;
mod property;
mod unit;

#[cfg(test)]
mod tests;

pub use bus::Manager;
pub use message::Value;
pub use property::from_annotations;
pub use unit::{Unit, expand};

use crate::limits::{self, Held};
use crate::{Cgroup, Error, Host, Kind, Mode, Result, device};
use bus::{Answer, Bus};
use oci::runtime::LinuxResources;
use rustix::process::Pid;

const EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
const NO_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// A connection to a systemd.
#[derive(Debug)]
pub struct Systemd {
    bus: Bus,
}

/// A scope to be started.
#[derive(Debug)]
pub struct Scope<'a> {
    /// Its names.
    pub unit: &'a Unit,
    /// The process that is in it from the start: systemd has no scope without one. None for a slice.
    pub pid: Option<Pid>,
    /// What `systemctl status` shows.
    pub description: &'a str,
    /// Properties besides the limits', e.g. [`from_annotations`].
    pub properties: &'a [(String, Value)],
    /// The limits.
    pub resources: &'a LinuxResources,
}

impl Systemd {
    /// # Errors
    /// [`Kind::Unsupported`] where no systemd is heard, with the places that were tried.
    pub fn connect(manager: &Manager) -> Result<Self> {
        Ok(Self { bus: Bus::connect(manager)? })
    }

    /// Starts a scope with all limits, or nothing. What systemd has no property for is written.
    pub fn start(&mut self, host: &Host, scope: &Scope<'_>) -> Result<Option<Cgroup>> {
        let rules = scope.resources.devices().as_deref().unwrap_or_default();
        device::check(rules, host.mode() != Mode::V2)?;
        let settings = limits::settings(host, scope.resources, &Held::default())?;
        let mut properties = self.given(scope, host.mode());
        properties.extend(property::of(&settings));
        properties.extend(device::properties(rules)?);
        properties.extend(scope.properties.iter().cloned());
        self.start_unit(&scope.unit.name, properties)?;
        let Some(pid) = scope.pid else { return Ok(None) };
        match host.in_unit(pid, &settings, rules) {
            Ok(group) => Ok(Some(group)),
            Err(error) => {
                let _ = self.stop_unit(&scope.unit.name);
                Err(error)
            }
        }
    }

    fn given(&self, scope: &Scope<'_>, mode: Mode) -> Vec<(String, Value)> {
        let text = |name: &str, value: &str| (name.to_owned(), Value::Text(value.to_owned()));
        let flag = |name: &str, value| (name.to_owned(), Value::Bool(value));
        let io = if mode == Mode::V2 { "IOAccounting" } else { "BlockIOAccounting" };
        let mut all = vec![text("Description", scope.description)];
        match scope.unit.is_slice() {
            true => all.push(("Wants".into(), Value::Texts(vec![scope.unit.slice.clone()]))),
            false => all.extend([text("Slice", &scope.unit.slice), flag("Delegate", true)]),
        }
        let pid = scope.pid.map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
        all.extend(pid.map(|pid| ("PIDs".to_owned(), Value::Uint32s(vec![pid]))));
        let accounts = ["MemoryAccounting", "CPUAccounting", io, "TasksAccounting"];
        all.extend(accounts.map(|name| flag(name, true)));
        all.push(flag("DefaultDependencies", false));
        all
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

    /// Changes what is given and leaves the rest: told to systemd and written.
    pub fn update(&mut self, host: &Host, unit: &str, group: &Cgroup, to: &LinuxResources) -> Result<()> {
        let settings = limits::settings(host, to, &group.held())?;
        // The kernel is asked first: it says what is wrong, and then all is as before.
        host.update(group, to)?;
        let mut properties = property::of(&settings);
        properties.extend(device::properties(to.devices().as_deref().unwrap_or_default())?);
        let arguments = [text(unit), Value::Bool(true), Value::Properties(properties)];
        let answer = self.bus.call("SetUnitProperties", &arguments)?;
        match answer {
            Answer::Done(_) => host.update(group, to),
            refused => done(refused, || format!("set properties of unit `{unit}`")).map(drop),
        }
    }

    /// Ends what runs in it, stops the unit and removes what groups are left. One that is gone is no error.
    pub fn stop(&mut self, unit: &str, group: Cgroup) -> Result<()> {
        group.kill_all()?;
        self.stop_unit(unit)?;
        group.remove()
    }

    fn stop_unit(&mut self, name: &str) -> Result<()> {
        match self.bus.call("StopUnit", &[text(name), text("replace")])? {
            Answer::Refused(error, _) if error == NO_UNIT => return Ok(()),
            answer => {
                let job = done(answer, || format!("stop unit `{name}`"))?;
                self.bus.await_job(&job)?;
            }
        }
        // A unit that failed would stay.
        self.bus.call("ResetFailedUnit", &[text(name)]).map(drop)
    }
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
