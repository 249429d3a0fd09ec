//! Strings, characters and numbers as Go writes them.

use crate::node::Number;

const SYNTAX: &str = "invalid syntax";

/// What a quoted string says (strconv.Unquote).
pub(crate) fn unquote(quoted: &str) -> Result<String, String> {
    if let Some(raw) = quoted.strip_prefix('`') {
        return Ok(raw.trim_end_matches('`').replace('\r', ""));
    }
    let mut rest = &quoted[1..quoted.len() - 1];
    let mut bytes = Vec::new();
    while !rest.is_empty() {
        rest = unescape(rest, '"', &mut bytes).ok_or(SYNTAX)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads one character, escaped or not, and returns what follows it.
fn unescape<'t>(text: &'t str, quote: char, bytes: &mut Vec<u8>) -> Option<&'t str> {
    let mut chars = text.chars();
    let c = chars.next()?;
    if c != '\\' {
        bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
        return Some(chars.as_str());
    }
    let kind = chars.next()?;
    match kind {
        'x' => return digits(chars.as_str(), 2, 16, |code| bytes.push(code as u8)),
        'u' => return scalar(chars.as_str(), 4, bytes),
        'U' => return scalar(chars.as_str(), 8, bytes),
        '0'..='7' => return octal(&text[1..], bytes),
        'a' => bytes.push(7),
        'b' => bytes.push(8),
        'f' => bytes.push(12),
        'n' => bytes.push(b'\n'),
        'r' => bytes.push(b'\r'),
        't' => bytes.push(b'\t'),
        'v' => bytes.push(11),
        '\\' => bytes.push(b'\\'),
        c if c == quote => bytes.push(c as u8),
        _ => return None,
    }
    Some(chars.as_str())
}

fn digits(text: &str, count: usize, radix: u32, mut take: impl FnMut(u32)) -> Option<&str> {
    let word = text.get(..count).filter(|word| word.bytes().all(|b| b.is_ascii_alphanumeric()))?;
    take(u32::from_str_radix(word, radix).ok()?);
    Some(&text[count..])
}

fn octal<'t>(text: &'t str, bytes: &mut Vec<u8>) -> Option<&'t str> {
    let mut byte = None;
    let rest = digits(text, 3, 8, |code| byte = u8::try_from(code).ok())?;
    bytes.push(byte?);
    Some(rest)
}

fn scalar<'t>(text: &'t str, count: usize, bytes: &mut Vec<u8>) -> Option<&'t str> {
    let mut c = None;
    let rest = digits(text, count, 16, |code| c = char::from_u32(code))?;
    bytes.extend(c?.encode_utf8(&mut [0; 4]).as_bytes());
    Some(rest)
}

/// `'a'`
pub(crate) fn rune(text: &str) -> Result<Number, String> {
    let mut bytes = Vec::new();
    let rest = unescape(&text[1..], '\'', &mut bytes).ok_or(SYNTAX)?;
    if rest != "'" || text == "''" {
        return Err(format!("malformed character constant: {text}"));
    }
    // `\xff` is the number 255, not a character.
    let code = std::str::from_utf8(&bytes).ok().and_then(|text| text.chars().next()).map(u32::from);
    let code = i64::from(code.unwrap_or_else(|| u32::from(bytes[0])));
    Ok(Number { text: text.into(), int: Some(code), float: Some(code as f64) })
}

/// A number: an int where it is one, else a float.
pub(crate) fn number(text: &str) -> Result<Number, String> {
    let int = int(text);
    if let Some(wide) = int {
        let narrow = i64::try_from(wide).ok();
        return Ok(Number { text: text.into(), int: narrow, float: Some(wide as f64) });
    }
    let float = float(text).ok_or_else(|| format!("illegal number syntax: {text:?}"))?;
    if !text.contains(['.', 'e', 'E']) {
        return Err(format!("integer overflow: {text:?}"));
    }
    let whole = (float as i64 as f64 == float).then_some(float as i64);
    Ok(Number { text: text.into(), int: whole, float: Some(float) })
}

impl Number {
    /// Whether it stays a float where any type will do.
    pub(crate) fn is_float(&self) -> bool {
        let typed = self.text.trim_start_matches(['+', '-']);
        let prefixed = typed.starts_with('\'') || typed.starts_with("0x") || typed.starts_with("0X");
        !prefixed && self.text.contains(['.', 'e', 'E'])
    }
}

/// strconv.ParseInt and ParseUint with base 0, 64 bits.
fn int(text: &str) -> Option<i128> {
    let (negative, typed) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    let lower = typed.to_ascii_lowercase();
    let (radix, word) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    let digits = without_underscores(word, radix != 10).filter(|word| !word.starts_with(['+', '-']))?;
    let value = i128::from(u64::from_str_radix(&digits, radix).ok()?);
    let value = if negative { -value } else { value };
    (value >= i128::from(i64::MIN)).then_some(value)
}

fn float(text: &str) -> Option<f64> {
    let word = without_underscores(text, false)?;
    word.parse().ok().filter(|value: &f64| value.is_finite())
}

/// One may stand between two digits, or behind the mark of the base.
fn without_underscores(word: &str, behind_base: bool) -> Option<String> {
    let bad = word.contains("__") || word.ends_with('_') || (word.starts_with('_') && !behind_base);
    (!bad).then(|| word.replace('_', ""))
}
