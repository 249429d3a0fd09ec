use crate::hull::{Limits, Writer};
use crate::segment::{START, name};
use crate::segments::{Segments, directory, numbers};
use crate::{Choice, Config, DIR, Entry, Log, Lost, Stream, Subject, pack};
use proptest::prelude::*;
use rustix::fd::AsFd;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A container's directory, gone with this.
struct Place(PathBuf, File);

impl Place {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("hull-logs-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        let dir = File::open(&path).unwrap();
        Self(path, dir)
    }

    fn writer(&self, size: u64, files: usize) -> Writer {
        Writer::open(self.1.as_fd(), Limits { size, files, packs: false }).unwrap()
    }

    fn reader(&self) -> Segments {
        Segments::open(&self.1).unwrap().unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(DIR).join(name)
    }

    fn pack_all(&self) {
        let dir = directory(&self.1).unwrap().unwrap();
        let all = numbers(&dir).unwrap();
        all[..all.len() - 1].iter().for_each(|number| pack::pack(dir.as_fd(), *number).unwrap());
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join(DIR)).unwrap().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn all(reader: &mut Segments) -> Vec<Entry> {
    let (mut entry, mut all) = (Entry::default(), Vec::new());
    while reader.next(&mut entry).unwrap() {
        all.push(entry.clone());
    }
    all
}

fn text(reader: &mut Segments) -> Vec<u8> {
    all(reader).into_iter().flat_map(|entry| entry.text).collect()
}

/// Lines of differing length, numbered.
fn lines(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|number| format!("{number} {}\n", "x".repeat(number * 7 % 90))).collect()
}

#[test]
fn bytes_come_back_as_they_were_written() {
    let place = Place::new();
    assert!(Segments::open(&place.1).unwrap().is_none(), "nothing is made before there is something");
    let mut writer = place.writer(10_000_000, 2);
    let long = vec![b'x'; 3_000_000];
    let parts: [&[u8]; 6] = [b"one\ntwo", b" more\n\n", &long, b"\n\xff\0 \r\n", b"", b"no end"];
    parts.iter().for_each(|part| writer.write(Stream::Output, part).unwrap());
    let mut reader = place.reader();
    assert!(text(&mut reader) == parts.concat());
    writer.write(Stream::Error, b", then one\n").unwrap();
    let more = all(&mut reader);
    assert_eq!(
        (more.len(), more[0].stream, more[0].text.as_slice()),
        (1, Stream::Error, &b", then one\n"[..])
    );
}

#[test]
fn a_writer_that_was_killed_at_any_byte_is_followed_by_one_that_goes_on() {
    let place = Place::new();
    let mut writer = place.writer(10_000_000, 2);
    lines(0, 5).iter().for_each(|line| writer.write(Stream::Output, line.as_bytes()).unwrap());
    drop(writer);
    let (file, whole) = (place.file("00000001"), lines(0, 5));
    let bytes = std::fs::read(&file).unwrap();
    let ends: Vec<_> = (0..=5)
        .map(|count| START as usize + whole[..count].iter().map(|line| line.len() + 32).sum::<usize>())
        .collect();
    for cut in 0..bytes.len() {
        std::fs::write(&file, &bytes[..cut]).unwrap();
        let mut reader = place.reader();
        let kept = ends.iter().rposition(|end| *end <= cut).unwrap_or(0);
        assert_eq!(text(&mut reader), whole[..kept].concat().into_bytes(), "cut at {cut}");
        place.writer(10_000_000, 2).write(Stream::Output, b"next\n").unwrap();
        assert_eq!(text(&mut reader), b"next\n", "cut at {cut}, for one who follows");
        assert_eq!(text(&mut place.reader()), [whole[..kept].concat().as_bytes(), b"next\n"].concat());
        for name in place.files().iter().skip(1) {
            std::fs::remove_file(place.file(name)).unwrap();
        }
    }
}

#[test]
fn what_is_damaged_is_passed_over_and_what_follows_is_found() {
    let place = Place::new();
    let mut writer = place.writer(10_000_000, 2);
    lines(0, 9).iter().for_each(|line| writer.write(Stream::Output, line.as_bytes()).unwrap());
    let file = place.file("00000001");
    let bytes = std::fs::read(&file).unwrap();
    for at in START as usize..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        std::fs::write(&file, &damaged).unwrap();
        let mut shown = all(&mut place.reader());
        assert_eq!(shown.len(), 8, "damaged at {at}");
        let mut reader = place.reader();
        reader.tail(3).unwrap();
        let last: Vec<_> = all(&mut reader);
        assert_eq!(last, shown.split_off(5), "damaged at {at}");
    }
}

#[test]
fn what_a_container_writes_is_no_record_even_behind_what_is_damaged() {
    let (place, other) = (Place::new(), Place::new());
    other.writer(1_000_000, 2).write(Stream::Output, b"forged\n").unwrap();
    let forged = std::fs::read(other.file("00000001")).unwrap()[START as usize..].to_vec();
    let mut writer = place.writer(10_000_000, 2);
    writer.write(Stream::Output, &forged.repeat(3)).unwrap();
    writer.write(Stream::Output, b"true\n").unwrap();
    let file = place.file("00000001");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[START as usize + 9] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(text(&mut place.reader()), b"true\n");
}

#[test]
fn segments_are_capped_and_packed_and_read_as_one() {
    let place = Place::new();
    let mut writer = place.writer(20_000, 4);
    let lines = lines(0, 2000);
    lines.iter().for_each(|line| writer.write(Stream::Output, line.as_bytes()).unwrap());
    assert_eq!(place.files().len(), 4);
    assert!(place.files().iter().all(|name| std::fs::metadata(place.file(name)).unwrap().len() <= 20_000));
    let shown = text(&mut place.reader());
    assert!(
        lines.concat().into_bytes().ends_with(&shown) && shown.len() > 30_000,
        "the last of it, whole lines"
    );
    place.pack_all();
    assert!(place.files()[..3].iter().all(|name| name.ends_with(".zst")), "{:?}", place.files());
    assert!(text(&mut place.reader()) == shown, "packed or not");
    writer.write(Stream::Output, b"more\n").unwrap();
    drop(writer);
    place.writer(20_000, 4).write(Stream::Output, b"and more\n").unwrap();
    assert!(text(&mut place.reader()) == [&shown[..], b"more\nand more\n"].concat());
}

#[test]
fn one_who_follows_sees_all_segments_while_they_are_made_and_packed() {
    let place = Place::new();
    let mut writer = place.writer(5_000, 1000);
    writer.write(Stream::Output, b"first\n").unwrap();
    let mut reader = place.reader();
    let mut shown = text(&mut reader);
    let lines = lines(0, 1000);
    for (number, line) in lines.iter().enumerate() {
        writer.write(Stream::Output, line.as_bytes()).unwrap();
        if number % 7 == 0 {
            shown.extend(text(&mut reader));
        }
        if number % 100 == 50 {
            place.pack_all();
        }
    }
    shown.extend(text(&mut reader));
    assert!(shown == [b"first\n".to_vec(), lines.concat().into_bytes()].concat());
}

#[test]
fn a_time_is_found_in_segments_packed_or_not() {
    let place = Place::new();
    let mut writer = place.writer(600_000, 100);
    let line = format!("{}\n", "y".repeat(999));
    (0..3000).for_each(|_| writer.write(Stream::Output, line.as_bytes()).unwrap());
    for packed in [false, true] {
        if packed {
            place.pack_all();
        }
        let times: Vec<_> = all(&mut place.reader()).iter().map(|entry| entry.time).collect();
        assert!(times.is_sorted() && times.len() == 3000);
        for at in [0, 1, 600, 1500, 2222, 2999] {
            let mut reader = place.reader();
            reader.since(times[at]).unwrap();
            let first = times.iter().position(|time| *time >= times[at]).unwrap();
            assert_eq!(all(&mut reader).len(), 3000 - first, "{at}, packed: {packed}");
        }
        let mut reader = place.reader();
        reader.since("2200-01-01T00:00:00Z".parse().unwrap()).unwrap();
        assert!(all(&mut reader).is_empty());
    }
}

#[test]
fn times_do_not_go_back_when_the_clock_does() {
    let place = Place::new();
    let mut writer = place.writer(10_000_000, 2);
    writer.write(Stream::Output, b"now\n").unwrap();
    drop(writer);
    // As if it had been written by a clock that was an hour ahead.
    let file = place.file("00000001");
    let bytes = std::fs::read(&file).unwrap();
    let ahead = crate::nanoseconds(jiff::Timestamp::now()) + 3_600_000_000_000;
    let key = u64::from_le_bytes(bytes[16..24].try_into().unwrap());
    let (head, tail) = crate::record::frame(key, ahead, Stream::Output, b"ahead\n");
    std::fs::write(&file, [&bytes[..], &head, b"ahead\n", &tail].concat()).unwrap();
    place.writer(10_000_000, 2).write(Stream::Output, b"then\n").unwrap();
    let shown = all(&mut place.reader());
    assert!(shown.is_sorted_by_key(|entry| entry.time), "{shown:?}");
    let mut reader = place.reader();
    reader.since(shown[1].time).unwrap();
    assert_eq!(text(&mut reader), b"ahead\nthen\n");
}

#[test]
fn a_file_that_was_never_whole_does_not_stop_a_writer() {
    let place = Place::new();
    let mut writer = place.writer(1_000, 5);
    (0..40).for_each(|_| writer.write(Stream::Output, &[b'z'; 99]).unwrap());
    drop(writer);
    std::fs::write(place.file("00000099"), "").unwrap();
    place.writer(1_000, 5).write(Stream::Output, b"last\n").unwrap();
    assert!(text(&mut place.reader()).ends_with(b"last\n"));
    assert!(place.files().contains(&name(100, false)));
}

#[test]
fn json_rows_are_dockers_and_read_back_over_files() {
    let place = Place::new();
    let options = [("max-size", "2000"), ("max-file", "3"), ("labels", "app"), ("tag", "{{.Name}}")];
    let choice = Choice::new("json-file", options.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let config = Config::new(&choice).unwrap();
    let subject = Subject {
        id: "0123456789abcdef".into(),
        name: "n".into(),
        labels: [("app".to_owned(), "<web>".to_owned())].into(),
        ..Subject::default()
    };
    let mut log = Log::open(place.1.as_fd(), &config, &subject).unwrap();
    log.write(Stream::Output, b"a \"b\"\t<&>\nno").unwrap();
    log.write(Stream::Error, b"\xff\x01\n").unwrap();
    log.write(Stream::Output, b" end").unwrap();
    assert_eq!(log.finish(), Lost::default());
    let rows = std::fs::read_to_string(place.file("0123456789abcdef-json.log")).unwrap();
    let rows: Vec<_> = rows.lines().map(|row| row.split(",\"time\":").next().unwrap()).collect();
    let attrs = r#""attrs":{"app":"\u003cweb\u003e","tag":"n"}"#;
    assert_eq!(rows[0], format!(r#"{{"log":"a \"b\"\t\u003c\u0026\u003e\n","stream":"stdout",{attrs}"#));
    assert_eq!(rows[1], format!(r#"{{"log":"�\u0001\n","stream":"stderr",{attrs}"#));
    assert_eq!(rows[2], format!(r#"{{"log":"no end","stream":"stdout",{attrs}"#));
    let open = || crate::Reader::open(&place.1, &config, &subject.id).unwrap();
    let (mut reader, mut entry, mut shown) = (open(), Entry::default(), Vec::new());
    for line in lines(0, 100) {
        log.write(Stream::Output, line.as_bytes()).unwrap();
        while reader.next(&mut entry).unwrap() {
            shown.push(entry.clone());
        }
    }
    assert_eq!(shown.len(), 103, "over all rotations");
    assert_eq!(place.files().len(), 3);
    for count in [0, 1, 5, 20] {
        let mut reader = open();
        reader.tail(count).unwrap();
        let mut last = Vec::new();
        while reader.next(&mut entry).unwrap() {
            last.push(entry.clone());
        }
        assert_eq!(last, shown[103 - count as usize..], "{count}");
    }
    drop(log);
    let base = File::options().append(true).open(place.file("0123456789abcdef-json.log")).unwrap();
    std::io::Write::write_all(&mut &base, &[&[b' '; 2500][..], b"\n"].concat()).unwrap();
    let mut log = Log::open(place.1.as_fd(), &config, &subject).unwrap();
    log.write(Stream::Output, b"after one that was full\n").unwrap();
    while reader.next(&mut entry).unwrap() {
        shown.push(entry.clone());
    }
    assert_eq!(shown.len(), 104);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_last_lines_are_those_that_tail_shows(
        lines in prop::collection::vec("[a-z ]{0,4000}", 0..12),
        count in 0u64..14,
        step in 500usize..9000,
        size in 3000u64..30_000,
        ended: bool,
        packed: bool,
    ) {
        let place = Place::new();
        let mut text = lines.join("\n");
        if ended && !text.is_empty() { text.push('\n'); }
        let mut writer = place.writer(size, 1000);
        text.as_bytes().chunks(step).for_each(|part| writer.write(Stream::Output, part).unwrap());
        if text.is_empty() { return Ok(()); }
        if packed { place.pack_all(); }
        let mut reader = place.reader();
        reader.tail(count).unwrap();
        let pieces: Vec<_> = text.split_inclusive('\n').collect();
        let expected = pieces[pieces.len().saturating_sub(count as usize)..].concat();
        prop_assert_eq!(String::from_utf8(self::text(&mut reader)).unwrap(), expected);
        writer.write(Stream::Output, b"more").unwrap();
        prop_assert_eq!(self::text(&mut reader), b"more");
    }

    #[test]
    fn lines_of_two_streams_in_each_others_way_are_told_apart(
        parts in prop::collection::vec((any::<bool>(), "[a-c\n]{1,5}"), 1..30),
        count in 0usize..12,
    ) {
        let place = Place::new();
        let mut writer = place.writer(300, 1000);
        let stream = |is_error: bool| if is_error { Stream::Error } else { Stream::Output };
        parts.iter().for_each(|(error, part)| writer.write(stream(*error), part.as_bytes()).unwrap());
        // Each byte with the number of its line, lines being numbered by their ends.
        let bytes: Vec<_> = parts.iter().flat_map(|(error, part)| part.bytes().map(|byte| (*error, byte))).collect();
        let mut ends: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at].1 == b'\n').collect();
        for error in [false, true] {
            let last = bytes.iter().rposition(|(of, _)| *of == error);
            ends.extend(last.filter(|at| bytes[*at].1 != b'\n'));
        }
        ends.sort_unstable();
        let shown = &ends[ends.len().saturating_sub(count)..];
        let end_of = |at: usize| (at..bytes.len()).find(|end| bytes[*end].0 == bytes[at].0 && ends.contains(end));
        let expected: Vec<_> =
            (0..bytes.len()).filter(|at| shown.contains(&end_of(*at).unwrap())).map(|at| bytes[at]).collect();
        let mut reader = place.reader();
        reader.tail(count as u64).unwrap();
        let got: Vec<_> = all(&mut reader)
            .into_iter()
            .flat_map(|entry| entry.text.into_iter().map(move |byte| (entry.stream == Stream::Error, byte)))
            .collect();
        prop_assert_eq!(got, expected);
    }
}
