//! What the store costs one short-lived container, step by step: `cycle DIR [COUNT] [OTHERS]`.
//! `work/work/incompat/volatile/dirty` is made as the kernel makes it for a volatile overlay, outside the
//! measured steps.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring program")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use store::*;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let root = std::path::PathBuf::from(args.get(1).expect("cycle DIR [COUNT] [OTHERS]"));
    let number = |index: usize, default| args.get(index).map_or(default, |text| text.parse().unwrap());
    let (count, others) = (number(2, 500), number(3, 0));
    prepare(&root, others);
    let mut steps = BTreeMap::<&str, Vec<Duration>>::new();
    for _ in 0..count {
        cycle(&root, &mut steps);
    }
    for (step, mut times) in steps {
        times.sort();
        let at = |part: usize| times[(times.len() - 1) * part / 100].as_micros();
        println!("{step:<12} median {:>5} µs   p90 {:>5} µs   min {:>5} µs", at(50), at(90), at(0));
    }
}

fn prepare(root: &std::path::Path, others: usize) {
    let store = Store::open(root, &root.join("run")).unwrap();
    let shared = store.share().unwrap();
    for number in 0..others {
        store.create(&shared, new(format!("other{number}"))).unwrap();
    }
}

fn cycle(root: &std::path::Path, steps: &mut BTreeMap<&str, Vec<Duration>>) {
    let start = Instant::now();
    let mut last = start;
    let mut lap = |steps: &mut BTreeMap<&str, Vec<Duration>>, name| {
        steps.entry(name).or_default().push(last.elapsed());
        last = Instant::now();
    };
    let store = Store::open(root, &root.join("run")).unwrap();
    let shared = store.share().unwrap();
    lap(steps, "1 open");
    let held = store.create(&shared, new("cycle".into())).unwrap();
    drop(shared);
    lap(steps, "2 create");
    let slot = store.claim(running(held.record.id), &[]).unwrap();
    lap(steps, "3 claim");
    let used = Instant::now();
    let dirty = root.join(held.path()).join("work/work/incompat/volatile");
    std::fs::create_dir_all(&dirty).unwrap();
    std::fs::write(dirty.join("dirty"), "").unwrap();
    let used = used.elapsed();
    lap(steps, "- overlay");
    store.remove(held).unwrap();
    lap(steps, "4 remove");
    slot.release().unwrap();
    lap(steps, "5 release");
    steps.entry("= total").or_default().push(start.elapsed() - used);
}

fn new(name: String) -> NewContainer {
    let record = Record {
        id: ContainerId::random().unwrap(),
        name: name.parse().unwrap(),
        image: oci::ImageId::from_sha256([1; 32]),
        image_name: "bb".into(),
        layers: vec![oci::DiffId::from_sha256([2; 32]); 5],
        blocks: Vec::new(),
        created: jiff::Timestamp::now(),
        boot: String::new(),
        command: vec!["true".into()],
        labels: BTreeMap::new(),
        remove: true,
        spec: Some(serde_json::value::to_raw_value(&"x".repeat(8000)).unwrap()),
        details: None,
        request: None,
        config: None,
    };
    let etc = EtcFiles {
        hostname: b"h\n".into(),
        hosts: b"127.0.0.1 localhost\n".into(),
        resolv_conf: vec![b'x'; 80],
    };
    NewContainer { record, any_name: false, etc }
}

fn running(container: ContainerId) -> Running {
    let started = jiff::Timestamp::now();
    Running {
        container,
        monitor: 1,
        pid: None,
        started,
        boot: String::new(),
        cgroup: None,
        more: Vec::new(),
        details: None,
    }
}
