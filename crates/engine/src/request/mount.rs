//! Mounts: `-v`, `--mount` and `--tmpfs`.

use super::{
    Error, Kind, MountRequest, MountSource, ReadOnlyRecursive, Relabel, Result, invalid, later, size,
};
use std::path::PathBuf;

const PROPAGATIONS: [&str; 6] = ["rprivate", "private", "rshared", "shared", "rslave", "slave"];

/// Flags of a tmpfs that docker takes and mount(2) knows; numbers have a `name=` in [`TMPFS_VALUES`].
const TMPFS_FLAGS: [&str; 20] = [
    "defaults",
    "rw",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "sync",
    "async",
    "dirsync",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "noswap",
];
const TMPFS_VALUES: [&str; 6] = ["uid", "gid", "nr_inodes", "nr_blocks", "mpol", "huge"];

impl MountRequest {
    /// `-v HOST:CONTAINER[:OPTIONS]`; a relative host path (`./x`) stays relative, for the edge to resolve.
    pub fn from_volume(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        if text.is_empty() {
            return invalid("invalid empty volume spec");
        }
        if parts.iter().any(|part| part.is_empty()) {
            return invalid(format!("invalid spec: {text}: empty section between colons"));
        }
        let (source, target, options) = match parts[..] {
            [target] => return anonymous(target),
            [source, target] => (source, target, ""),
            [source, target, options] => (source, target, options),
            _ => return invalid(format!("invalid spec: {text}: too many colons")),
        };
        let mut mount = Self { target: target_path(target)?, source: bind(source)?, read_only: false };
        mount.set_modes(options)?;
        Ok(mount)
    }

    fn set_modes(&mut self, options: &str) -> Result<()> {
        let MountSource::Bind { propagation, relabel, .. } = &mut self.source else { return Ok(()) };
        // Each group at most once, as docker: `ro,rw` says nothing.
        let mut seen = Vec::new();
        for option in options.split(',').filter(|_| !options.is_empty()) {
            let group = match option {
                "ro" | "rw" => "access",
                "z" | "Z" => "label",
                // Words of Docker Desktop for macOS; on Linux every mount is consistent.
                "consistent" | "cached" | "delegated" | "default" => "consistency",
                _ if PROPAGATIONS.contains(&option) => "propagation",
                _ => return invalid(format!("invalid mode: {options}")),
            };
            if seen.contains(&group) {
                return invalid(format!("invalid mode: {options}"));
            }
            seen.push(group);
            match option {
                "ro" => self.read_only = true,
                "z" => *relabel = Relabel::Shared,
                "Z" => *relabel = Relabel::Private,
                _ if group == "propagation" => *propagation = Some(option.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// `--tmpfs PATH[:OPTIONS]`
    pub fn from_tmpfs(text: &str) -> Result<Self> {
        let (target, words) = text.split_once(':').unwrap_or((text, ""));
        let mut mount = Self {
            target: target_path(target)?,
            source: MountSource::Tmpfs { size: None, mode: None, options: Vec::new() },
            read_only: false,
        };
        let words = words.split(',').filter(|_| !words.is_empty());
        words.into_iter().try_for_each(|word| mount.set_tmpfs_option(word))?;
        Ok(mount)
    }

    fn set_tmpfs_option(&mut self, word: &str) -> Result<()> {
        let MountSource::Tmpfs { size: bytes, mode, options } = &mut self.source else { return Ok(()) };
        match word.split_once('=') {
            None if word == "ro" => self.read_only = true,
            None if TMPFS_FLAGS.contains(&word) => options.push(word.into()),
            // A share of memory is the kernel's to count, see tmpfs(5).
            Some(("size", share)) if share.ends_with('%') => options.push(word.into()),
            Some(("size", value)) => *bytes = Some(size(value)?),
            Some(("mode", value)) => *mode = Some(permissions("mode", value)?),
            Some((name, _)) if TMPFS_VALUES.contains(&name) => options.push(word.into()),
            _ => return invalid(format!("invalid tmpfs option [\"{word}\"]")),
        }
        Ok(())
    }

    /// `--mount type=bind,source=…,target=…`, one line of CSV; a relative source stays relative.
    pub fn from_mount(text: &str) -> Result<Self> {
        let mut typed = Typed::default();
        csv(text)?.iter().try_for_each(|field| typed.set(field))?;
        typed.mount()
    }
}

fn anonymous<T>(target: &str) -> Result<T> {
    target_path(target)?;
    later("anonymous volumes")
}

fn bind(source: &str) -> Result<MountSource> {
    if source.contains('/') && !source.starts_with(['/', '.']) {
        let words = format!(
            "\"{source}\" includes invalid characters for a volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed"
        );
        return Err(Error::new(Kind::Invalid, words)
            .with_hint(format!("for a directory of this host write `./{source}`")));
    }
    if !source.starts_with(['/', '.']) {
        let words = format!("named volumes are not available yet: `{source}`");
        return Err(Error::new(Kind::NotYet, words)
            .with_hint(format!("for a directory of this host write `./{source}`")));
    }
    Ok(MountSource::Bind {
        path: source.into(),
        create: true,
        propagation: None,
        non_recursive: false,
        read_only_recursive: ReadOnlyRecursive::default(),
        relabel: Relabel::default(),
    })
}

fn target_path(text: &str) -> Result<String> {
    if !text.starts_with('/') {
        return invalid(format!("invalid mount path: '{text}' mount path must be absolute"));
    }
    match text.split('/').all(|part| matches!(part, "" | ".")) {
        true => invalid("invalid specification: destination can't be '/'"),
        false => Ok(text.into()),
    }
}

fn permissions(name: &str, text: &str) -> Result<u32> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
    mode.map_or_else(|| invalid(format!("invalid value for {name}: {text}")), Ok)
}

/// The fields of `--mount` as they come; they have a meaning together.
#[derive(Default)]
struct Typed {
    kind: Option<String>,
    source: Option<PathBuf>,
    target: Option<String>,
    read_only: bool,
    propagation: Option<String>,
    recursive: Option<String>,
    create: bool,
    size: Option<u64>,
    mode: Option<u32>,
    /// The first field that only a bind, and that only a tmpfs, has.
    bind_field: bool,
    tmpfs_field: bool,
}

impl Typed {
    fn set(&mut self, field: &str) -> Result<()> {
        let (name, value) = match field.split_once('=') {
            Some((name, value)) => (name.to_ascii_lowercase(), Some(value)),
            None => (field.to_ascii_lowercase(), None),
        };
        let Some(text) = value else { return self.set_word(&name, field) };
        self.bind_field |= name.starts_with("bind-");
        self.tmpfs_field |= name.starts_with("tmpfs-");
        match name.as_str() {
            "type" => self.kind = Some(text.to_ascii_lowercase()),
            "source" | "src" => self.source = Some(text.into()),
            "target" | "dst" | "destination" => self.target = Some(text.into()),
            "readonly" | "ro" => self.read_only = truth(&name, text)?,
            "consistency" if matches!(text, "consistent" | "cached" | "delegated" | "default") => {}
            "bind-propagation" if PROPAGATIONS.contains(&text) => self.propagation = Some(text.into()),
            "bind-nonrecursive" => self.recursive = truth(&name, text)?.then(|| "disabled".into()),
            "bind-recursive" => self.recursive = Some(text.into()),
            "bind-create-src" => self.create = truth(&name, text)?,
            "tmpfs-size" => self.size = Some(size(text).or_else(|_| wrong(&name, text))?),
            "tmpfs-mode" => self.mode = Some(permissions(&name, text)?),
            "consistency" | "bind-propagation" => return wrong(&name, text),
            _ => return unexpected(&name, field),
        }
        Ok(())
    }

    /// A field without a value: only some mean `true`.
    fn set_word(&mut self, name: &str, field: &str) -> Result<()> {
        match name {
            "readonly" | "ro" | "bind-nonrecursive" | "bind-create-src" => self.set(&format!("{name}=true")),
            _ => invalid(format!("invalid field '{field}' must be a key=value pair")),
        }
    }

    fn mount(self) -> Result<MountRequest> {
        let Some(target) = self.target.as_deref() else { return invalid("target is required") };
        let (target, read_only) = (target_path(target)?, self.read_only);
        let source = match self.kind.as_deref().unwrap_or("volume") {
            "bind" => self.bind()?,
            "tmpfs" => self.tmpfs()?,
            "volume" => return later("mounts of type `volume`"),
            "image" => return later("mounts of type `image`"),
            other => return invalid(format!("mount type unknown: `{other}`")),
        };
        Ok(MountRequest { target, source, read_only })
    }

    fn bind(self) -> Result<MountSource> {
        if self.tmpfs_field {
            return invalid("cannot mix 'tmpfs-*' options with mount type 'bind'");
        }
        let Some(path) = self.source.clone().filter(|path| !path.as_os_str().is_empty()) else {
            return invalid("invalid mount config for type \"bind\": field Source must not be empty");
        };
        if !path.is_absolute() && !path.starts_with(".") && !path.starts_with("..") {
            return invalid(format!(
                "invalid mount config for type \"bind\": invalid mount path: '{}' mount path must be absolute",
                path.display()
            ));
        }
        Ok(MountSource::Bind {
            path,
            create: self.create,
            non_recursive: self.recursive.as_deref() == Some("disabled"),
            read_only_recursive: self.recursion()?,
            propagation: self.propagation,
            relabel: Relabel::Keep,
        })
    }

    fn recursion(&self) -> Result<ReadOnlyRecursive> {
        let private = self.propagation.as_deref() == Some("rprivate");
        match self.recursive.as_deref() {
            None | Some("enabled" | "disabled") => Ok(ReadOnlyRecursive::IfPossible),
            Some(word @ ("writable" | "readonly")) if !self.read_only => {
                conjunction(word, "'readonly' to be specified")
            }
            Some("writable") => Ok(ReadOnlyRecursive::Writable),
            Some("readonly") if private => Ok(ReadOnlyRecursive::Required),
            Some("readonly") => conjunction("readonly", "'bind-propagation=rprivate' to be specified"),
            Some(other) => wrong("bind-recursive", other),
        }
    }

    fn tmpfs(self) -> Result<MountSource> {
        if self.bind_field {
            return invalid("cannot mix 'bind-*' options with mount type 'tmpfs'");
        }
        match self.source {
            Some(_) => invalid("invalid mount config for type \"tmpfs\": field Source must not be specified"),
            None => Ok(MountSource::Tmpfs { size: self.size, mode: self.mode, options: Vec::new() }),
        }
    }
}

fn conjunction<T>(word: &str, needs: &str) -> Result<T> {
    invalid(format!("option 'bind-recursive={word}' requires {needs} in conjunction"))
}

fn truth(name: &str, text: &str) -> Result<bool> {
    match text {
        "1" | "true" | "True" | "TRUE" | "t" | "T" => Ok(true),
        "0" | "false" | "False" | "FALSE" | "f" | "F" => Ok(false),
        _ => wrong(name, text),
    }
}

fn wrong<T>(name: &str, text: &str) -> Result<T> {
    invalid(format!("invalid value for {name}: {text}"))
}

fn unexpected<T>(name: &str, field: &str) -> Result<T> {
    if name.starts_with("volume-") || name.starts_with("image-") {
        return later(format!("`{name}`: mounts of volumes and images"));
    }
    invalid(format!("unexpected key '{name}' in '{field}'"))
}

/// The fields of one line of CSV (RFC 4180): a field in double quotes may hold commas, and a quote
/// as two.
fn csv(line: &str) -> Result<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, after) = csv_field(rest)?;
        fields.push(field);
        match after {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

/// The first field and what follows its comma.
fn csv_field(text: &str) -> Result<(String, Option<&str>)> {
    let Some(mut rest) = text.strip_prefix('"') else { return plain_field(text) };
    let mut field = String::new();
    loop {
        let Some((part, after)) = rest.split_once('"') else {
            return invalid("extraneous or missing \" in quoted-field");
        };
        field.push_str(part);
        match after.chars().next() {
            None => return Ok((field, None)),
            Some(',') => return Ok((field, Some(&after[1..]))),
            Some('"') => field.push('"'),
            Some(_) => return invalid("extraneous or missing \" in quoted-field"),
        }
        rest = &after[1..];
    }
}

fn plain_field(text: &str) -> Result<(String, Option<&str>)> {
    let (field, after) = text.split_once(',').map_or((text, None), |(field, after)| (field, Some(after)));
    match field.contains('"') {
        true => invalid("bare \" in non-quoted-field"),
        false => Ok((field.into(), after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(path: &str) -> MountSource {
        bind(path).unwrap()
    }

    fn refused(result: Result<MountRequest>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_volume_binds_a_path_of_the_host() {
        let mount = MountRequest::from_volume("/tmp:/tmp1:ro").unwrap();
        assert_eq!(mount, MountRequest { target: "/tmp1".into(), source: bound("/tmp"), read_only: true });
        assert!(!MountRequest::from_volume("./x:/y:rw,z").unwrap().read_only);
        let shared = MountRequest::from_volume("/a:/b:rshared,Z,ro").unwrap();
        let MountSource::Bind { propagation, relabel, .. } = shared.source else { panic!("a bind") };
        assert_eq!(
            (propagation.as_deref(), relabel, shared.read_only),
            (Some("rshared"), Relabel::Private, true)
        );
    }

    #[test]
    fn what_is_no_volume_is_refused() {
        for (text, words) in [
            ("", "invalid empty volume spec"),
            (":", "empty section between colons"),
            ("/tmp:", "empty section between colons"),
            (":/x", "empty section between colons"),
            ("/a:/b:ro:x", "too many colons"),
            ("/a:/b:ro,rw", "invalid mode: ro,rw"),
            ("/a:/b:sw", "invalid mode: sw"),
            ("/a:/b:nocopy", "invalid mode: nocopy"),
            ("/a:/b:ro,", "invalid mode: ro,"),
            ("/a:/b:z,Z", "invalid mode"),
            ("/a:b", "mount path must be absolute"),
            ("/a:/", "destination can't be '/'"),
            ("/a:/./", "destination can't be '/'"),
            ("some/data:/b", "\"some/data\" includes invalid characters"),
            ("data:/b", "named volumes are not available yet: `data`"),
            ("/data", "anonymous volumes are not available yet"),
            ("data", "mount path must be absolute"),
        ] {
            assert!(refused(MountRequest::from_volume(text)).contains(words), "{text}");
        }
    }

    #[test]
    fn a_mount_is_a_line_of_csv() {
        let mount = MountRequest::from_mount(r#"type=bind,"src=/a,b",dst=/c,readonly"#).unwrap();
        let MountSource::Bind { path, create, .. } = &mount.source else { panic!("a bind") };
        assert_eq!(
            (path.to_str(), *create, mount.read_only, &*mount.target),
            (Some("/a,b"), false, true, "/c")
        );
        assert_eq!(csv(r#""a""b",c,"#).unwrap(), [r#"a"b"#, "c", ""]);
        assert!(csv(r#"a"b"#).is_err() && csv(r#""a"#).is_err() && csv(r#""a"b"#).is_err());
    }

    #[test]
    fn a_mount_of_memory_has_a_size_and_a_mode() {
        let mount = MountRequest::from_mount("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=0700").unwrap();
        let source = MountSource::Tmpfs { size: Some(1 << 20), mode: Some(0o700), options: vec![] };
        assert_eq!(mount, MountRequest { target: "/t".into(), source, read_only: false });
    }

    #[test]
    fn recursion_of_a_read_only_bind_is_chosen() {
        let of = |rest: &str| {
            MountRequest::from_mount(&format!("type=bind,src=/a,dst=/b,{rest}")).map(|m| m.source)
        };
        let MountSource::Bind { read_only_recursive, .. } =
            of("ro,bind-recursive=readonly,bind-propagation=rprivate").unwrap()
        else {
            panic!("a bind")
        };
        assert_eq!(read_only_recursive, ReadOnlyRecursive::Required);
        let MountSource::Bind { non_recursive, .. } = of("bind-nonrecursive").unwrap() else {
            panic!("a bind")
        };
        assert!(non_recursive);
        assert!(
            of("ro,bind-recursive=readonly").unwrap_err().to_string().contains("requires 'bind-propagation")
        );
        assert!(of("bind-recursive=writable").unwrap_err().to_string().contains("requires 'readonly'"));
        assert!(
            of("bind-recursive=x").unwrap_err().to_string().contains("invalid value for bind-recursive: x")
        );
    }

    #[test]
    fn what_is_no_mount_is_refused() {
        for (text, words) in [
            ("type=bind,src=/a", "target is required"),
            ("type=bind,dst=/a", "field Source must not be empty"),
            ("type=bind,src=a,dst=/a", "mount path must be absolute"),
            ("type=bind,src=/a,dst=/b,x", "invalid field 'x' must be a key=value pair"),
            ("type=bind,src=/a,dst=/b,x=y", "unexpected key 'x' in 'x=y'"),
            ("type=bind,src=/a,dst=/b,ro=maybe", "invalid value for ro: maybe"),
            ("type=bind,src=/a,dst=/b,tmpfs-size=1", "cannot mix 'tmpfs-*'"),
            ("type=tmpfs,dst=/b,bind-propagation=slave", "cannot mix 'bind-*'"),
            ("type=tmpfs,src=/a,dst=/b", "field Source must not be specified"),
            ("type=tmpfs,dst=/b,tmpfs-size=x", "invalid value for tmpfs-size: x"),
            ("type=tmpfs,dst=/b,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"),
            ("type=volume,src=a,dst=/b", "`volume` are not available yet"),
            ("src=a,dst=/b", "`volume` are not available yet"),
            ("type=npipe,dst=/b", "mount type unknown"),
            ("", "must be a key=value pair"),
        ] {
            assert!(refused(MountRequest::from_mount(text)).contains(words), "{text}");
        }
    }

    #[test]
    fn tmpfs_options_are_checked() {
        let mount = MountRequest::from_tmpfs("/run:ro,noexec,size=65m,mode=1777,uid=7").unwrap();
        let options = vec!["noexec".to_string(), "uid=7".into()];
        let source = MountSource::Tmpfs { size: Some(65 << 20), mode: Some(0o1777), options };
        assert_eq!(mount, MountRequest { target: "/run".into(), source, read_only: true });
        assert!(
            MountRequest::from_tmpfs("/run").is_ok() && MountRequest::from_tmpfs("/run:size=50%").is_ok()
        );
        assert_eq!(refused(MountRequest::from_tmpfs("/run:foo")), "invalid tmpfs option [\"foo\"]");
        assert!(MountRequest::from_tmpfs("run").is_err() && MountRequest::from_tmpfs("/run:size=x").is_err());
    }
}
