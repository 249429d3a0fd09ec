//! A bundle's configuration, and what a runtime adds to it.

use crate::error::{At, from_runtime, invalid};
use crate::{Create, Kind, Place, Record, Result, foreground, home};
use oci::runtime::{LinuxNamespaceType, Mount, Process, Spec};
use runtime::{Caller, Hooks, Moment, Plan, Stdio};
use std::path::{Path, PathBuf};

/// A bundle, read and understood.
pub(crate) struct Bundle {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    pub(crate) spec: Spec,
    pub(crate) plan: Plan,
    pub(crate) caller: Caller,
    /// The group that the configuration names itself.
    pub(crate) group: Option<PathBuf>,
}

impl Bundle {
    /// Reads a bundle and decides all that follows from it.
    pub(crate) fn read(request: &Create, notify: Option<&Path>, warn: &mut dyn FnMut(&str)) -> Result<Self> {
        let path = &request.bundle;
        let file = path.join("config.json");
        let bytes = std::fs::read(&file).at(|| format!("read `{}`", file.display()))?;
        let mut spec = parse(&bytes, warn)?;
        if spec.root().is_none() {
            return Err(invalid("`root` is missing"));
        }
        let caller = Caller::now();
        let group = named_group(&spec);
        place_cgroup(&mut spec, request, caller);
        place_binds(&mut spec, path);
        if let Some(directory) = notify {
            add_notify(&mut spec, directory);
        }
        if let Some(mut process) = spec.process().clone() {
            let root = home::open(&root_of(&spec, path));
            complete(&mut process, request.listened, root.as_ref());
            spec.set_process(Some(process));
        }
        let plan = Plan::new(&spec).map_err(from_runtime)?;
        Ok(Self { path: path.clone(), bytes, spec, plan, caller, group })
    }

    pub(crate) fn root(&self) -> PathBuf {
        root_of(&self.spec, &self.path)
    }

    pub(crate) fn hooks(&self, id: &str) -> Option<Hooks> {
        Hooks::new(&self.spec, id, &self.path)
    }

    /// Is a namespace of this kind made for it?
    fn has_own(&self, kind: LinuxNamespaceType) -> bool {
        let linux = self.spec.linux().as_ref();
        let mut all = linux.and_then(|linux| linux.namespaces().as_ref()).into_iter().flatten();
        all.any(|namespace| namespace.typ() == kind && namespace.path().is_none())
    }

    pub(crate) fn check_terminal(&self, socket: Option<&Path>, leaves: bool) -> Result<()> {
        check_terminal(self.spec.process().as_ref(), socket, leaves)
    }

    pub(crate) fn stdio(&self, attended: bool) -> Stdio {
        stdio(self.spec.process().as_ref(), attended)
    }

    pub(crate) fn record(&self, id: &str) -> Record {
        let hooks = self.hooks(id);
        let has = |moment| hooks.as_ref().is_some_and(|hooks| hooks.has(&[moment]));
        let annotations = self.spec.annotations().iter().flatten();
        Record {
            oci_version: self.spec.version().clone(),
            id: id.to_owned(),
            process: None,
            bundle: self.path.clone(),
            rootfs: self.root(),
            created: jiff::Timestamp::now(),
            annotations: annotations.map(|(name, value)| (name.clone(), value.clone())).collect(),
            cgroup: self.spec.linux().as_ref().and_then(|linux| linux.cgroups_path().clone()),
            systemd: None,
            groups: Vec::new(),
            rdt: Vec::new(),
            shares_pids: !self.has_own(LinuxNamespaceType::Pid),
            poststart: has(Moment::Poststart),
            poststop: has(Moment::Poststop),
        }
    }
}

impl Place {
    /// The configuration the container was created with, understood.
    pub(crate) fn spec(&self, warn: &mut dyn FnMut(&str)) -> Result<Spec> {
        parse(&self.config()?, warn)
    }

    /// The container's hooks.
    pub(crate) fn hooks(&self, record: &Record) -> Result<Option<Hooks>> {
        Ok(Hooks::new(&self.spec(&mut |_| {})?, &record.id, &record.bundle))
    }
}

fn parse(bytes: &[u8], warn: &mut dyn FnMut(&str)) -> Result<Spec> {
    let oci::spec::Read { value, warnings } =
        oci::spec::read(bytes).map_err(|error| error.map_kind(|_| Kind::Invalid))?;
    warnings.iter().for_each(|line| warn(line));
    Ok(value)
}

fn root_of(spec: &Spec, bundle: &Path) -> PathBuf {
    bundle.join(spec.root().as_ref().map_or(Path::new(""), |root| root.path()))
}

/// runc's two rules.
pub(crate) fn check_terminal(process: Option<&Process>, socket: Option<&Path>, leaves: bool) -> Result<()> {
    match (leaves && has_terminal(process), socket.is_some()) {
        (true, false) => {
            Err(invalid("cannot allocate tty if the runtime will detach without setting console socket"))
        }
        (false, true) => {
            Err(invalid("cannot use console socket if the runtime will not detach or allocate tty"))
        }
        _ => Ok(()),
    }
}

fn has_terminal(process: Option<&Process>) -> bool {
    process.and_then(|process| process.terminal()).unwrap_or(false)
}

/// A terminal that we attend is as large as our own.
pub(crate) fn stdio(process: Option<&Process>, attended: bool) -> Stdio {
    match has_terminal(process) {
        true if attended => Stdio::Terminal(foreground::size()),
        true => Stdio::Terminal(None),
        false => Stdio::Inherited,
    }
}

/// What every program finds in its environment: where its home is, and how many sockets it was given.
pub(crate) fn complete(process: &mut Process, listened: u16, root: Option<&rustix::fd::OwnedFd>) {
    let mut env = process.env().clone().unwrap_or_default();
    if !env.iter().any(|entry| entry.starts_with("HOME=")) {
        env.push(format!("HOME={}", home::of(root, process.user().uid())));
    }
    if listened > 0 {
        env.extend([format!("LISTEN_FDS={listened}"), "LISTEN_PID=1".into()]);
    }
    process.set_env(Some(env));
}

fn named_group(spec: &Spec) -> Option<PathBuf> {
    spec.linux().as_ref()?.cgroups_path().clone().filter(|path| !path.as_os_str().is_empty())
}

/// Where the bundle names no group, one of the container's name; who is not root has room for it only near its own.
fn place_cgroup(spec: &mut Spec, request: &Create, caller: Caller) {
    if named_group(spec).is_some() {
        return;
    }
    if let Some(mut linux) = spec.linux().clone() {
        let path = match request.systemd {
            Some(_) => format!(":hull:{}", request.id).into(),
            None if caller == Caller::Root => Path::new("/hull-runtime").join(&request.id),
            None => format!("hull-runtime-{}", request.id).into(),
        };
        linux.set_cgroups_path(Some(path));
        spec.set_linux(Some(linux));
    }
}

/// Sources of binds are relative to the bundle (config.md, Mounts).
pub(crate) fn place_binds(spec: &mut Spec, bundle: &Path) {
    let is_bind = |mount: &Mount| {
        let kind = mount.typ().as_deref().unwrap_or("bind");
        matches!(kind, "bind" | "rbind")
            || mount.options().iter().flatten().any(|option| option == "bind" || option == "rbind")
    };
    let Some(mut mounts) = spec.mounts().clone() else { return };
    for mount in mounts.iter_mut().filter(|mount| is_bind(mount)) {
        if let Some(source) = mount.source().as_ref().filter(|source| source.is_relative()) {
            let source = bundle.join(source);
            mount.set_source(Some(source));
        }
    }
    spec.set_mounts(Some(mounts));
}

/// The program finds the socket in a directory of its own; as runc has it.
fn add_notify(spec: &mut Spec, directory: &Path) {
    let mut mount = Mount::default();
    mount
        .set_destination("/run/notify".into())
        .set_typ(Some("bind".into()))
        .set_source(Some(directory.to_owned()))
        .set_options(Some(["bind", "nosuid", "noexec", "nodev", "ro"].map(str::to_owned).to_vec()));
    let mut mounts = spec.mounts().clone().unwrap_or_default();
    mounts.push(mount);
    spec.set_mounts(Some(mounts));
    if let Some(mut process) = spec.process().clone() {
        let mut env = process.env().clone().unwrap_or_default();
        env.push("NOTIFY_SOCKET=/run/notify/notify.sock".into());
        process.set_env(Some(env));
        spec.set_process(Some(process));
    }
}
