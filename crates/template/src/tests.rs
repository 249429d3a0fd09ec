//! What docker's users type, and where JSON decides; `tests/docker.rs` holds the language itself.

use crate::{Kind, Template};
use proptest::prelude::*;
use serde_json::{Value, json};

fn data() -> Value {
    json!({
        "Name": "web", "Size": 3, "Big": 18_446_744_073_709_551_615_u64, "Ratio": 1.5, "Whole": 2.0, "On": true,
        "None": null, "Labels": "app=web,tier=1,bare", "Words": ["b", "a"], "Empty": {}, "Mixed": ["a", 1, null],
        "Zoo": {"z": 1, "a": {"n": null}},
        "Config": {"Labels": {"k": "v"}, "Env": ["A=1", "B=2"], "Volumes": null},
        "Mounts": [{"Source": "/s", "RW": true}, {"Source": "/t", "RW": false}],
    })
}

fn strict(text: &str) -> Result<String, String> {
    Template::parse(text)
        .and_then(|template| template.render_strict(&data()))
        .map_err(|error| error.to_string())
}

fn assert_all(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(strict(text).as_deref(), Ok(*expected), "{text}");
    }
}

#[test]
fn values_of_json_are_printed_as_gos() {
    assert_all(&[
        (
            "{{.Size}} {{.Big}} {{.Ratio}} {{.Whole}} {{.On}} {{.None}}",
            "3 18446744073709551615 1.5 2 true <no value>",
        ),
        ("{{.Words}} {{.Mixed}} {{.Zoo}}", "[b a] [a 1 <nil>] map[a:map[n:<nil>] z:1]"),
        (
            "{{printf \"%v|%s|%d|%T\" .Zoo .Words .Mixed .Words}}",
            "map[a:map[n:<nil>] z:1]|[b a]|[%!d(string=a) 1 %!d(<nil>)]|[]string",
        ),
    ]);
}

#[test]
fn json_keeps_its_order_and_is_encoded_as_gos() {
    assert_all(&[
        (
            "{{json .Zoo}} {{json .Whole}} {{json .Big}}",
            "{\"z\":1,\"a\":{\"n\":null}} 2 18446744073709551615",
        ),
        ("{{json \"<&>\\u2028\"}} {{json 1e21}} {{json 0.0000001}}", "\"<&>\\u2028\" 1e+21 1e-7"),
    ]);
}

#[test]
fn what_is_missing_has_no_value_and_its_fields_have_none() {
    assert_all(&[
        ("{{.Config.Foo}} {{.Config.Foo.Bar}} {{.None.Foo}}", "<no value> <no value> <no value>"),
        ("{{if .Config.Foo}}x{{else}}y{{end}}{{range .Config.Volumes}}x{{else}}z{{end}}", "yz"),
        ("{{len .Config.Volumes}}<{{index .Config.Volumes \"a\"}}>{{join .None \",\"}}", "0<>"),
        (
            "<{{index .Config.Labels \"nope\"}}> {{index .Config.Labels \"k\"}} {{index .Zoo \"q\"}}",
            "<> v <no value>",
        ),
    ]);
}

#[test]
fn a_missing_field_of_the_top_value_is_an_error_when_strict() {
    let told = "template: :1:2: executing \"\" at <.Foo>: can't evaluate field Foo";
    assert_eq!(strict("{{.Foo}}"), Err(told.into()));
    assert_eq!(Template::parse("{{.Foo}}").unwrap().render(&data()).unwrap(), "<no value>");
    let told = "template: :2:14: executing \"\" at <$.Foo>: can't evaluate field Foo";
    assert_eq!(strict("\n{{with 1}}{{ $.Foo }}{{end}}"), Err(told.into()));
    let told = "template: :1:7: executing \"\" at <.Name.Foo>: can't evaluate field Foo in type string";
    assert_eq!(strict("{{.Name.Foo}}"), Err(told.into()));
    // An item that equals the top value is not the top value.
    let twice = json!([{"a": 1}]);
    assert_eq!(
        Template::parse("{{range .}}{{.b}}{{end}}").unwrap().render_strict(&twice).unwrap(),
        "<no value>"
    );
}

#[test]
fn rows_have_dockers_one_method() {
    assert_all(&[(
        "{{.Label \"tier\"}}|{{.Label \"bare\"}}|{{.Label \"no\"}}|{{\"app\" | .Label}}",
        "1|||web",
    )]);
    assert!(strict("{{.Label}}").unwrap_err().ends_with("wrong number of args for Label: want 1 got 0"));
    assert!(strict("{{.Label 1}}").unwrap_err().ends_with("at <1>: expected string; found 1"));
}

#[test]
fn what_users_of_docker_type_works() {
    assert_all(&[
        ("{{range .Mounts}}{{if and .RW (ne .Source \"/t\")}}{{.Source}}{{end}}{{end}}", "/s"),
        ("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}}{{end}} {{(index .Mounts 0).Source}}", "k=v /s"),
        ("{{range .Config.Env}}{{println .}}{{end}}", "A=1\nB=2\n"),
        ("{{range .Config.Env}}{{$p := split . \"=\"}}{{index $p 0}}{{end}}", "AB"),
        ("{{join .Words \",\" | upper}}\t{{.Name | printf \"%-5s|\"}}", "B,A\tweb  |"),
        ("{{eq .Size 3}} {{lt .Ratio 2.0}} {{gt .Size 2}} {{.On}}", "true true true true"),
    ]);
}

#[test]
fn kinds_tell_a_bad_template_from_one_that_does_not_fit() {
    assert_eq!(*Template::parse("{{").unwrap_err().kind(), Kind::Parse);
    let template = Template::parse("{{.Foo}}").unwrap();
    assert_eq!(*template.render_strict(&data()).unwrap_err().kind(), Kind::Execute);
}

#[test]
fn nothing_recurses_or_pads_without_bound() {
    let deep = |open: &str, inner: &str, close: &str| open.repeat(100_000) + inner + &close.repeat(100_000);
    for text in [
        format!("{{{{{}}}}}", deep("(", "1", ")")),
        deep("{{if 1}}", "", "{{end}}"),
        deep("{{if 1}}{{else}}", "", "{{end}}"),
        format!("{{{{if 1}}}}{}{{{{end}}}}", "{{else if 1}}".repeat(100_000)),
    ] {
        let told = Template::parse(&text).unwrap_err().to_string();
        assert_eq!(told, "template: :1: max expression depth exceeded");
    }
    let told = strict("{{define \"x\"}}{{template \"x\"}}{{end}}{{template \"x\"}}").unwrap_err();
    assert!(told.contains("executing \"x\"") && told.contains("exceeded maximum template depth"), "{told}");
    let blocks = ("{{if 1}}".repeat(150), "{{end}}".repeat(150));
    let told = strict(&format!(
        "{{{{define \"x\"}}}}{}{{{{template \"x\"}}}}{}{{{{end}}}}{{{{template \"x\"}}}}",
        blocks.0, blocks.1
    ));
    assert!(told.unwrap_err().contains("exceeded maximum template depth"));
    assert!(strict("{{pad \"a\" 99999999999 0}}").is_err());
    assert!(strict("{{printf \"%99999999999d\" 1}}").is_ok());
}

proptest! {
    #[test]
    fn any_template_is_answered(
        words in prop::collection::vec(prop::sample::select(vec![
            "{{", "}}", "{{- ", " -}}", "(", ")", "|", " ", ".", ".Name", ".Mounts", "$", "$x", ":=", ",", "\"é\"", "`a`",
            "'c'", "1", "-", "1.5", "nil", "if", "else", "end", "range", "with", "define", "template", "block",
            "break", "index", "slice", "printf", "\"%[2]*.[1]*d\"", "pad", "len", "{{end}}", "/*", "*/", "\\", "\n", "é",
        ]), 0..14),
    ) {
        let text = words.concat();
        if let Ok(template) = Template::parse(&text) {
            let _ = template.render_strict(&data());
        }
    }

    #[test]
    fn any_format_is_answered(format in "[%a-zA-Z0-9+# .*\\[\\]-]{0,12}", int in any::<i64>(), float in any::<f64>()) {
        let args = [json!(int), json!(float), json!("é"), json!(null)].map(std::borrow::Cow::Owned);
        let _ = crate::format::sprintf(&format, &args);
    }
}
