//! Terminals, descriptors and sockets that are passed on.

use super::container::{Container, await_that};
use super::support::{Terminal, text};
use rustix::fd::{AsFd, OwnedFd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::json;
use std::io::{IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// What an engine listens on for a descriptor.
struct Receiver {
    path: PathBuf,
    listener: UnixListener,
}

impl Receiver {
    fn new(container: &Container, name: &str) -> Self {
        let path = container.bundle.path().join(name);
        Self { listener: UnixListener::bind(&path).unwrap(), path }
    }

    fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// The descriptor and its name.
    fn receive(&self) -> (OwnedFd, String) {
        let (stream, _) = self.listener.accept().unwrap();
        let mut buffer = [0; 256];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let received = recvmsg(stream.as_fd(), &mut slices, &mut control, RecvFlags::empty()).unwrap();
        let descriptor = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut all) => all.next(),
            _ => None,
        });
        (descriptor.unwrap(), text(&buffer[..received.bytes]))
    }
}

/// Reads from a terminal's master until this was said.
fn read_until(master: OwnedFd, words: &str) -> String {
    let mut file = std::fs::File::from(master);
    let mut said = String::new();
    let mut buffer = [0; 512];
    while !said.contains(words) {
        match file.read(&mut buffer) {
            Ok(length) => said += &text(&buffer[..length]),
            Err(_) => break,
        }
    }
    said
}

#[test]
fn the_master_of_a_containers_terminal_goes_to_the_socket() {
    let mut container = Container::new("tty; stty size; read x; echo got $x; exec sleep 1000");
    container.bundle.config["process"]["terminal"] = json!(true);
    container.bundle.config["process"]["consoleSize"] = json!({"height": 33, "width": 111});
    let receiver = Receiver::new(&container, "console");
    container.create_with(&["--console-socket", receiver.path()]);
    let (master, name) = receiver.receive();
    assert_eq!(name, "/dev/ptmx");
    container.ok(&["start", &container.id]);
    rustix::io::write(&master, b"word\n").unwrap();
    let said = read_until(master, "got word");
    assert!(said.contains("/dev/pts/0") || said.contains("/dev/console"), "{said}");
    assert!(said.contains("33 111"), "{said}");
}

#[test]
fn a_terminal_needs_a_socket_exactly_where_nobody_attends_it() {
    let mut container = Container::new("true");
    let output = container.bundle_command("create", &["--console-socket", "/nowhere"]).output().unwrap();
    assert!(text(&output.stderr).contains("cannot use console socket"), "{output:?}");
    container.bundle.config["process"]["terminal"] = json!(true);
    let output = container.bundle_command("create", &[]).output().unwrap();
    assert!(text(&output.stderr).contains("cannot allocate tty"), "{output:?}");
    let output = container.bundle_command("create", &["--console-socket", "/nowhere"]).output().unwrap();
    assert!(text(&output.stderr).contains("/nowhere"), "{output:?}");
    container.assert_gone();
}

#[test]
fn run_in_the_foreground_joins_both_terminals() {
    let mut container = Container::new("stty size; read x; echo got $x; exit 6");
    container.bundle.config["process"]["terminal"] = json!(true);
    let mut terminal = Terminal::start(container.bundle_command("run", &[]));
    terminal.expect("24 80");
    terminal.send("word\n");
    terminal.expect("got word");
    assert_eq!(terminal.wait(), 6);
    container.assert_gone();
}

#[test]
fn exec_has_a_terminal_of_its_own() {
    let container = Container::running("");
    let mut terminal = Terminal::start(container.command(&[
        "exec",
        "-t",
        &container.id,
        "sh",
        "-c",
        "tty; stty size; exit 4",
    ]));
    terminal.expect("/dev/pts/");
    terminal.expect("24 80");
    assert_eq!(terminal.wait(), 4);
    let receiver = Receiver::new(&container, "console");
    let status = container
        .command(&[
            "exec",
            "-d",
            "-t",
            "--console-socket",
            receiver.path(),
            &container.id,
            "sh",
            "-c",
            "echo hi; sleep 9",
        ])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
    assert!(read_until(receiver.receive().0, "hi").contains("hi"));
}

#[test]
fn a_pidfd_goes_to_its_socket() {
    let container = Container::new("exec sleep 1000");
    let receiver = Receiver::new(&container, "pidfd");
    container.create_with(&["--pidfd-socket", receiver.path()]);
    let (pidfd, _) = receiver.receive();
    let info = format!("/proc/self/fdinfo/{}", rustix::fd::AsRawFd::as_raw_fd(&pidfd));
    let info = std::fs::read_to_string(info).unwrap();
    assert!(info.contains(&format!("Pid:\t{}\n", container.pid())), "{info}");
}

/// Runs a command of the runtime's below a shell that opens descriptors for it.
fn with_descriptors(opens: &str, mut command: Command) -> std::process::Output {
    let mut shell = Command::new("bash");
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    shell.args(["-c", &format!("{opens}; exec -a hull-runtime \"$@\""), "bash"]).args(words);
    command.arg0("unused");
    shell.output().unwrap()
}

#[test]
fn descriptors_are_passed_on_only_as_asked() {
    let container = Container::new("ls /proc/self/fd | tr '\\n' ' '; cat <&3");
    let open = "exec 3< <(echo three) 4</dev/zero 5</etc/passwd";
    let output = with_descriptors(open, container.bundle_command("run", &["--preserve-fds", "1"]));
    let said = text(&output.stdout);
    assert!(said.contains("three"), "{output:?}");
    assert!(said.starts_with("0 1 2 3 4 three"), "3 is ours and 4 is the listing's own: {said}");
    let output = with_descriptors("true", container.bundle_command("run", &["--preserve-fds", "1"]));
    assert!(text(&output.stderr).contains("unable to stat preserved-fd"), "{output:?}");
    let container = Container::running("");
    let exec = container.command(&[
        "exec",
        "--preserve-fds=2",
        &container.id,
        "sh",
        "-c",
        "cat <&3; ls /proc/self/fd",
    ]);
    let said = text(&with_descriptors(open, exec).stdout);
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["three", "0", "1", "2", "3", "4", "5"]);
}

#[test]
fn sockets_to_listen_on_are_passed_on_with_their_number() {
    let container = Container::new("echo $LISTEN_FDS $LISTEN_PID; readlink /proc/self/fd/3");
    let open = "exec 3</dev/zero; export LISTEN_FDS=1 LISTEN_PID=$$";
    let output = with_descriptors(open, container.bundle_command("run", &[]));
    assert_eq!(text(&output.stdout), "1 1\n/dev/zero\n", "{output:?}");
    let open = "exec 3</dev/zero; export LISTEN_FDS=1 LISTEN_PID=1";
    let output = with_descriptors(open, container.bundle_command("run", &[]));
    assert_eq!(text(&output.stdout), "\n", "they were for somebody else: {output:?}");
}

#[test]
fn a_program_says_that_it_is_ready_and_nothing_else() {
    let mut container =
        Container::new("ls -l $NOTIFY_SOCKET; echo $NOTIFY_SOCKET > /tmp-said; exec sleep 1000");
    container.bundle.config["process"]["env"] = json!(["PATH=/bin"]);
    let path = container.bundle.path().join("host.sock");
    let host = UnixDatagram::bind(&path).unwrap();
    let mut create = container.bundle_command("create", &[]);
    create.env("NOTIFY_SOCKET", &path).stdout(std::process::Stdio::null());
    assert!(create.status().unwrap().success());
    let mut start = container.command(&["start", &container.id]);
    let mut start = start.env("NOTIFY_SOCKET", &path).spawn().unwrap();
    assert_eq!(container.read("tmp-said"), "/run/notify/notify.sock");
    let pid = container.pid();
    assert!(start.try_wait().unwrap().is_none(), "start waits until the program is ready");
    let inside = format!("/proc/{pid}/root/run/notify/notify.sock");
    let program = UnixDatagram::unbound().unwrap();
    await_that("the container has its socket", || program.send_to(b"STATUS=x\n", &inside).is_ok());
    program.send_to(b"STATUS=y\nREADY=1\n", &inside).unwrap();
    assert!(start.wait().unwrap().success());
    let mut buffer = [0; 256];
    let length = host.recv(&mut buffer).unwrap();
    assert_eq!(text(&buffer[..length]), format!("MAINPID={pid}\nREADY=1\n"));
}
