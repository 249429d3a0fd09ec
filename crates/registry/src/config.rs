//! docker's `config.json` and containers' `auth.json`: logins, and the helpers that keep them.
//!
//! docker's documentation "docker login", "Credential store"; containers-auth.json(5). Members that hull does not know stay as
//! they are. A helper is a program `docker-credential-NAME` with a verb, the server on its standard input.

use crate::credential::{Credentials, Login};
use crate::error::{Error, Kind, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A user who is a token.
const IDENTITY: &str = "<token>";

/// The files in which logins are looked for, in order; the first one is written.
#[derive(Debug, Clone, Default)]
pub struct ConfigFiles {
    /// docker's file, then others'.
    pub paths: Vec<PathBuf>,
}

/// What a helper prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    username: String,
    secret: String,
}

impl Credentials for ConfigFiles {
    fn of(&self, server: &str) -> Result<Option<Login>> {
        for path in &self.paths {
            let config = read(path)?;
            let login = match helper_of(&config, server) {
                Some(helper) => ask_helper(&helper, server)?,
                None => in_auths(&config, server, path)?,
            };
            if login.is_some() {
                return Ok(login);
            }
        }
        Ok(None)
    }
}

impl ConfigFiles {
    /// Keeps a login, with the helper that is set for the server or in the file. Whether it lies in the file as plain text.
    pub fn keep(&self, server: &str, login: &Login) -> Result<bool> {
        let path = self.first()?;
        let mut config = read(path)?;
        let (user, secret) = match login {
            Login::Password { user, password } => (user.as_str(), password.as_str()),
            Login::Identity { token } => (IDENTITY, token.as_str()),
        };
        let helper = helper_of(&config, server);
        let entry = match (&helper, login) {
            (Some(helper), _) => {
                let kept = json!({"ServerURL": server, "Username": user, "Secret": secret});
                run_helper(helper, "store", &kept.to_string())?;
                json!({})
            }
            (None, Login::Password { .. }) => json!({"auth": STANDARD.encode(format!("{user}:{secret}"))}),
            (None, Login::Identity { .. }) => {
                json!({"auth": STANDARD.encode("<token>:"), "identitytoken": secret})
            }
        };
        auths(&mut config).insert(server.to_owned(), entry);
        write(path, &config)?;
        Ok(helper.is_none())
    }

    /// Forgets a login. Whether there was one.
    pub fn forget(&self, server: &str) -> Result<bool> {
        let path = self.first()?;
        let mut config = read(path)?;
        let helper = helper_of(&config, server);
        let keys: Vec<String> =
            auths(&mut config).keys().filter(|key| bare(key) == bare(server)).cloned().collect();
        if let Some(helper) = &helper {
            run_helper(helper, "erase", server)?;
        }
        keys.iter().for_each(|key| drop(auths(&mut config).shift_remove(key)));
        if !keys.is_empty() {
            write(path, &config)?;
        }
        Ok(!keys.is_empty())
    }

    /// The file that is written.
    pub fn first(&self) -> Result<&Path> {
        let first = self.paths.first().map(PathBuf::as_path);
        first.ok_or_else(|| {
            Error::new(Kind::Invalid, "nowhere to keep logins: neither DOCKER_CONFIG nor HOME is set")
        })
    }
}

/// The helper for a server: its own, or the one for all.
fn helper_of(config: &Value, server: &str) -> Option<String> {
    let own = config.get("credHelpers").and_then(Value::as_object);
    let own = own.and_then(|helpers| helpers.iter().find(|(key, _)| bare(key) == bare(server)));
    let name = own.map(|(_, name)| name).or_else(|| config.get("credsStore"))?.as_str()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// What docker compares servers by: no scheme, no path, but for docker.io's own.
fn bare(server: &str) -> &str {
    let host = server.trim_start_matches("https://").trim_start_matches("http://");
    host.split('/').next().unwrap_or(host)
}

fn in_auths(config: &Value, server: &str, path: &Path) -> Result<Option<Login>> {
    let Some(all) = config.get("auths").and_then(Value::as_object) else { return Ok(None) };
    let entry = all
        .get(server)
        .or_else(|| all.iter().find(|(key, _)| bare(key) == bare(server)).map(|(_, entry)| entry));
    let Some(entry) = entry else { return Ok(None) };
    let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(token) = text("identitytoken") {
        return Ok(Some(Login::Identity { token: token.to_owned() }));
    }
    let plain = || Some((text("username")?.to_owned(), text("password")?.to_owned()));
    let Some(auth) = text("auth") else {
        return Ok(plain().map(|(user, password)| Login::Password { user, password }));
    };
    let bad = || {
        Error::new(
            Kind::Invalid,
            format!("the login for `{server}` in `{}` is not `user:password` in base64", path.display()),
        )
    };
    let decoded =
        STANDARD.decode(auth).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(bad)?;
    let (user, password) = decoded.split_once(':').ok_or_else(bad)?;
    let password = password.trim_end_matches('\0');
    Ok(Some(Login::Password { user: user.to_owned(), password: password.to_owned() }))
}

fn auths(config: &mut Value) -> &mut Map<String, Value> {
    if !config.get("auths").is_some_and(Value::is_object) {
        config["auths"] = json!({});
    }
    match &mut config["auths"] {
        Value::Object(auths) => auths,
        // It was made one above.
        _ => unreachable!("`auths` is an object"),
    }
}

fn read(path: &Path) -> Result<Value> {
    let what = || format!("read `{}`", path.display());
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(json!({})),
        Err(error) => return Err(Error::new(Kind::Io, what()).caused_by(error)),
        Ok(text) => text,
    };
    if text.trim().is_empty() {
        return Ok(json!({}));
    }
    let config: Value =
        serde_json::from_str(&text).map_err(|error| Error::new(Kind::Invalid, what()).caused_by(error))?;
    match config.is_object() {
        true => Ok(config),
        false => Err(Error::new(Kind::Invalid, what()).caused_by("not an object")),
    }
}

/// By one rename, readable for nobody else. A link stays one, and what it leads to is written.
fn write(path: &Path, config: &Value) -> Result<()> {
    let failed =
        |error: std::io::Error| Error::new(Kind::Io, format!("write `{}`", path.display())).caused_by(error);
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let dir = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(dir).map_err(failed)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = dir.join(format!(".{name}.{}", std::process::id()));
    let mut text = Vec::new();
    let style = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut writer = serde_json::Serializer::with_formatter(&mut text, style);
    serde::Serialize::serialize(config, &mut writer).map_err(|error| failed(error.into()))?;
    let done = write_new(&draft, &text).and_then(|()| std::fs::rename(&draft, &path));
    done.map_err(|error| {
        // What was begun is of no use; the failure that is told is the first one.
        drop(std::fs::remove_file(&draft));
        failed(error)
    })
}

fn write_new(path: &Path, text: &[u8]) -> std::io::Result<()> {
    // One that a killed process of the same number has left.
    drop(std::fs::remove_file(path));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

fn ask_helper(helper: &str, server: &str) -> Result<Option<Login>> {
    let Some(text) = run_helper(helper, "get", server)? else { return Ok(None) };
    let kept: Kept = serde_json::from_str(&text).map_err(|error| {
        Error::new(Kind::Invalid, format!("read what `docker-credential-{helper}` says")).caused_by(error)
    })?;
    Ok(Some(match kept.username.as_str() {
        IDENTITY => Login::Identity { token: kept.secret },
        _ => Login::Password { user: kept.username, password: kept.secret },
    }))
}

/// docker-credential-helpers' words for a server that it has nothing of.
const NOTHING: &str = "credentials not found in native keychain";

fn run_helper(helper: &str, verb: &str, input: &str) -> Result<Option<String>> {
    let what = || format!("run `docker-credential-{helper} {verb}`");
    if !helper.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return Err(Error::new(Kind::Invalid, format!("`{helper}` is no credential helper's name")));
    }
    let failed = |error: std::io::Error| Error::new(Kind::Invalid, what()).caused_by(error);
    let mut command = Command::new(format!("docker-credential-{helper}"));
    command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read its input says itself what it lacks.
        drop(stdin.write_all(input.as_bytes()));
    }
    let output = child.wait_with_output().map_err(failed)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => Ok(Some(said)),
        false if said.trim() == NOTHING => Ok(None),
        false => Err(Error::new(Kind::Invalid, what()).caused_by(crate::answer::shown(&said))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("hull-config-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }

        fn files(&self) -> ConfigFiles {
            ConfigFiles { paths: vec![self.0.join("config.json")] }
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn password(user: &str, password: &str) -> Login {
        Login::Password { user: user.into(), password: password.into() }
    }

    #[test]
    fn what_is_kept_is_found_and_the_rest_of_the_file_stays() {
        let dir = Dir::new("keep");
        let (files, path) = (dir.files(), dir.0.join("config.json"));
        std::fs::write(&path, r#"{"detachKeys":"ctrl-x","auths":{"other":{"auth":"YTpi"}}}"#).unwrap();
        assert!(files.keep("r.example:5000", &password("me", "p:w")).unwrap());
        assert_eq!(files.of("r.example:5000").unwrap(), Some(password("me", "p:w")));
        assert_eq!(files.of("other").unwrap(), Some(password("a", "b")));
        assert_eq!(files.of("nobody").unwrap(), None);
        let config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(config["detachKeys"], "ctrl-x");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(files.forget("r.example:5000").unwrap());
        assert!(!files.forget("r.example:5000").unwrap());
        assert_eq!(files.of("r.example:5000").unwrap(), None);
        assert_eq!(std::fs::read_dir(&dir.0).unwrap().count(), 1);
    }

    #[test]
    fn a_server_is_known_with_and_without_its_scheme() {
        let dir = Dir::new("scheme");
        let text = r#"{"auths":{"https://r.example/v2/":{"auth":"YTpi"},"t":{"auth":"PHRva2VuPjo=","identitytoken":"x"}}}"#;
        std::fs::write(dir.0.join("config.json"), text).unwrap();
        assert_eq!(dir.files().of("r.example").unwrap(), Some(password("a", "b")));
        assert_eq!(dir.files().of("t").unwrap(), Some(Login::Identity { token: "x".into() }));
    }

    #[test]
    fn what_is_no_login_is_told_without_telling_it() {
        let dir = Dir::new("bad");
        std::fs::write(dir.0.join("config.json"), r#"{"auths":{"x":{"auth":"c2VjcmV0"}}}"#).unwrap();
        let line = dir.files().of("x").unwrap_err().line();
        assert!(line.contains("login for `x`") && !line.contains("c2VjcmV0"), "{line}");
        std::fs::write(dir.0.join("config.json"), r#"{"credsStore":"../evil"}"#).unwrap();
        assert!(dir.files().of("x").unwrap_err().line().contains("no credential helper's name"));
        assert_eq!(format!("{:?}", password("me", "secret")), "the password of me");
    }
}
