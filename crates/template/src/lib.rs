//! Go templates, as far as docker's `--format` uses them, over JSON values.
//!
//! This is the first part: text, trim markers, fields, string literals, pipelines and the
//! functions `json`, `join`, `lower` and `upper`. Everything else is refused, never ignored.

use serde_json::Value;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The text is no template.
    Parse,
    /// The template does not fit the value.
    Execute,
}

/// An error of this crate.
pub type Error = fault::Error<Kind>;
/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A template that was understood.
#[derive(Debug, Clone)]
pub struct Template(Vec<Node>);

#[derive(Debug, Clone)]
enum Node {
    Text(String),
    /// Offset of the action in the text, and its commands.
    Pipe(usize, Vec<Vec<String>>),
}

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self> {
        let mut nodes = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (action, tail) = after.split_once("}}").ok_or_else(|| parse_error("unclosed action"))?;
            let (left, right) = (action.starts_with("- "), action.ends_with(" -"));
            nodes.push(Node::Text(if left { before.trim_end() } else { before }.into()));
            let inner = action.strip_prefix("- ").unwrap_or(action);
            let inner = inner.strip_suffix(" -").unwrap_or(inner);
            nodes.push(Node::Pipe(text.len() - after.len(), pipe(inner)?));
            rest = if right { tail.trim_start() } else { tail };
        }
        nodes.push(Node::Text(rest.into()));
        Ok(Self(nodes))
    }

    /// Renders; a field that is not there is `<no value>`.
    pub fn render(&self, value: &Value) -> Result<String> {
        self.execute(value, false)
    }

    /// Renders; a top-level field that is not there is an error, as for docker's own types.
    pub fn render_strict(&self, value: &Value) -> Result<String> {
        self.execute(value, true)
    }

    fn execute(&self, value: &Value, strict: bool) -> Result<String> {
        let mut out = String::new();
        for node in &self.0 {
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Pipe(at, commands) => out.push_str(&show(&run(commands, value, strict, *at)?, true)),
            }
        }
        Ok(out)
    }
}

fn parse_error(why: &str) -> Error {
    Error::new(Kind::Parse, format!("template: :1: {why}"))
}

fn pipe(text: &str) -> Result<Vec<Vec<String>>> {
    let mut commands = vec![Vec::new()];
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = match rest.strip_prefix('"') {
            Some(tail) => tail.find('"').ok_or_else(|| parse_error("unterminated quoted string"))? + 2,
            None if rest.starts_with('|') => 1,
            None => rest.find(|c: char| c.is_whitespace() || c == '|').unwrap_or(rest.len()),
        };
        let (word, tail) = rest.split_at(end);
        match word {
            "|" => commands.push(Vec::new()),
            word if is_known(word) => commands.last_mut().into_iter().for_each(|c| c.push(word.into())),
            word => return Err(parse_error(&format!("function {word:?} not defined"))),
        }
        rest = tail.trim_start();
    }
    if commands.iter().any(Vec::is_empty) {
        return Err(parse_error("missing value for command"));
    }
    Ok(commands)
}

fn is_known(word: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    matches!(word, "json" | "join" | "lower" | "upper")
        || (word.starts_with('"') && !word.contains('\\'))
        || (word.starts_with('.') && word.chars().all(plain))
}

fn run(commands: &[Vec<String>], root: &Value, strict: bool, at: usize) -> Result<Value> {
    let mut last: Option<Value> = None;
    for words in commands {
        let mut args =
            words.iter().skip(1).map(|w| operand(w, root, strict, at)).collect::<Result<Vec<_>>>()?;
        args.extend(last.take());
        last = Some(call(&words[0], args, root, strict, at)?);
    }
    Ok(last.unwrap_or_default())
}

fn call(name: &str, args: Vec<Value>, root: &Value, strict: bool, at: usize) -> Result<Value> {
    match (name, &args[..]) {
        ("json", [value]) => Ok(value.to_string().into()),
        ("lower", [Value::String(text)]) => Ok(text.to_lowercase().into()),
        ("upper", [Value::String(text)]) => Ok(text.to_uppercase().into()),
        ("join", [Value::Array(list), Value::String(by)]) => {
            Ok(list.iter().map(|v| show(v, false)).collect::<Vec<_>>().join(by).into())
        }
        ("json" | "lower" | "upper" | "join", _) => Err(failed(at, name, "wrong number or type of args")),
        (operand_, []) => operand(operand_, root, strict, at),
        _ => Err(failed(at, name, "can't give argument to non-function")),
    }
}

fn operand(word: &str, root: &Value, strict: bool, at: usize) -> Result<Value> {
    if let Some(text) = word.strip_prefix('"') {
        return Ok(text.trim_end_matches('"').into());
    }
    let Some(path) = word.strip_prefix('.') else { return Err(failed(at, word, "wrong number of args")) };
    let mut value = root;
    for (depth, field) in path.split('.').filter(|f| !f.is_empty()).enumerate() {
        match value.get(field) {
            Some(found) => value = found,
            None if strict && depth == 0 => {
                return Err(failed(at, word, &format!("can't evaluate field {field}")));
            }
            None => return Ok(Value::Null),
        }
    }
    Ok(value.clone())
}

fn failed(at: usize, word: &str, why: &str) -> Error {
    Error::new(Kind::Execute, format!("template: :1:{at}: executing \"\" at <{word}>: {why}"))
}

/// Go's `%v`; null at the top is `<no value>`, inside `<nil>`.
fn show(value: &Value, top: bool) -> String {
    let all = |parts: Vec<String>| parts.join(" ");
    match value {
        Value::Null if top => "<no value>".into(),
        Value::Null => "<nil>".into(),
        Value::String(text) => text.clone(),
        Value::Array(list) => format!("[{}]", all(list.iter().map(|v| show(v, false)).collect())),
        Value::Object(map) => {
            format!("map[{}]", all(map.iter().map(|(k, v)| format!("{k}:{}", show(v, false))).collect()))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_functions_render() {
        let value = serde_json::json!({"A": {"B": "x"}, "L": ["a", "b"]});
        let render = |text: &str| Template::parse(text).and_then(|t| t.render_strict(&value));
        assert_eq!(render("<{{.A.B}} {{- .A}}\t{{.L}}>").unwrap(), "<xmap[B:x]\t[a b]>");
        assert_eq!(
            render("{{json .L}} {{join .L \",\" | upper}} {{.A.C}}").unwrap(),
            "[\"a\",\"b\"] A,B <no value>"
        );
        let error = render("{{.Foo}}").unwrap_err().to_string();
        assert_eq!(error, "template: :1:2: executing \"\" at <.Foo>: can't evaluate field Foo");
        assert!(render("{{range .L}}{{end}}").is_err());
    }
}
