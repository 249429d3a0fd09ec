//! `hull system boot`, and `hull system install`, which has systemd call it.

use super::run;
use super::system::plain;
use crate::Caller;
use crate::edge::{self, Done};
use crate::flags::{Syntax, Typed, switch};
use crate::render::line;
use engine::unit::{self, Unit};

pub(super) const BOOT: Syntax = Syntax {
    flags: &[],
    examples: &["hull system boot"],
    ..plain("system boot", "Start what should run after the host was started, by its restart policy.")
};

/// 0 when all that should run does.
pub(super) fn boot(_: &Typed, caller: &Caller) -> Done {
    let (mut code, mut shown) = (0, Ok(()));
    caller.engine()?.boot(&mut edge::warn, &mut |name, done| match done {
        Ok(()) if shown.is_ok() => shown = line(name.as_str()),
        Ok(()) => {}
        Err(error) => {
            edge::tell(&error.into());
            code = 1;
        }
    })?;
    shown.map(|()| code)
}

pub(super) const INSTALL: Syntax = Syntax {
    flags: &[
        switch("uninstall", "Take it away; what it started runs on"),
        switch("print", "Show it, and do nothing"),
    ],
    examples: &["hull system install", "hull system install --print"],
    ..plain("system install", "Have systemd start what should run, with the host.")
};

pub(super) fn install(typed: &Typed, caller: &Caller) -> Done {
    let unit = Unit { program: run::program(), kept: caller.kept().into(), root: caller.moved() };
    if typed.is_on("print") {
        return line(unit.text()?.trim_end()).map(|()| 0);
    }
    caller.check_root()?;
    let path = unit::path();
    let said = if typed.is_on("uninstall") {
        match unit::uninstall()? {
            true => format!("removed {}", path.display()),
            false => "nothing is installed".into(),
        }
    } else if unit.install()? {
        format!("installed {}", path.display())
    } else {
        let todo = format!("systemd does not run here: `systemctl enable {}` once it does", unit::NAME);
        format!("installed {}\n{todo}", path.display())
    };
    line(&said).map(|()| 0)
}
