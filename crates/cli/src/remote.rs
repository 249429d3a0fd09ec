//! What the caller's files and environment say of registries.

use crate::Caller;
use crate::edge::Failure;
use crate::flags::Mistake;
use registry::{Client, ConfigFiles, Patience, Proxies, Settings, Setup, Trust};
use std::path::{Path, PathBuf};

/// The host's settings; the user's are laid over them.
const SETTINGS: &str = "/etc/hull/registries.toml";

impl Caller {
    /// A client for registries. Nothing of it is on the way of a run whose image is here.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        self.client_trusting(&[])
    }

    /// Likewise one to which some registries need not prove who they are.
    pub(crate) fn client_trusting(&self, hosts: &[String]) -> Result<Client, Failure> {
        let settings = hosts.iter().fold(self.registries()?, |settings, host| settings.trusting(host));
        Ok(Client::new(Setup {
            settings,
            trust: Trust {
                bundle: self.filled("SSL_CERT_FILE").map(PathBuf::from),
                directories: self.certificates(),
            },
            proxies: Proxies {
                http: self.either("http_proxy", "HTTP_PROXY"),
                https: self.either("https_proxy", "HTTPS_PROXY"),
                none: self.either("no_proxy", "NO_PROXY"),
            },
            credentials: Box::new(self.logins()),
            patience: Patience::default(),
        }))
    }

    /// `HULL_REGISTRIES` names one file instead of the user's and the host's.
    pub(crate) fn registries(&self) -> Result<Settings, Failure> {
        if let Some(path) = self.filled("HULL_REGISTRIES") {
            return Ok(read(Path::new(&path), true)?.unwrap_or_default());
        }
        let user =
            self.config_home().map(|home| read(&home.join("hull/registries.toml"), false)).transpose()?;
        let host = read(Path::new(SETTINGS), false)?.unwrap_or_default();
        Ok(user.flatten().unwrap_or_default().over(host))
    }

    /// docker's file is the one that is written; containers' are looked into after it.
    pub(crate) fn logins(&self) -> ConfigFiles {
        let home = self.filled("HOME").map(PathBuf::from);
        let docker =
            self.filled("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".docker")));
        let docker = docker.map(|dir| dir.join("config.json"));
        let named = self.filled("REGISTRY_AUTH_FILE").map(PathBuf::from);
        let runtime = self.filled("XDG_RUNTIME_DIR").map(|dir| Path::new(&dir).join("containers/auth.json"));
        let uid = rustix::process::getuid().as_raw();
        let shared = PathBuf::from(format!("/run/containers/{uid}/auth.json"));
        let own = self.config_home().map(|home| home.join("containers/auth.json"));
        ConfigFiles {
            paths: docker.into_iter().chain(named).chain(runtime).chain([shared]).chain(own).collect(),
        }
    }

    fn certificates(&self) -> Vec<PathBuf> {
        let own = self
            .config_home()
            .into_iter()
            .flat_map(|home| ["hull/certs.d", "containers/certs.d"].map(|name| home.join(name)));
        let of_host =
            ["/etc/hull/certs.d", "/etc/docker/certs.d", "/etc/containers/certs.d"].map(PathBuf::from);
        own.chain(of_host).collect()
    }

    fn config_home(&self) -> Option<PathBuf> {
        let set = self.filled("XDG_CONFIG_HOME").map(PathBuf::from);
        set.or_else(|| Some(Path::new(&self.filled("HOME")?).join(".config")))
    }

    fn filled(&self, name: &str) -> Option<String> {
        self.variable(name).filter(|value| !value.is_empty())
    }

    fn either(&self, name: &str, other: &str) -> Option<String> {
        self.filled(name).or_else(|| self.filled(other))
    }
}

/// None where there is no such file and none is needed.
fn read(path: &Path, needed: bool) -> Result<Option<Settings>, Failure> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !needed => return Ok(None),
        Err(error) => return Err(Mistake::new(format!("read `{}`: {error}", path.display())).into()),
        Ok(text) => text,
    };
    let settings = Settings::parse(&text);
    Ok(Some(settings.map_err(|error| Mistake::new(format!("`{}`: {}", path.display(), error.line())))?))
}
