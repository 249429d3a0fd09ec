//! `fmt.Sprintf`: flags, widths, precisions, argument indexes, and what it says of mistakes. Floats have no
//! `%x`, `%b` and `%#g`.

use crate::eval::Val;
use crate::{escape, print};
use serde_json::Value;

/// Most columns of a width or digits of a precision, as in Go.
const LARGEST: usize = 1_000_000;

/// What stands between `%` and the verb.
#[derive(Default, Clone)]
struct Spec {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%#v`: as Go's source has it.
    syntax: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

struct Printer<'a, 'v> {
    rest: &'a str,
    args: &'a [Val<'v>],
    at: usize,
    reordered: bool,
    /// Whether the last index named an argument.
    good_index: bool,
    out: String,
}

pub(crate) fn sprintf(format: &str, args: &[Val<'_>]) -> String {
    let mut printer =
        Printer { rest: format, args, at: 0, reordered: false, good_index: true, out: String::new() };
    while let Some(at) = printer.rest.find('%') {
        printer.out.push_str(&printer.rest[..at]);
        printer.rest = &printer.rest[at + 1..];
        printer.verb();
    }
    printer.out.push_str(printer.rest);
    printer.extra();
    printer.out
}

impl Printer<'_, '_> {
    fn verb(&mut self) {
        self.good_index = true;
        let mut spec = self.flags();
        let mut indexed = self.index();
        self.width(&mut spec, &mut indexed);
        self.precision(&mut spec, &mut indexed);
        if !indexed {
            self.index();
        }
        let Some(verb) = self.rest.chars().next() else { return self.out.push_str("%!(NOVERB)") };
        self.rest = &self.rest[verb.len_utf8()..];
        let arg = self.args.get(self.at);
        match (verb, arg) {
            ('%', _) => self.out.push('%'),
            _ if !self.good_index => self.out += &format!("%!{verb}(BADINDEX)"),
            (_, None) => self.out += &format!("%!{verb}(MISSING)"),
            (_, Some(arg)) => {
                self.at += 1;
                self.out += &spec.of_verb(verb).value(verb, arg);
            }
        }
    }

    fn flags(&mut self) -> Spec {
        let mut spec = Spec::default();
        loop {
            match self.rest.as_bytes().first() {
                Some(b'+') => spec.plus = true,
                Some(b'-') => spec.minus = true,
                Some(b'#') => spec.sharp = true,
                Some(b' ') => spec.space = true,
                Some(b'0') => spec.zero = true,
                _ => return spec,
            }
            self.rest = &self.rest[1..];
        }
    }

    /// `[n]`; whether there was one.
    fn index(&mut self) -> bool {
        if !self.rest.starts_with('[') {
            return false;
        }
        self.reordered = true;
        let Some(end) = self.rest.find(']') else {
            self.good_index = false;
            self.rest = &self.rest[1..];
            return false;
        };
        let number = self.rest[1..end].parse::<usize>().ok();
        self.rest = &self.rest[end + 1..];
        match number.filter(|n| (1..=self.args.len()).contains(n)) {
            Some(n) => self.at = n - 1,
            None => self.good_index = false,
        }
        true
    }

    fn width(&mut self, spec: &mut Spec, indexed: &mut bool) {
        if !self.take('*') {
            spec.width = self.number();
            self.good_index &= !(*indexed && spec.width.is_some());
            return;
        }
        *indexed = false;
        match self.int_argument() {
            Some(width) => {
                spec.minus |= width < 0;
                spec.width = Some(width.unsigned_abs() as usize);
            }
            None => self.out.push_str("%!(BADWIDTH)"),
        }
    }

    fn precision(&mut self, spec: &mut Spec, indexed: &mut bool) {
        if !self.take('.') {
            return;
        }
        self.good_index &= !*indexed;
        *indexed = self.index();
        if !self.take('*') {
            spec.precision = Some(self.number().unwrap_or(0));
            return;
        }
        *indexed = false;
        match self.int_argument() {
            Some(precision) => spec.precision = usize::try_from(precision).ok(),
            None => self.out.push_str("%!(BADPREC)"),
        }
    }

    fn take(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn number(&mut self) -> Option<usize> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits.parse().ok().filter(|number| *number <= LARGEST)
    }

    fn int_argument(&mut self) -> Option<i64> {
        let arg = self.args.get(self.at)?;
        self.at += 1;
        arg.as_i64().filter(|int| int.unsigned_abs() <= LARGEST as u64)
    }

    /// Arguments that no verb asked for.
    fn extra(&mut self) {
        let left = self.args.get(self.at..).unwrap_or_default();
        if self.reordered || left.is_empty() {
            return;
        }
        let one = |arg: &Val<'_>| match arg.as_ref() {
            Value::Null => "<nil>".to_owned(),
            arg => format!("{}={}", print::type_of(arg), print::inner(arg)),
        };
        let left: Vec<_> = left.iter().map(one).collect();
        self.out += &format!("%!(EXTRA {})", left.join(", "));
    }
}

impl Spec {
    /// The flags of `%v` are its own.
    fn of_verb(self, verb: char) -> Self {
        match verb {
            'v' => Self { syntax: self.sharp, sharp: false, plus: false, ..self },
            _ => self,
        }
    }

    fn value(&self, verb: char, value: &Value) -> String {
        if verb == 'T' {
            return self.text('s', print::type_of(value)).unwrap_or_default();
        }
        let shown = match value {
            Value::Null if verb == 'v' => Some(self.padded("<nil>")),
            Value::Null => Some(format!("%!{verb}(<nil>)")),
            Value::Bool(value) => matches!(verb, 't' | 'v').then(|| self.padded(&value.to_string())),
            Value::String(text) => self.text(verb, text),
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(int), ..) => self.int(verb, int.into()),
                (_, Some(int), _) => self.int(verb, int.into()),
                (.., float) => self.float(verb, float.unwrap_or_default()),
            },
            Value::Array(list) => Some(self.list(verb, value, list)),
            Value::Object(map) => Some(self.map(verb, value, map)),
        };
        shown.unwrap_or_else(|| format!("%!{verb}({}={})", print::type_of(value), self.value('v', value)))
    }

    fn list(&self, verb: char, value: &Value, list: &[Value]) -> String {
        let items: Vec<_> = list.iter().map(|item| self.value(verb, item)).collect();
        if self.syntax {
            return format!("{}{{{}}}", print::type_of(value), items.join(", "));
        }
        format!("[{}]", items.join(" "))
    }

    fn map(&self, verb: char, value: &Value, map: &serde_json::Map<String, Value>) -> String {
        let mut pairs: Vec<_> = map.iter().collect();
        pairs.sort_by_key(|(key, _)| *key);
        let pair = |(key, value): (&String, &Value)| {
            format!("{}:{}", self.value(verb, &Value::from(key.as_str())), self.value(verb, value))
        };
        let pairs: Vec<_> = pairs.into_iter().map(pair).collect();
        if self.syntax {
            return format!("{}{{{}}}", print::type_of(value), pairs.join(", "));
        }
        format!("map[{}]", pairs.join(" "))
    }

    fn text(&self, verb: char, text: &str) -> Option<String> {
        let cut: String = match self.precision {
            Some(precision) if !matches!(verb, 'x' | 'X') => text.chars().take(precision).collect(),
            _ => text.to_owned(),
        };
        Some(self.padded(&match verb {
            'v' if self.syntax => escape::quote(&cut, '"', false),
            'v' | 's' => cut,
            'q' if self.sharp && !cut.contains(|c: char| c == '`' || (c.is_control() && c != '\t')) => {
                format!("`{cut}`")
            }
            'q' => escape::quote(&cut, '"', self.plus),
            'x' => self.hex(text),
            'X' => self.hex(text).to_uppercase(),
            _ => return None,
        }))
    }

    fn hex(&self, text: &str) -> String {
        let bytes = text.as_bytes();
        let bytes = &bytes[..self.precision.unwrap_or(bytes.len()).min(bytes.len())];
        let mark = if self.sharp && !bytes.is_empty() { "0x" } else { "" };
        let between = match (self.space, self.sharp) {
            (true, true) => " 0x",
            (true, false) => " ",
            _ => "",
        };
        let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{mark}{}", bytes.join(between))
    }

    fn int(&self, verb: char, int: i128) -> Option<String> {
        let size = int.unsigned_abs();
        let character = || u32::try_from(int).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
        let (mark, digits) = match verb {
            'd' | 'v' => ("", size.to_string()),
            'b' => (if self.sharp { "0b" } else { "" }, format!("{size:b}")),
            'o' => (if self.sharp { "0" } else { "" }, format!("{size:o}")),
            'O' => ("0o", format!("{size:o}")),
            'x' => (if self.sharp { "0x" } else { "" }, format!("{size:x}")),
            'X' => (if self.sharp { "0X" } else { "" }, format!("{size:X}")),
            'c' => return Some(self.padded(&character().to_string())),
            'q' => return Some(self.padded(&escape::quote(&character().to_string(), '\'', self.plus))),
            'U' => return Some(self.padded(&self.unicode(int as u64, character()))),
            _ => return None,
        };
        Some(self.signed(int < 0, mark, &digits))
    }

    fn unicode(&self, code: u64, c: char) -> String {
        let digits = self.precision.unwrap_or(4).max(4);
        let shown = if self.sharp { format!(" '{c}'") } else { String::new() };
        format!("U+{code:0digits$X}{shown}")
    }

    /// A whole number with its sign; zeros go between the sign and the digits.
    fn signed(&self, negative: bool, mark: &str, digits: &str) -> String {
        let sign = match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        if self.precision == Some(0) && digits == "0" {
            return self.blank("");
        }
        let room = self.width.filter(|_| self.zero && !self.minus && self.precision.is_none());
        let least = self.precision.or(room.map(|width| width.saturating_sub(sign.len()))).unwrap_or(0);
        let zeros = "0".repeat(least.saturating_sub(digits.len()));
        self.blank(&format!("{sign}{mark}{zeros}{digits}"))
    }

    fn float(&self, verb: char, value: f64) -> Option<String> {
        let size = value.abs();
        let digits = match verb {
            'v' | 'g' | 'G' => general(size, self.precision),
            'e' | 'E' => scientific(size, self.precision.unwrap_or(6)),
            'f' | 'F' => format!("{size:.*}", self.precision.unwrap_or(6)),
            _ => return None,
        };
        let digits = if verb.is_uppercase() { digits.to_uppercase() } else { digits };
        Some(Self { precision: None, ..self.clone() }.signed(value.is_sign_negative(), "", &digits))
    }

    /// To the width, with zeros where they were asked for.
    fn padded(&self, text: &str) -> String {
        if self.zero && !self.minus {
            let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
            return format!("{}{text}", "0".repeat(missing));
        }
        self.blank(text)
    }

    fn blank(&self, text: &str) -> String {
        let width = self.width.unwrap_or(0);
        if self.minus { format!("{text:width$}") } else { format!("{text:>width$}") }
    }
}

/// `%v` of a float.
pub(crate) fn shortest(value: f64) -> String {
    let sign = if value.is_sign_negative() { "-" } else { "" };
    format!("{sign}{}", general(value.abs(), None))
}

/// `%g`: an exponent below -4 and from the precision on; the fewest digits that tell the value apart
/// where no precision is given.
fn general(value: f64, precision: Option<usize>) -> String {
    let text = match precision {
        Some(precision) => format!("{value:.*e}", precision.max(1) - 1),
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits = mantissa.replace('.', "");
    let digits = Some(digits.trim_end_matches('0')).filter(|digits| !digits.is_empty()).unwrap_or("0");
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let asked = precision.map_or(6, |precision| i32::try_from(precision.max(1)).unwrap_or(i32::MAX));
    // A precision beyond the digits there are does not count, unless they end before the point.
    let enough = if precision.is_some() && asked > count && count > exponent { count } else { asked };
    if exponent < -4 || exponent >= enough {
        return scientific(value, digits.len() - 1);
    }
    let decimals = usize::try_from(count - 1 - exponent).unwrap_or(0);
    format!("{value:.decimals$}")
}

/// `%e`: at least two digits of exponent.
fn scientific(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}
