//! What docker's own client (28.2.2, go1.24.3) answered, template by template.
//!
//! `docker.jsonl` was recorded with `docker context inspect ctx --format TEMPLATE`, which needs no daemon,
//! and holds the templates that do not show the type of docker's data. Half were written for the language's
//! corners, half drawn at random from its words.

use serde_json::Value;
use template::Template;

fn answer(template: &str, data: &Value) -> Value {
    match Template::parse(template).and_then(|parsed| parsed.render_strict(data)) {
        Ok(text) => serde_json::json!({"text": text}),
        Err(error) => serde_json::json!({"error": error.to_string()}),
    }
}

#[test]
fn every_recorded_template_gives_what_docker_gave() {
    let data = serde_json::json!({
        "Name": "ctx",
        "Endpoints": {"docker": {"Host": "unix:///x.sock", "SkipTLSVerify": false}},
    });
    let mut count = 0;
    for line in include_str!("docker.jsonl").lines() {
        let (template, expected): (String, Value) = serde_json::from_str(line).unwrap();
        assert_eq!(answer(&template, &data), expected, "{template}");
        count += 1;
    }
    assert!(count > 600, "{count} templates were read");
}
