//! What docker's users type.

use crate::Template;

fn render(text: &str) -> Result<String, String> {
    let value = serde_json::json!({
        "A": {"B": "x"}, "L": ["a", "b"], "N": 3, "F": 1.5, "T": true, "E": "", "M": {"k2": 2, "k1": 1},
        "Labels": "app=web,tier=1", "Mounts": [{"Source": "/s", "RW": true}, {"Source": "/t", "RW": false}],
    });
    Template::parse(text)
        .and_then(|template| template.render_strict(&value))
        .map_err(|error| error.to_string())
}

#[test]
fn fields_literals_and_functions_render() {
    for (text, expected) in [
        ("<{{.A.B}} {{- .A}}\t{{.L}}>", "<xmap[B:x]\t[a b]>"),
        ("{{json .L}} {{join .L \",\" | upper}} {{.A.C}}", "[\"a\",\"b\"] A,B <no value>"),
        ("{{/* nothing */}}{{.N}} {{.F}} {{\"q}}\"}} {{`raw`}}", "3 1.5 q}} raw"),
        ("{{printf \"%-4s|%3d|%q|%.1f\" .A.B .N .A.B .F}}", "x   |  3|\"x\"|1.5"),
        ("{{index .L 1}} {{index .M \"k1\"}} {{len .L}} {{slice .L 1}}", "b 1 2 [b]"),
        (
            "{{title \"ab cd\"}} {{lower \"X\"}} {{truncate \"abcdef\" 3}} {{pad \"x\" 1 2}}|",
            "Ab Cd x abc  x  |",
        ),
        ("{{.Label \"tier\"}} {{(index .Mounts 0).Source}}", "1 /s"),
        ("a {{- \" b \" -}} c", "a b c"),
    ] {
        assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn branches_loops_and_variables_render() {
    for (text, expected) in [
        ("{{if .T}}yes{{else}}no{{end}}{{if .E}}x{{else if eq .N 3}}three{{end}}", "yesthree"),
        ("{{range .L}}[{{.}}]{{end}}{{range .E2}}x{{else}}none{{end}}", "[a][b]none"),
        ("{{range $i, $x := .L}}{{$i}}={{$x}} {{$.N}};{{end}}", "0=a 3;1=b 3;"),
        ("{{range $k, $v := .M}}{{$k}}:{{$v}} {{end}}", "k1:1 k2:2 "),
        ("{{with .A}}{{.B}}{{end}}{{$x := 1}}{{if .T}}{{$x = 2}}{{end}}{{$x}}", "x2"),
        ("{{range .Mounts}}{{if and .RW (ne .Source \"/t\")}}{{.Source}}{{end}}{{end}}", "/s"),
        ("{{if not .E}}{{if or .E .T}}{{if lt .N 4}}{{if ge .F 1.5}}ok{{end}}{{end}}{{end}}{{end}}", "ok"),
    ] {
        let text = text.replace(".E2", ".A.E2");
        assert_eq!(render(&text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn mistakes_are_told_as_go_tells_them() {
    for (text, part) in [
        ("{{.Foo}}", "template: :1:2: executing \"\" at <.Foo>: can't evaluate field Foo"),
        ("a\n{{.Foo}}", "template: :2:2: executing"),
        ("{{nope .A}}", "template: :1: function \"nope\" not defined"),
        ("{{.A", "unclosed action"),
        ("{{if .A}}x", "unexpected EOF"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{index .L 7}}", "index out of range"),
        ("{{\"x}}", "unterminated quoted string"),
        ("{{(.A}}", "unclosed left paren"),
        ("{{define \"x\"}}{{end}}", "not supported"),
    ] {
        let told = render(text).expect_err(text);
        assert!(told.contains(part), "{text}: {told}");
    }
}
