//! What is timed, and the small process that times it.
//!
//! crun refuses a host with a hybrid tree of groups. So a timer stands in a mount namespace where cgroup2 is covered,
//! another on the host, and both are the same program: each contender is a direct child of one, and no wrapper is timed.

use crate::shell::Done;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

/// A command line.
pub(super) type Words = Vec<String>;

/// What is done for one figure.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) before: Vec<Words>,
    /// From the start of the first to the end of the last.
    pub(super) timed: Vec<Words>,
    /// All of them started before one is waited for.
    pub(super) at_once: bool,
    pub(super) after: Vec<Words>,
}

impl Job {
    /// The milliseconds it took.
    fn run(&self) -> Result<f64, String> {
        self.before.iter().try_for_each(|words| spawn(words)?.end())?;
        let start = Instant::now();
        if self.at_once {
            let all: Vec<_> = self.timed.iter().map(spawn).collect::<Result<_, _>>()?;
            all.into_iter().try_for_each(Started::end)?;
        } else {
            self.timed.iter().try_for_each(|words| spawn(words)?.end())?;
        }
        let time = start.elapsed().as_secs_f64() * 1e3;
        self.after.iter().try_for_each(|words| spawn(words)?.end())?;
        Ok(time)
    }
}

struct Started<'a>(&'a Words, Child);

impl Started<'_> {
    fn end(mut self) -> Done {
        let status = self.1.wait().map_err(|error| error.to_string())?;
        if status.success() {
            return Ok(());
        }
        let said = std::fs::read_to_string("said").unwrap_or_default();
        let last = said.lines().rev().take(3).collect::<Vec<_>>().join(" / ");
        Err(format!("`{}` failed: {status}: {last}", self.0.join(" ")))
    }
}

/// Streams are files: crun gives its own to the container's user, which `/dev/null` must not be.
fn spawn(words: &Words) -> Result<Started<'_>, String> {
    let start = || {
        let said = File::options().create(true).append(true).open("said")?;
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(File::open("empty")?).stdout(said.try_clone()?).stderr(said).spawn()
    };
    start().map(|child| Started(words, child)).map_err(|error| format!("`{}`: {error}", words.join(" ")))
}

/// A timer's own main: a job a line in, its time or why not a line out.
pub(crate) fn serve() -> Done {
    for line in std::io::stdin().lock().lines() {
        let job: Job = serde_json::from_str(&line.map_err(|error| error.to_string())?)
            .map_err(|error| format!("a job: {error}"))?;
        println!("{}", serde_json::to_string(&job.run()).expect("plain data"));
    }
    Ok(())
}

/// A running timer; it ends with this.
pub(super) struct Timer {
    child: Child,
    jobs: Option<ChildStdin>,
    times: BufReader<ChildStdout>,
}

/// Covers cgroup2 of a hybrid host.
const COVERED: &str =
    "[ ! -d /sys/fs/cgroup/unified ] || mount -t tmpfs none /sys/fs/cgroup/unified; exec \"$0\" timer";

impl Timer {
    /// One on the host, in a directory with `empty`.
    pub(super) fn on_host(dir: &str) -> Result<Self, String> {
        let mut command = Command::new(own_path()?);
        command.arg("timer");
        Self::start(command, dir)
    }

    /// One where crun works.
    pub(super) fn where_crun_works(dir: &str) -> Result<Self, String> {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", COVERED]).arg(own_path()?);
        Self::start(command, dir)
    }

    fn start(mut command: Command, dir: &str) -> Result<Self, String> {
        let mut child = command
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("start a timer: {error}"))?;
        let times = BufReader::new(child.stdout.take().expect("piped"));
        Ok(Self { jobs: child.stdin.take(), times, child })
    }

    /// Milliseconds of one round.
    pub(super) fn time(&mut self, job: &Job) -> Result<f64, String> {
        let mut line = serde_json::to_string(job).expect("plain data");
        line.push('\n');
        let jobs = self.jobs.as_mut().expect("open until dropped");
        let mut answer = String::new();
        jobs.write_all(line.as_bytes())
            .and_then(|()| self.times.read_line(&mut answer))
            .map_err(|error| format!("ask a timer: {error}"))?;
        serde_json::from_str(&answer).unwrap_or_else(|error| Err(format!("a timer's answer: {error}")))
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        let _ = self.child.wait();
    }
}

fn own_path() -> Result<std::path::PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("find xtask's own program: {error}"))
}
