//! All output: tables, templates, and numbers in docker's words.

use crate::edge::Failure;
use crate::fit;
use crate::flags::Mistake;
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::Write;
use template::{Template, table::table};

/// A list to be shown: for each row its fields by docker's names; the columns are those of the default table.
pub(crate) struct List<'a> {
    /// (heading, field)
    pub(crate) columns: &'a [(&'a str, &'a str)],
    pub(crate) rows: Vec<Map<String, Value>>,
}

/// docker's headings of fields that no default table has.
const HEADINGS: [(&str, &str); 10] = [
    ("CREATED AT", "CreatedAt"),
    ("HEALTH STATUS", "HealthStatus"),
    ("LABELS", "Labels"),
    ("LOCAL VOLUMES", "LocalVolumes"),
    ("MOUNTS", "Mounts"),
    ("NETWORKS", "Networks"),
    ("PLATFORM", "Platform"),
    ("SIZE", "Size"),
    ("STATE", "State"),
    ("DIGEST", "Digest"),
];

/// docker's columns are so wide at least.
const LEAST: usize = 10;

/// Fields of a row, sorted: docker's rows are Go's maps, whose JSON is.
pub(crate) fn row<const N: usize>(mut fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.sort_by_key(|(name, _)| *name);
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl List<'_> {
    /// Shows it as `--format` says: nothing or `table` for the table, `json`, `table TEMPLATE` or a template.
    pub(crate) fn show(&self, format: Option<&str>) -> Result<(), Failure> {
        self.show_whole(format, false)
    }

    /// The same as text, as scripts read it.
    pub(crate) fn shown(&self, format: Option<&str>) -> Result<String, Failure> {
        match format.unwrap_or_default() {
            "" | "table" => Ok(table(&self.cells(), LEAST)),
            "json" => Ok(self.values().map(|row| format!("{row}\n")).collect()),
            text => match text.strip_prefix("table ") {
                Some(template) => self.templated_table(template),
                None => self.templated(text),
            },
        }
    }

    fn values(&self) -> impl Iterator<Item = Value> {
        self.rows.iter().cloned().map(Value::Object)
    }

    /// On a terminal the table of everything fits, unless it is wanted `whole`.
    pub(crate) fn show_whole(&self, format: Option<&str>, whole: bool) -> Result<(), Failure> {
        let screen = Screen::of_output();
        match format.unwrap_or_default() {
            "" | "table" if screen.columns.is_some() => put(&fit::table(&self.cells(), screen, whole)),
            _ => put(&self.shown(format)?),
        }
    }

    fn cells(&self) -> Vec<Vec<String>> {
        let heading = self.columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
        let row =
            |row: &Map<String, Value>| self.columns.iter().map(|(_, field)| text(row.get(*field))).collect();
        std::iter::once(heading).chain(self.rows.iter().map(row)).collect()
    }

    fn templated(&self, text: &str) -> Result<String, Failure> {
        let template = parse(&escapes(text))?;
        self.values().map(|row| Ok(render(&template, &row)? + "\n")).collect()
    }

    /// The heading is the template over the names of the fields.
    fn templated_table(&self, text: &str) -> Result<String, Failure> {
        let template = parse(&escapes(text))?;
        let mut headings = self.headings();
        if let Some(named) = labels_of(text) {
            headings["Labels"] = named.into();
        }
        let rows = std::iter::once(headings).chain(self.values());
        let cells = rows.map(|row| Ok(render(&template, &row)?.split('\t').map(str::to_owned).collect()));
        Ok(table(&cells.collect::<Result<Vec<_>, Failure>>()?, LEAST))
    }

    /// For each field what stands above it: a column's heading, or its own name. Without a row the fields are those
    /// that have a heading.
    fn headings(&self) -> Value {
        let headings = || self.columns.iter().chain(&HEADINGS);
        let fields: Vec<_> = match self.rows.first() {
            Some(row) => row.keys().map(String::as_str).collect(),
            None => headings().map(|(_, field)| *field).collect(),
        };
        let heading = |field: &str| {
            let column = headings().find(|(_, name)| *name == field);
            column.map_or_else(|| field.to_uppercase(), |(heading, _)| (*heading).to_owned())
        };
        fields.into_iter().map(|field| (field.to_owned(), Value::from(heading(field)))).collect()
    }
}

/// Above `.Label "a.b-c"` stands `b c`: the labels a template names, each with its heading for a value.
fn labels_of(template: &str) -> Option<String> {
    let keys = template.split(".Label \"").skip(1).filter_map(|rest| rest.split('"').next());
    let heading = |key: &str| key.rsplit('.').next().unwrap_or(key).replace(['-', '_'], " ");
    let named: Vec<_> = keys.map(|key| format!("{key}={}", heading(key))).collect();
    (!named.is_empty()).then(|| named.join(","))
}

/// docker takes `\t` and `\n` of a shell's single quotes in every format.
fn escapes(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

/// A template, in Go's words if it is none.
pub(crate) fn parse(text: &str) -> Result<Template, Failure> {
    Template::parse(text).map_err(|error| Mistake::new(format!("template parsing error: {error}")).into())
}

/// Renders; a field that is not there is an error, as docker has it.
pub(crate) fn render(template: &Template, value: &Value) -> Result<String, Failure> {
    template.render_strict(value).map_err(|error| Mistake::new(error.to_string()).into())
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// What standard output is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Screen {
    /// Columns of the terminal; none where it is none.
    pub(crate) columns: Option<usize>,
    /// Are there colours?
    pub(crate) colored: bool,
}

impl Screen {
    /// Asks. `NO_COLOR`, see no-color.org.
    pub(crate) fn of_output() -> Self {
        let output = rustix::stdio::stdout();
        if !rustix::termios::isatty(output) {
            return Self::default();
        }
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let size = rustix::termios::tcgetwinsize(output).map_or(0, |size| size.ws_col);
        let is_dumb = set("TERM").is_some_and(|term| term == "dumb");
        let columns = if size == 0 { 80 } else { usize::from(size) };
        Self { columns: Some(columns), colored: set("NO_COLOR").is_none() && !is_dumb }
    }

    /// A text in a colour, by its number in ECMA-48's SGR.
    pub(crate) fn paint(self, color: &str, text: &str) -> String {
        match self.colored && color != "0" {
            true => format!("\u{1b}[{color}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}

/// One line on standard output.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    put(&format!("{text}\n"))
}

/// On standard output. std's own writer takes a descriptor that is not open for writing for one that wrote.
pub(crate) fn put(text: &str) -> Result<(), Failure> {
    Ok(File::from(rustix::stdio::stdout().try_clone_to_owned()?).write_all(text.as_bytes())?)
}

/// Bytes as docker writes them: powers of 1000, four digits, no space.
pub(crate) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    // Go's %.4g, or of images %.3g: the latter everywhere here.
    let digits = if value >= 100.0 || unit == 0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    let number = format!("{value:.digits$}");
    let number =
        if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
    format!("{number}{}", UNITS[unit])
}

/// Bytes as docker writes those of memory: powers of 1024, four digits (Go's %.4g), no space.
pub(crate) fn binary_size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = match value {
        1000.0.. => 0,
        100.0.. => 1,
        10.0.. => 2,
        _ => 3,
    };
    let number = format!("{value:.digits$}");
    let number =
        if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
    format!("{number}{}", UNITS[unit])
}

/// How long ago, as docker words it.
pub(crate) fn ago(time: Timestamp) -> String {
    format!("{} ago", duration(Timestamp::now().as_second() - time.as_second()))
}

/// A moment as docker's lists write it: Go's words for a time.
pub(crate) fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string()
}

/// Seconds in words, by docker's `units.HumanDuration`.
pub(crate) fn duration(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match seconds {
        ..1 => "Less than a second".into(),
        1 => "1 second".into(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".into(),
        120..3600 => format!("{minutes} minutes"),
        _ if hours < 2 => "About an hour".into(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

/// An id as tables show it.
pub(crate) fn short(id: &str) -> &str {
    let hex = id.split_once(':').map_or(id, |(_, hex)| hex);
    hex.get(..12).unwrap_or(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(format: &str) -> String {
        let one = |name: &str, id: &str| row([("Names", name.into()), ("ID", id.into())]);
        let rows = vec![one("a", "0123456789ab"), one("långt", "1")];
        List { columns: &[("CONTAINER ID", "ID"), ("NAMES", "Names")], rows }.shown(Some(format)).unwrap()
    }

    #[test]
    fn tables_are_as_wide_as_their_cells() {
        assert_eq!(shown("table"), "CONTAINER ID   NAMES\n0123456789ab   a\n1              långt\n");
        assert_eq!(
            shown(r"table {{.Names}}\t{{.ID}}"),
            "NAMES     CONTAINER ID\na         0123456789ab\nlångt     1\n"
        );
    }

    #[test]
    fn formats_are_dockers() {
        assert_eq!(shown("{{.ID}}: {{.Names}}"), "0123456789ab: a\n1: långt\n");
        assert_eq!(shown(r"{{.ID}}\t{{.Names}}"), "0123456789ab\ta\n1\tlångt\n");
        assert_eq!(shown("json").lines().next(), Some(r#"{"ID":"0123456789ab","Names":"a"}"#));
        let none = List { columns: &[("ID", "ID")], rows: Vec::new() };
        assert_eq!(none.shown(None).unwrap(), "ID\n");
        assert!(none.shown(Some("{{.ID")).is_err());
    }

    #[test]
    fn a_label_stands_below_the_end_of_its_name() {
        let text = "{{.ID}}\\t{{.Label \"com.x.tier-name\"}}";
        assert_eq!(labels_of(text).as_deref(), Some("com.x.tier-name=tier name"));
        assert_eq!(labels_of("{{.Labels}}"), None);
    }

    #[test]
    fn moments_are_gos() {
        let time: Timestamp = "2024-01-02T03:04:05.9Z".parse().unwrap();
        assert_eq!(moment(time), "2024-01-02 03:04:05 +0000 UTC");
    }

    #[test]
    fn sizes_are_dockers() {
        let shown = [0, 999, 1_000, 1_230_000, 116_400_000, 27_000_000_000].map(size);
        assert_eq!(shown, ["0B", "999B", "1kB", "1.23MB", "116MB", "27GB"]);
    }

    #[test]
    fn sizes_of_memory_are_dockers() {
        let shown = [0, 1023, 544_768, 67_108_864, 25_276_000_000, 712_704].map(binary_size);
        assert_eq!(shown, ["0B", "1023B", "532KiB", "64MiB", "23.54GiB", "696KiB"]);
    }

    #[test]
    fn times_are_dockers() {
        let shown = [0, 1, 59, 60, 119, 120, 3599, 3600, 7200, 172_800, 1_300_000, 63_072_000].map(duration);
        assert_eq!(
            shown,
            [
                "Less than a second",
                "1 second",
                "59 seconds",
                "About a minute",
                "About a minute",
                "2 minutes",
                "59 minutes",
                "About an hour",
                "2 hours",
                "2 days",
                "2 weeks",
                "2 years",
            ]
        );
    }
}
