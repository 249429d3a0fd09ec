//! Runs a bundle in the foreground: `bundle DIR`, with `DIR/config.json` and the root it names.

use runtime::{Event, Plan, Rootfs, Start, Stdio};
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let bundle = PathBuf::from(std::env::args().nth(1).ok_or("usage: bundle DIR")?);
    let spec: oci::runtime::Spec = serde_json::from_slice(&std::fs::read(bundle.join("config.json"))?)?;
    let root = spec.root().as_ref().ok_or("no root")?.path().clone();
    let plan = Plan::new(&spec)?;
    let streams = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    let [i, o, e] = streams.map(|fd| fd.try_clone_to_owned());
    let start = Start {
        rootfs: Rootfs::Directory(bundle.join(root)),
        stdio: Stdio::Streams([i?, o?, e?]),
        cgroups: None,
        manner: runtime::Manner::default(),
        caller: runtime::Caller::now(),
    };
    let mut running = plan.start(start)?;
    if let Event::Failed(error) = running.event()? {
        return Err(error.into());
    }
    let exited = running.wait()?;
    let code = exited.status.code();
    exited.clean_up()?;
    std::process::exit(code)
}
