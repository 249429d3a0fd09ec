//! A failure in the child, as data.

use crate::{Error, Kind};
use rustix::io::Errno;

/// What the child was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Step {
    Receive,
    Join,
    Unshare,
    BecomeRoot,
    JoinCgroup,
    Loopback,
    TimeOffset,
    CloneHost,
    EnterRoot,
    MountPoint,
    Mount,
    CopyUp,
    Console,
    Device,
    Mask,
    ReadOnly,
    Sysctl,
    HostName,
    Leave,
    Keyring,
    Label,
    Seccomp,
    Capabilities,
    Identity,
    WorkDir,
    Streams,
    Limit,
    Personality,
    MemoryPolicy,
    Affinity,
    Exec,
    ExecLookup,
    Gate,
    Hook,
}

/// Every step, by number, in words.
const WORDS: &[(Step, &str)] = &[
    (Step::Receive, "receive"),
    (Step::Join, "join namespace"),
    (Step::Unshare, "unshare"),
    (Step::BecomeRoot, "become root of the user namespace"),
    (Step::JoinCgroup, "join cgroup"),
    (Step::Loopback, "bring up"),
    (Step::TimeOffset, "set time offset of"),
    (Step::CloneHost, "take over the host's"),
    (Step::EnterRoot, "enter root file system:"),
    (Step::MountPoint, "make mount point"),
    (Step::Mount, "mount"),
    (Step::CopyUp, "copy files up into"),
    (Step::Console, "open console"),
    (Step::Device, "make device"),
    (Step::Mask, "mask"),
    (Step::ReadOnly, "make read-only"),
    (Step::Sysctl, "set sysctl"),
    (Step::HostName, "set host name"),
    (Step::Leave, "leave"),
    (Step::Keyring, "join session keyring"),
    (Step::Label, "set security label"),
    (Step::Seccomp, "install seccomp filter"),
    (Step::Capabilities, "set capabilities"),
    (Step::Identity, "become user"),
    (Step::WorkDir, "change to working directory"),
    (Step::Streams, "set up standard streams"),
    (Step::Limit, "set limit"),
    (Step::Personality, "set personality"),
    (Step::MemoryPolicy, "set memory policy"),
    (Step::Affinity, "set the CPUs"),
    (Step::Exec, "exec"),
    (Step::ExecLookup, "exec"),
    (Step::Gate, "wait for"),
    (Step::Hook, ""),
];

/// What went wrong in the child: a step, the kernel's word, and on what.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) step: Step,
    pub(crate) errno: Errno,
    pub(crate) subject: String,
}

/// Most of a subject that crosses, in bytes.
const SUBJECT: usize = 512;

impl Failure {
    pub(crate) fn new(step: Step, errno: Errno, subject: impl Into<String>) -> Self {
        Self { step, errno, subject: subject.into() }
    }

    /// The message's payload.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.step as u8];
        bytes.extend(self.errno.raw_os_error().to_ne_bytes());
        bytes.extend(self.subject.bytes().take(SUBJECT));
        bytes
    }

    /// The failure in a payload; none in one that was cut off.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (step, rest) = bytes.split_first()?;
        let (errno, subject) = rest.split_first_chunk()?;
        Some(Self {
            step: WORDS.get(usize::from(*step))?.0,
            errno: Errno::from_raw_os_error(i32::from_ne_bytes(*errno)),
            subject: String::from_utf8_lossy(subject).into_owned(),
        })
    }

    /// The error that the user reads; in docker's words where scripts look for them.
    pub(crate) fn into_error(self) -> Error {
        match self.step {
            Step::Exec | Step::ExecLookup => self.into_exec_error(),
            Step::Hook => Error::new(Kind::Hook, self.subject),
            Step::WorkDir if self.errno == Errno::ACCESS => {
                Error::new(Kind::NotExecutable, self.what()).caused_by(self.errno)
            }
            Step::MountPoint if matches!(self.errno, Errno::ISDIR | Errno::NOTDIR) => {
                let hint = "a directory is mounted on a directory, a file on a file; is the source what it should be?";
                crate::refused(self.errno, self.what()).with_hint(hint)
            }
            _ => crate::refused(self.errno, self.what()),
        }
    }

    fn what(&self) -> String {
        format!("{} `{}`", WORDS[self.step as usize].1, self.subject)
    }

    fn into_exec_error(self) -> Error {
        let subject = &self.subject;
        match (self.errno, self.step) {
            (Errno::NOENT, Step::ExecLookup) => {
                Error::new(Kind::NotFound, format!("exec: {subject:?}: executable file not found in $PATH"))
            }
            (Errno::NOENT, _) => {
                Error::new(Kind::NotFound, format!("exec: {subject:?}: no such file or directory"))
            }
            // By the first words younger engines know what it is, older ones by the last (EACCES is what execve(2) says).
            (Errno::ISDIR, _) => Error::new(
                Kind::NotExecutable,
                format!("exec: {subject:?}: is a directory: permission denied"),
            ),
            (Errno::ACCESS, _) => {
                Error::new(Kind::NotExecutable, format!("exec: {subject:?}: permission denied"))
            }
            (Errno::NOEXEC, _) => {
                Error::new(Kind::NotExecutable, format!("exec: {subject:?}: exec format error")).with_hint(
                    "a script needs a `#!` line, and a binary must be of this machine's architecture",
                )
            }
            (errno, _) => Error::new(Kind::NotExecutable, format!("exec: {subject:?}")).caused_by(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_its_words_at_its_number() {
        for (number, (step, _)) in WORDS.iter().enumerate() {
            assert_eq!(*step as usize, number);
        }
    }

    #[test]
    fn a_failure_crosses_whole() {
        let sent = Failure::new(Step::Mount, Errno::PERM, "/proc");
        let got = Failure::decode(&sent.encode()).unwrap();
        assert_eq!((got.step, got.errno, got.subject.as_str()), (Step::Mount, Errno::PERM, "/proc"));
        assert_eq!(got.into_error().to_string(), "mount `/proc`");
    }

    #[test]
    fn a_payload_cut_off_is_no_failure() {
        assert!(Failure::decode(&[]).is_none());
        assert!(Failure::decode(&[1, 2, 3]).is_none());
        assert!(Failure::decode(&[250, 0, 0, 0, 0]).is_none());
    }

    #[test]
    fn a_missing_program_is_told_as_docker_tells_it() {
        let error = Failure::new(Step::ExecLookup, Errno::NOENT, "foo").into_error();
        assert_eq!(error.to_string(), "exec: \"foo\": executable file not found in $PATH");
        assert_eq!(*error.kind(), Kind::NotFound);
    }
}
