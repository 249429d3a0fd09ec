//! `hull image tree`, `image diff`, `image mount`, `image unmount`.

use super::each;
use super::explain::escape;
use crate::Caller;
use crate::edge::{Done, Failure};
use crate::flags::{Mistake, Syntax, Typed, switch, value};
use crate::render::{List, Screen, line, put, row, short, size};
use engine::image::{Costs, Difference, FileDifference, LayerCost, ValueDifference};
use std::fmt::Write as _;

pub(super) const TREE: Syntax = Syntax {
    name: "image tree",
    rest: "[IMAGE…]",
    about: "Which images share which layers, what each costs alone and shared, and what nobody sees of it.",
    flags: &[
        value("format", "FORMAT", "json"),
        value("html", "FILE", "Write one page that draws it; - is standard output"),
    ],
    examples: &["hull image tree", "hull image tree --html images.html debian:bookworm app:1"],
    words: (0, usize::MAX),
    stops: false,
};

pub(super) fn tree(typed: &Typed, caller: &Caller) -> Done {
    let costs = caller.look()?.image_costs(&typed.words)?;
    match (typed.filled("html"), typed.filled("format")) {
        (Some("-"), _) => put(&page(&costs))?,
        (Some(path), _) => std::fs::write(path, page(&costs))
            .map_err(|error| Mistake::new(format!("write `{path}`: {error}")))?,
        (None, Some("json")) => {
            costs.iter().try_for_each(|cost| line(&serde_json::json!(cost).to_string()))?
        }
        (None, Some(other)) => {
            return Err(Mistake::new(format!("--format `{other}`: known is json")).of_flag().into());
        }
        (None, None) => draw(&costs)?,
    }
    Ok(0)
}

/// A layer with all that lies on it: images that end there, and further layers.
#[derive(Default)]
struct Node<'a> {
    layer: Option<&'a LayerCost>,
    images: Vec<&'a Costs>,
    above: Vec<Node<'a>>,
}

impl<'a> Node<'a> {
    fn of(costs: &'a [Costs]) -> Self {
        let mut root = Node::default();
        costs.iter().for_each(|image| root.add(image, &image.layers));
        root
    }

    fn add(&mut self, image: &'a Costs, layers: &'a [LayerCost]) {
        let Some((layer, rest)) = layers.split_first() else { return self.images.push(image) };
        let known = self.above.iter().position(|node| node.layer.is_some_and(|own| own.id == layer.id));
        let at = known.unwrap_or_else(|| {
            self.above.push(Node { layer: Some(layer), ..Node::default() });
            self.above.len() - 1
        });
        self.above[at].add(image, rest);
    }
}

fn draw(costs: &[Costs]) -> Result<(), Failure> {
    let screen = Screen::of_output();
    let mut text = String::new();
    branches(&Node::of(costs), "", screen, &mut text);
    let sum: u64 = layers_of(costs).iter().map(|layer| layer.size).sum();
    let apart: u64 = costs.iter().map(|image| image.size).sum();
    let wasted: u64 = costs.iter().map(|image| image.wasted).sum();
    let _ = writeln!(
        text,
        "{} on the disk; {} if nothing were shared; {} that nobody sees",
        size(sum),
        size(apart),
        size(wasted)
    );
    put(&text)
}

/// Each layer once.
fn layers_of(costs: &[Costs]) -> Vec<&LayerCost> {
    let mut layers: Vec<_> = costs.iter().flat_map(|image| &image.layers).collect();
    layers.sort_by(|a, b| a.id.cmp(&b.id));
    layers.dedup_by(|a, b| a.id == b.id);
    layers
}

fn branches(node: &Node<'_>, indent: &str, screen: Screen, text: &mut String) {
    let count = node.images.len() + node.above.len();
    for (at, image) in node.images.iter().enumerate() {
        let mark = if at + 1 == count { "└─ " } else { "├─ " };
        let _ = writeln!(text, "{indent}{mark}{}", image_line(image, screen));
    }
    for (at, above) in node.above.iter().enumerate() {
        let is_last = node.images.len() + at + 1 == count;
        let (mark, more) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let words =
            above.layer.map(|layer| layer_line(layer, 80_usize.saturating_sub(indent.chars().count() + 3)));
        let _ = writeln!(text, "{indent}{mark}{}", words.unwrap_or_default());
        branches(above, &format!("{indent}{more}"), screen, text);
    }
}

fn named(image: &Costs) -> String {
    if image.names.is_empty() { format!("<none> {}", short(&image.id)) } else { image.names.join(", ") }
}

fn image_line(image: &Costs, screen: Screen) -> String {
    let name = screen.paint("1", &named(image));
    let wasted = if image.wasted > 0 { format!(", {} unseen", size(image.wasted)) } else { String::new() };
    format!(
        "{name}  {} = {} alone + {} shared{wasted}",
        size(image.size),
        size(image.unique),
        size(image.shared)
    )
}

fn layer_line(layer: &LayerCost, room: usize) -> String {
    let shared = if layer.images > 1 { format!(" ×{}", layer.images) } else { String::new() };
    let wasted = if layer.wasted > 0 { format!(" ({} unseen)", size(layer.wasted)) } else { String::new() };
    let words =
        format!("{} {}{shared}{wasted}  {}", short(&layer.id), size(layer.size), layer.created_by.trim());
    super::image::cut(&words, room.max(20))
}

const STYLE: &str = ":root{color-scheme:light dark;--back:#fcfcfb;--text:#1d1f21;--soft:#5d6166;--line:#d9d8d3;--own:#2f6f9f;--shared:#8fb7d3;--bad:#b3261e}\
@media(prefers-color-scheme:dark){:root{--back:#16181a;--text:#e6e6e3;--soft:#a2a6aa;--line:#3a3d40;--own:#6fb3e0;--shared:#35566c;--bad:#ff8a80}}\
body{background:var(--back);color:var(--text);font:15px/1.5 system-ui,sans-serif;margin:0 auto;padding:24px;max-width:960px}\
h1{font-size:24px;margin:0}h2{font-size:16px;margin:28px 0 4px}p{color:var(--soft);margin:2px 0 8px}\
.bar{display:flex;height:28px;border:1px solid var(--line)}.bar i{display:block;min-width:2px;border-right:1px solid var(--back);background:var(--own)}\
.bar i.shared{background:var(--shared)}.bar i.unseen{background:var(--bad)}\
table{border-collapse:collapse;width:100%;font-size:13px}td{border-top:1px solid var(--line);padding:3px 10px 3px 0;vertical-align:top;overflow-wrap:anywhere}\
td:first-child{font-family:ui-monospace,monospace;white-space:nowrap}td.n{text-align:right;white-space:nowrap}";

/// One file, no script: for each image its layers as lengths, what others have lighter, what nobody sees red.
fn page(costs: &[Costs]) -> String {
    let sum: u64 = layers_of(costs).iter().map(|layer| layer.size).sum();
    let widest = costs.iter().map(|image| image.size).max().unwrap_or(1).max(1);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Images</title>\n<style>{STYLE}</style>\n<h1>Images</h1>\n<p>{} on the disk, {} images. Dark: an image's alone; light: shared; red: overwritten or deleted by a later layer.</p>\n",
        size(sum),
        costs.len()
    );
    for image in costs {
        let _ = writeln!(
            page,
            "<section><h2>{}</h2>\n<p>{} = {} alone + {} shared; {} that nobody sees</p>",
            escape(&named(image)),
            size(image.size),
            size(image.unique),
            size(image.shared),
            size(image.wasted)
        );
        let share = |bytes: u64| bytes as f64 * 100.0 / widest as f64;
        page.push_str("<div class=\"bar\">");
        for layer in &image.layers {
            let class = if layer.images > 1 { " class=\"shared\"" } else { "" };
            let title = escape(&format!("{} {}", short(&layer.id), layer.created_by));
            let _ = write!(
                page,
                "<i{class} style=\"width:{:.2}%\" title=\"{title}\"></i>",
                share(layer.size - layer.wasted.min(layer.size))
            );
            if layer.wasted > 0 {
                let _ = write!(
                    page,
                    "<i class=\"unseen\" style=\"width:{:.2}%\" title=\"{title}\"></i>",
                    share(layer.wasted)
                );
            }
        }
        page.push_str("</div>\n<table>\n");
        for layer in &image.layers {
            let _ = writeln!(
                page,
                "<tr><td>{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td>{}",
                short(&layer.id),
                size(layer.size),
                if layer.images > 1 { format!("×{}", layer.images) } else { String::new() },
                if layer.wasted > 0 { format!("{} unseen", size(layer.wasted)) } else { String::new() },
                escape(&layer.created_by)
            );
        }
        page.push_str("</table></section>\n");
    }
    page + "</html>\n"
}

pub(super) const DIFF: Syntax = Syntax {
    name: "image diff",
    rest: "IMAGE IMAGE",
    about: "Where the second image differs from the first: files, configuration, packages.",
    flags: &[
        switch("files", "Only files"),
        switch("config", "Only the configuration"),
        switch("packages", "Only packages (dpkg, apk, rpm)"),
        value("format", "FORMAT", "json"),
    ],
    examples: &["hull image diff --packages app:1 app:2"],
    words: (2, 2),
    stops: false,
};

pub(super) fn diff(typed: &Typed, caller: &Caller) -> Done {
    let difference = caller.look()?.image_diff(&typed.words[0], &typed.words[1])?;
    difference.notes.iter().for_each(|note| crate::edge::warn(note));
    match typed.filled("format") {
        Some("json") => line(&serde_json::json!(difference).to_string())?,
        Some(other) => {
            return Err(Mistake::new(format!("--format `{other}`: known is json")).of_flag().into());
        }
        None => tell(typed, &difference)?,
    }
    Ok(0)
}

fn tell(typed: &Typed, difference: &Difference) -> Result<(), Failure> {
    let parts = ["files", "config", "packages"];
    let all = !parts.iter().any(|part| typed.is_on(part));
    let heads = |part: &str| all || typed.is_on(part);
    let title = |title: &str, count: usize| if all { line(&format!("{title} ({count})")) } else { Ok(()) };
    let indent = if all { "  " } else { "" };
    if heads("files") {
        title("Files", difference.files.len())?;
        difference.files.iter().try_for_each(|file| line(&format!("{indent}{}", file_line(file))))?;
    }
    if heads("config") {
        title("Configuration", difference.config.len())?;
        difference.config.iter().try_for_each(|value| line(&format!("{indent}{}", value_line(value))))?;
    }
    if heads("packages") {
        title("Packages", difference.packages.len())?;
        difference.packages.iter().try_for_each(|value| line(&format!("{indent}{}", value_line(value))))?;
    }
    Ok(())
}

fn file_line(file: &FileDifference) -> String {
    let mark = match file.kind {
        "added" => 'A',
        "removed" => 'D',
        _ => 'C',
    };
    let path: String = file.path.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if file.what.is_empty() {
        format!("{mark} {path}")
    } else {
        format!("{mark} {path}  ({})", file.what.join(", "))
    }
}

fn value_line(value: &ValueDifference) -> String {
    let shown = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    let name = shown(&value.name);
    match (&value.from, &value.to) {
        (None, Some(to)) => format!("+ {name} {}", shown(to)),
        (Some(from), None) => format!("- {name} {}", shown(from)),
        (from, to) => {
            let text = |text: &Option<String>| shown(text.as_deref().unwrap_or_default());
            format!("~ {name} {} → {}", text(from), text(to))
        }
    }
}

pub(super) const MOUNT: Syntax = Syntax {
    name: "image mount",
    rest: "[IMAGE…]",
    about: "Mount images read-only on this host, to be looked at, and tell where; without an image, those that are mounted.",
    flags: &[
        switch("all", "All images").or('a'),
        value("format", "FORMAT", "json, a Go template, or 'table TEMPLATE'"),
    ],
    examples: &["ls $(hull image mount debian:bookworm)"],
    words: (0, usize::MAX),
    stops: false,
};

pub(super) fn mount(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.look()?;
    let all = || -> Result<Vec<String>, Failure> {
        Ok(engine.images(&[])?.iter().map(|row| row.image.id().to_string()).collect())
    };
    let words = if typed.is_on("all") { all()? } else { typed.words.clone() };
    if !words.is_empty() {
        return each(&words, |word| line(&engine.mount_image(word)?.display().to_string()));
    }
    let rows = engine.mounted_images()?.into_iter().map(|mounted| {
        row([
            ("ID", short(mounted.id.as_str()).into()),
            ("Repositories", mounted.names.join(", ").into()),
            ("Mountpoint", mounted.path.display().to_string().into()),
        ])
    });
    let columns = [("IMAGE ID", "ID"), ("REPOSITORIES", "Repositories"), ("MOUNTPOINT", "Mountpoint")];
    List { columns: &columns, rows: rows.collect() }.show_whole(typed.last("format"), true)?;
    Ok(0)
}

pub(super) const UNMOUNT: Syntax = Syntax {
    name: "image unmount",
    rest: "IMAGE [IMAGE…]",
    about: "End the mounts of images.",
    flags: &[switch("all", "All that are mounted").or('a')],
    examples: &["hull image unmount -a"],
    words: (0, usize::MAX),
    stops: false,
};

pub(super) fn unmount(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.look()?;
    let words = match typed.is_on("all") {
        true => engine.mounted_images()?.iter().map(|mounted| mounted.id.to_string()).collect(),
        false => typed.words.clone(),
    };
    if words.is_empty() && !typed.is_on("all") {
        return Err(Mistake::new("an image is missing, or --all").into());
    }
    each(&words, |word| line(engine.unmount_image(word)?.hex()))
}
