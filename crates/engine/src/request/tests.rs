//! No word, whatever is in it, makes a parser panic; and what is written as it should be is read back.

use super::*;
use proptest::prelude::*;

/// Any text; and text of the letters that mean something to these parsers, which gets further.
fn words() -> impl Strategy<Value = String> {
    let near = "(type|source|target|bind|tmpfs|ro|rw|host|container|keep-id|private|uid|nofile|ctrl-|monotonic|\
        SIGRTMIN|/dev/x|/a|seccomp|label|[-+=:,./\"\\\\ *0-9a-z]|é){0,12}";
    prop_oneof![any::<String>(), near]
}

proptest! {
    #[test]
    fn nouns_never_panic(text in words()) {
        let _ = text.parse::<DeviceRequest>();
        let _ = text.parse::<DeviceRule>();
        let _ = text.parse::<Ulimit>();
        let _ = text.parse::<Namespace>();
        let _ = text.parse::<IpcNamespace>();
        let _ = text.parse::<Network>();
        let _ = text.parse::<UserNamespace>();
        let _ = text.parse::<TimeOffsets>();
        let _ = text.parse::<Pull>();
        let _ = text.parse::<Stream>();
        let _ = MountRequest::from_volume(&text);
        let _ = MountRequest::from_mount(&text);
        let _ = MountRequest::from_tmpfs(&text);
        let _ = SecurityOption::parse(&text, |_| Ok(String::new()));
    }

    #[test]
    fn values_never_panic(text in words()) {
        let _ = (size(&text), size_or_unlimited(&text), cpus(&text), swappiness(&text), cpu_list(&text));
        let _ = (device_weight(&text), device_bytes(&text), device_operations(&text));
        let _ = (duration(&text), signal(&text), detach_keys(&text), host_address(&text), label(&text));
    }

    #[test]
    fn files_of_pairs_never_panic(bytes in any::<Vec<u8>>(), text in words()) {
        let _ = pairs("f", &bytes);
        let _ = pairs("f", text.as_bytes());
    }

    #[test]
    fn sizes_are_read_back(bytes in 0u64..1 << 50, unit in 0usize..4) {
        let (word, shift) = [("", 0), ("k", 10), ("MB", 20), ("GiB", 30)][unit];
        let count = bytes >> shift;
        prop_assert_eq!(size(&format!("{count}{word}")).ok(), Some(count << shift));
    }

    #[test]
    fn cpus_are_read_back(nano in 0u64..1 << 40) {
        let text = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
        prop_assert_eq!(cpus(&text).ok(), Some(nano));
    }

    #[test]
    fn mounts_are_read_back_through_quotes(name in "[a-z,\"= ]{1,12}") {
        let path = format!("/{name}");
        let quoted = format!("\"source={}\"", path.replace('"', "\"\""));
        let mount = MountRequest::from_mount(&format!("type=bind,{quoted},target=/x")).unwrap();
        match mount.source {
            MountSource::Bind { path: read, .. } => prop_assert_eq!(read, PathBuf::from(path)),
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
