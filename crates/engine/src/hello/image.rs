//! Making the image `hello` out of the running executable.

use crate::Engine;
use crate::error::{Kind, Result, from_store};
use crate::image::{Sum, digest_of};
use fault::Context;
use oci::{ContainerConfig, DiffId, History, ImageConfig, ImageId, Platform, Reference};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{Mode, OFlags, mkdirat, openat};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use store::{Image, LayerMeta, NewImage, Shared};

/// Its name, in full.
const NAME: &str = "docker.io/library/hello:latest";

/// Says which executable an image was made from: size and time of change.
const LABEL: &str = "hull.executable";

/// The few files that make the image a system: who root is, and a greeting.
const ETC: [(&str, &str); 3] = [
    ("passwd", "root:x:0:0:root:/root:/hello\n"),
    ("group", "root:x:0:\n"),
    ("motd", "Hello from a container. `hull run -it --rm IMAGE sh` is the next step.\n"),
];

impl Engine {
    /// The embedded image if `name` means it, made when it is not there or another executable's.
    pub(crate) fn embedded_image(
        &self,
        shared: &Shared,
        name: &str,
        found: Option<&Image>,
    ) -> Result<Option<Image>> {
        if name.parse::<Reference>().map(|name| name.with_default_tag().canonical()).ok().as_deref()
            != Some(NAME)
        {
            return Ok(None);
        }
        let program =
            File::open("/proc/self/exe").or_err(Kind::Failed, || "open hull's own program".into())?;
        let made_from = identity(&program)?;
        if let Some(image) = found {
            let label = image.config().map_err(from_store)?.config.labels.get(LABEL).cloned();
            // One that somebody else made under this name is theirs.
            if label.is_none_or(|label| label == made_from) {
                return Ok(None);
            }
        }
        let layers = [self.program_layer(shared, program)?, self.etc_layer(shared)?];
        self.put_hello(shared, &layers, made_from).map(Some)
    }

    fn program_layer(&self, shared: &Shared, mut program: File) -> Result<DiffId> {
        self.filled_layer(shared, |dir| {
            let mut copy = create(dir, "hello", 0o755)?;
            std::io::copy(&mut program, &mut copy).map(|_| ())
        })
    }

    fn etc_layer(&self, shared: &Shared) -> Result<DiffId> {
        self.filled_layer(shared, |dir| {
            mkdirat(dir, "etc", Mode::from_raw_mode(0o755))?;
            let etc = openat(dir, "etc", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            ETC.iter().try_for_each(|(name, text)| {
                std::io::Write::write_all(&mut create(etc.as_fd(), name, 0o644)?, text.as_bytes())
            })
        })
    }

    /// A layer whose files are written in place; its tar is what an export of them would be.
    fn filled_layer(
        &self,
        shared: &Shared,
        fill: impl FnOnce(BorrowedFd<'_>) -> std::io::Result<()>,
    ) -> Result<DiffId> {
        let failed = || "write the embedded image".to_owned();
        let draft = self.store.draft_layer(shared).map_err(from_store)?;
        fill(draft.dir()).map_err(|error| crate::image::from_io(error, failed()))?;
        let mut sum = Sum::default();
        layer::write_tar(draft.dir(), &mut sum).or_err(Kind::Failed, failed)?;
        let (digest, tar_size) = sum.finish();
        let diff_id = DiffId(digest);
        sys::step!("engine.hello.filled");
        let meta =
            LayerMeta { tar_size, entries: 1, file_bytes: tar_size, source: None, ..LayerMeta::default() };
        draft.commit(&diff_id, meta).map_err(from_store)?;
        Ok(diff_id)
    }

    fn put_hello(&self, shared: &Shared, layers: &[DiffId], made_from: String) -> Result<Image> {
        let host = Platform::host();
        let step = |by: &str| History { created_by: Some(by.into()), ..History::default() };
        let mut config = ImageConfig {
            architecture: host.architecture,
            os: host.os,
            config: ContainerConfig {
                entrypoint: Some(vec!["/hello".into()]),
                env: vec!["PATH=/".into()],
                ..ContainerConfig::default()
            },
            history: vec![step("hull: its own program as /hello"), step("hull: /etc")],
            ..ImageConfig::default()
        };
        config.config.labels.insert(LABEL.into(), made_from);
        config.rootfs.diff_ids = layers.to_vec();
        let bytes = config.to_json();
        let names = vec![NAME.parse().or_err(Kind::Invalid, || "name the embedded image".into())?];
        let new = NewImage {
            id: ImageId(digest_of(&bytes)),
            config: bytes,
            layers: None,
            manifest: None,
            blobs: Vec::new(),
            names,
        };
        self.store.put_image(shared, new).map_err(from_store)
    }
}

fn identity(program: &File) -> Result<String> {
    let meta = program.metadata().or_err(Kind::Failed, || "look at hull's own program".into())?;
    Ok(format!("{}-{}.{:09}", meta.size(), meta.mtime(), meta.mtime_nsec()))
}

fn create(dir: BorrowedFd<'_>, name: &str, mode: u32) -> std::io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = File::from(openat(dir, name, flags, Mode::from_raw_mode(mode))?);
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?; // whatever the umask is
    Ok(file)
}
