//! A user at a terminal.

use rustix::fd::{AsFd, OwnedFd};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Engines in an emulated machine take their time.
const PATIENCE: Duration = Duration::from_secs(90);

/// A program on a terminal of its own, typed to and read from.
#[derive(Debug)]
pub struct Terminal {
    master: OwnedFd,
    child: Child,
    seen: String,
}

impl Terminal {
    /// Starts a command on a new terminal of 80 by 24.
    pub fn start(mut command: Command) -> Self {
        // No child has it: with the last of them that goes the terminal hangs up.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("open a terminal");
        grantpt(&master).expect("grant");
        unlockpt(&master).expect("unlock");
        let slave = ioctl_tiocgptpeer(&master, flags).expect("open its other end");
        let end = || Stdio::from(slave.try_clone().expect("clone"));
        command.stdin(end()).stdout(end()).stderr(end());
        let terminal = Self { child: command.spawn().expect("start"), master, seen: String::new() };
        terminal.resize(80, 24);
        terminal
    }

    /// Changes its size; the kernel tells nobody here, as there is no controlling process, so SIGWINCH is sent.
    pub fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).expect("resize");
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::WINCH);
    }

    /// Types.
    pub fn send(&self, keys: &str) {
        rustix::io::write(&self.master, keys.as_bytes()).expect("type");
    }

    /// Waits until a text is on the screen; what came since the last such text is returned.
    pub fn expect(&mut self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            assert!(Instant::now() < end, "waited for {text:?}, saw {:?}", self.seen);
            self.read();
        }
    }

    /// Waits for the end of the program and gives its exit code.
    pub fn wait(mut self) -> i32 {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < end, "it does not end, saw {:?}", self.seen);
            self.read();
        }
    }

    fn read(&mut self) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut waited = [PollFd::from_borrowed_fd(self.master.as_fd(), PollFlags::IN)];
        let tenth = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        if poll(&mut waited, Some(&tenth)).expect("poll") == 0 {
            return;
        }
        let mut buffer = [0; 4096];
        match rustix::io::read(&self.master, &mut buffer) {
            Ok(length) => self.seen.push_str(&String::from_utf8_lossy(&buffer[..length])),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

impl Drop for Terminal {
    /// Of a test that failed, or a program that only its user ends.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
