//! The page for a browser: one file, no script, nothing from elsewhere, light or dark as the reader has it.

use super::drawing;
use crate::sheet::{Mark, Row, Section};
use engine::explain::Explanation;
use std::fmt::Write;

const STYLE: &str = "\
:root{color-scheme:light dark;--back:#fcfcfb;--text:#1d1f21;--soft:#5d6166;--line:#d9d8d3;--panel:#f3f2ee;\
--good:#1a7f45;--warn:#96650a;--bad:#b3261e;--goodback:#e3f3e8;--warnback:#fbf0d9;--badback:#fbe3e0}\
@media(prefers-color-scheme:dark){:root{--back:#16181a;--text:#e6e6e3;--soft:#a2a6aa;--line:#3a3d40;--panel:#1f2225;\
--good:#6fcf8f;--warn:#e0b050;--bad:#ff8a80;--goodback:#16301f;--warnback:#352a12;--badback:#3b1c1a}}\
body{background:var(--back);color:var(--text);font:15px/1.5 system-ui,sans-serif;margin:0 auto;padding:24px;max-width:880px}\
h1{font-size:24px;margin:0 0 16px}h2{font-size:17px;margin:32px 0 0}p{color:var(--soft);margin:2px 0 8px}\
table{border-collapse:collapse;width:100%}td{border-top:1px solid var(--line);padding:5px 12px 5px 0;vertical-align:top;overflow-wrap:anywhere}\
td:first-child{white-space:nowrap;font-family:ui-monospace,monospace;font-size:13px;width:1%}small{color:var(--soft);display:block}\
.good td:first-child{color:var(--good)}.warn td:first-child{color:var(--warn)}.bad td:first-child{color:var(--bad);font-weight:600}\
svg{width:100%;font:13px system-ui,sans-serif}svg text{fill:var(--text)}svg rect{fill:var(--panel);stroke:var(--line)}\
svg .host rect{fill:none}svg .box rect{fill:var(--back);stroke-width:2}svg .kernel rect{fill:var(--line)}\
svg .good rect{stroke:var(--good)}svg .warn rect{stroke:var(--warn)}svg .bad rect{stroke:var(--bad)}\
svg .chip.good rect{fill:var(--goodback)}svg .chip.warn rect{fill:var(--warnback)}svg .chip.bad rect{fill:var(--badback)}";

/// What was typed, or read from a kernel's file, is text and nothing else.
pub(in crate::command) fn escape(text: &str) -> String {
    let one = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        c if c.is_control() => " ".to_owned(),
        c => c.to_string(),
    };
    text.chars().map(one).collect()
}

/// The whole page.
pub(super) fn page(it: &Explanation, sections: &[Section]) -> String {
    let title = escape(&format!("What isolates {}", it.container.name));
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         <h1>{title}</h1>\n{}",
        drawing::svg(it)
    );
    sections.iter().for_each(|one| section(&mut page, one));
    page + "</html>\n"
}

fn section(page: &mut String, section: &Section) {
    let _ = writeln!(page, "<section><h2>{}</h2>", escape(section.title));
    if !section.summary.is_empty() {
        let _ = writeln!(page, "<p>{}</p>", escape(&section.summary));
    }
    page.push_str("<table>\n");
    section.rows.iter().for_each(|one| row(page, one));
    page.push_str("</table></section>\n");
}

fn row(page: &mut String, row: &Row) {
    let class = match row.mark {
        Mark::Good => " class=\"good\"",
        Mark::Plain => "",
        Mark::Warn => " class=\"warn\"",
        Mark::Bad => " class=\"bad\"",
    };
    let more: String = row.more.iter().map(|line| format!("<small>{}</small>", escape(line))).collect();
    let _ = writeln!(page, "<tr{class}><td>{}<td>{}{more}", escape(&row.label), escape(&row.text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_named_stays_text() {
        assert_eq!(escape("<script>\"&\u{1b}[2J"), "&lt;script&gt;&quot;&amp; [2J");
    }
}
