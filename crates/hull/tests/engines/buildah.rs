//! buildah, which uses the runtime for `RUN`.

use crate::workshop::Workshop;
use crate::{file_of, ok, run};
use std::process::Command;

struct Buildah(Workshop);

impl Buildah {
    fn command(&self, args: &[&str]) -> Command {
        let mut buildah = Command::new("buildah");
        buildah.args(["--root", &self.0.word("storage"), "--runroot", &self.0.word("run")]);
        buildah.args(["--storage-driver", "vfs"]).args(args).env("CONTAINERS_CONF", self.0.word("none"));
        buildah
    }

    /// `VERB --runtime hull-runtime`, without network; its own limit of files is above what every caller may set.
    fn with_runtime(&self, verb: &str, args: &[&str]) -> Command {
        let mut buildah =
            self.command(&[verb, "--runtime", &self.0.word("hull-runtime"), "--network", "none"]);
        buildah.args(args);
        buildah
    }
}

#[test]
fn buildah_runs_its_steps() {
    let Some(shop) = Workshop::of(&["buildah"]) else { return };
    shop.write("none", "");
    let limit = file_of(crate::MEMORY);
    let dockerfile = format!(
        "FROM localhost/bb:1\nRUN echo made > /made && cat {limit} > /limit\n\
         RUN --mount=type=tmpfs,target=/scratch echo x > /scratch/x\n\
         USER 1000\nWORKDIR /home\nRUN test $(id -u):$(pwd) = 1000:/home\n"
    );
    shop.write("Dockerfile", &dockerfile);
    let buildah = Buildah(shop);
    ok(&mut buildah.command(&["pull", "-q", &format!("docker-archive:{}", buildah.0.word("bb.tar"))]));
    let build = ["--ulimit", "nofile=1024:1024", "--memory", "64m", "-t", "new"];
    ok(buildah.with_runtime("bud", &build).arg(buildah.0.dir()));
    let name = ok(&mut buildah.command(&["from", "new"]));
    let said =
        ok(&mut buildah.with_runtime("run", &[&name, "sh", "-c", "cat /made /limit; ls /scratch; id -u"]));
    assert_eq!(said, "made\n67108864\n1000");
    let (code, said) = run(&mut buildah.with_runtime("run", &[&name, "sh", "-c", "exit 7"]));
    assert_eq!(code, 7, "{said}");
    let (code, said) = run(&mut buildah.with_runtime("run", &[&name, "nosuch"]));
    assert!(code != 0 && said.contains("executable file not found in $PATH"), "{said}");
    ok(&mut buildah.command(&["rm", "-a"]));
}
