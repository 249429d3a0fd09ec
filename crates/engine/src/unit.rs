//! The systemd unit that starts containers with the host.

use crate::error::{Error, Kind, Result};
use fault::Context;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Its name.
pub const NAME: &str = "hull-boot.service";

/// Where an administrator's units lie, systemd.unit(5).
const DIR: &str = "/etc/systemd/system";

/// A directory that is there where systemd is pid 1, sd_booted(3).
const BOOTED: &str = "/run/systemd/system";

/// What the unit runs.
#[derive(Debug, Clone)]
pub struct Unit {
    /// hull itself.
    pub program: PathBuf,
    /// Where containers are kept.
    pub kept: PathBuf,
    /// `--root`, where it is not the default.
    pub root: Option<PathBuf>,
}

impl Unit {
    /// As systemd.service(5) and systemd.kill(5) have it.
    ///
    /// Monitors of what it starts live in its group, and are to outlive it: they are none of its main process, which is
    /// all that `KillMode=process` ends.
    pub fn text(&self) -> Result<String> {
        let mut words = vec![quoted(&self.program, false)?];
        if let Some(root) = &self.root {
            words.extend(["--root".into(), quoted(root, true)?]);
        }
        words.extend(["system", "boot"].map(String::from));
        Ok(format!(
            "\
[Unit]
Description=Containers of hull that should run
After=local-fs.target network.target
RequiresMountsFor={}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={}
KillMode=process
TasksMax=infinity

[Install]
WantedBy=multi-user.target
",
            quoted(&self.kept, false)?,
            words.join(" ")
        ))
    }

    /// Writes it, and has systemd start it with the host. False: systemd does not run here, so that remains to be done.
    pub fn install(&self) -> Result<bool> {
        let (path, text) = (path(), self.text()?);
        let failed = || format!("write `{}`", path.display());
        if std::fs::read_to_string(&path).ok().as_ref() != Some(&text) {
            let draft = path.with_extension("service.new");
            std::fs::create_dir_all(DIR).or_err(Kind::Failed, failed)?;
            std::fs::write(&draft, text).or_err(Kind::Failed, failed)?;
            std::fs::rename(&draft, &path).or_err(Kind::Failed, failed)?;
        }
        if is_booted() {
            systemctl(&["daemon-reload"])?;
            systemctl(&["enable", NAME])?;
        }
        Ok(is_booted())
    }
}

/// Takes it away; false where there is none. What it started runs on.
pub fn uninstall() -> Result<bool> {
    let path = path();
    if !path.exists() {
        return Ok(false);
    }
    if is_booted() {
        systemctl(&["disable", "--now", NAME])?;
    }
    for path in [&Path::new(DIR).join("multi-user.target.wants").join(NAME), &path] {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).or_err(Kind::Failed, || format!("remove `{}`", path.display()));
            }
            _ => {}
        }
    }
    if is_booted() {
        systemctl(&["daemon-reload"])?;
    }
    Ok(true)
}

/// Where it lies.
pub fn path() -> PathBuf {
    Path::new(DIR).join(NAME)
}

fn is_booted() -> bool {
    Path::new(BOOTED).is_dir()
}

fn systemctl(args: &[&str]) -> Result<()> {
    let what = || format!("systemctl {}", args.join(" "));
    let output = Command::new("systemctl").arg("--quiet").args(args).output().or_err(Kind::Failed, what)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(Kind::Failed, what()).caused_by(std::io::Error::other(said.trim().to_owned())))
}

/// A path as a word of a unit: `%` begins a specifier, and in an argument `$` a variable.
fn quoted(path: &Path, is_argument: bool) -> Result<String> {
    let path = path.to_str().or_err(Kind::Invalid, || format!("`{}` is not UTF-8", path.display()))?;
    let mut word = String::from("\"");
    for character in path.chars() {
        match character {
            '"' | '\\' => word.extend(['\\', character]),
            '%' => word.push_str("%%"),
            '$' if is_argument => word.push_str("$$"),
            c if c.is_ascii_control() => drop(write!(word, "\\x{:02x}", u32::from(c))),
            c => word.push(c),
        }
    }
    word.push('"');
    Ok(if word[1..word.len() - 1] == *path && !path.contains([' ', '\'', ';']) { path.into() } else { word })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_they_must_be() {
        let word = |path: &str, is_argument| quoted(Path::new(path), is_argument).unwrap();
        assert_eq!(word("/usr/bin/hull", false), "/usr/bin/hull");
        assert_eq!(word("/my hull", true), "\"/my hull\"");
        assert_eq!(word("/a%b\"c$d", true), "\"/a%%b\\\"c$$d\"");
        assert_eq!(word("/a$b", false), "/a$b");
        assert_eq!(word("/a\nb", false), "\"/a\\x0ab\"");
    }
}
