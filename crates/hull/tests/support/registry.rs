//! Debian's docker-registry on a port of its own.

use super::Sandbox;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A registry that ends with the test.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    dir: PathBuf,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
}

/// A port that nobody listens on at the moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}

impl Registry {
    /// Plain HTTP, open to everybody.
    pub fn start(sandbox: &Sandbox) -> Self {
        Self::with(sandbox, "")
    }

    /// With more of a configuration: lines below `http:`, and further sections after an empty line.
    pub fn with(sandbox: &Sandbox, more: &str) -> Self {
        let port = free_port();
        let dir = sandbox.path().join(format!("registry-{port}"));
        std::fs::create_dir_all(dir.join("data")).expect("make the registry's directory");
        let config = format!(
            "version: 0.1\nlog: {{accesslog: {{disabled: false}}, level: error}}\nstorage:\n  filesystem: {{rootdirectory: {0}/data}}\n  delete: {{enabled: true}}\n\
             http:\n  addr: 127.0.0.1:{port}\n{more}",
            dir.display()
        );
        let file = dir.join("config.yml");
        std::fs::write(&file, config).expect("write the registry's configuration");
        let log = std::fs::File::create(dir.join("log")).expect("make the registry's log");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "docker-registry", "serve"]).arg(&file).stdin(Stdio::null());
        command.env("OTEL_TRACES_EXPORTER", "none");
        command.stdout(log.try_clone().expect("a descriptor")).stderr(log);
        let child = command.spawn().expect("start docker-registry (apt-get install docker-registry)");
        let registry = Self { child, dir, port };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "docker-registry does not listen: {}",
                registry.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        registry
    }

    /// The name of a repository there.
    pub fn name(&self, path: &str) -> String {
        format!("127.0.0.1:{}/{path}", self.port)
    }

    /// Makes it known to a sandbox as `reg.test`.
    pub fn known_to(&self, sandbox: &Sandbox) {
        sandbox.set_registries(&format!(
            "[[registry]]\nprefix = \"docker.io\"\nblocked = true\n\n[[registry]]\nprefix = \"reg.test\"\nlocation = \"127.0.0.1:{}\"\n",
            self.port
        ));
    }

    /// What it wrote, its requests among it.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Its own directory.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// How often a request was made, as in `GET /v2/a/blobs/`.
    pub fn count(&self, request: &str) -> usize {
        self.log().lines().filter(|line| line.contains(&format!("\"{request}"))).count()
    }

    /// The answer to a plain request.
    pub fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connect");
        let accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
        write!(stream, "GET {path} HTTP/1.0\r\nHost: x\r\nAccept: {accept}\r\n\r\n").expect("ask");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("read the answer");
        answer
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
