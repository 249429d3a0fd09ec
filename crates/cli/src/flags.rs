//! Flags as docker's users' fingers know them: tables, and one reader for all.
//!
//! `-it`, `-e=V`, `-eV`, `--rm=false`, `--name x` and `--name=x` all work; of a flag given twice
//! the last word counts; `--` ends the flags, and so does the first word that is none where a command
//! says so, since what follows is a program's own.

use std::ffi::OsString;

/// One flag of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    pub(crate) long: &'static str,
    pub(crate) short: Option<char>,
    /// What its value is called in the help; empty for a switch.
    pub(crate) value: &'static str,
    /// The heading it stands under.
    pub(crate) group: &'static str,
    pub(crate) help: &'static str,
}

/// A flag with a value.
pub(crate) const fn value(long: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { long, short: None, value, group: "", help }
}

/// A flag without.
pub(crate) const fn switch(long: &'static str, help: &'static str) -> Flag {
    Flag { long, short: None, value: "", group: "", help }
}

impl Flag {
    /// The same flag with a letter.
    pub(crate) const fn or(self, short: char) -> Self {
        Self { short: Some(short), ..self }
    }

    /// The same flag under a heading.
    pub(crate) const fn under(self, group: &'static str) -> Self {
        Self { group, ..self }
    }
}

/// What can be typed after a command's name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Syntax {
    /// As typed, e.g. `image ls`.
    pub(crate) name: &'static str,
    /// What follows the flags.
    pub(crate) rest: &'static str,
    pub(crate) about: &'static str,
    pub(crate) flags: &'static [Flag],
    pub(crate) examples: &'static [&'static str],
    /// Fewest and most words that are no flags.
    pub(crate) words: (usize, usize),
    /// The first word that is no flag ends the flags.
    pub(crate) stops: bool,
}

/// What was typed.
#[derive(Debug, Default)]
pub(crate) struct Typed {
    flags: Vec<(&'static str, String)>,
    pub(crate) words: Vec<String>,
    pub(crate) help: bool,
}

/// What was typed wrong, in a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) what: String,
    pub(crate) hint: Option<String>,
    /// A flag was wrong, for which docker has an exit code of its own.
    pub(crate) is_flag: bool,
}

impl Mistake {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None, is_flag: false }
    }

    pub(crate) fn of_flag(self) -> Self {
        Self { is_flag: true, ..self }
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

pub(crate) type Read<T> = Result<T, Mistake>;

impl Syntax {
    /// Reads what was typed after the command's name.
    pub(crate) fn read(&self, args: Vec<OsString>) -> Read<Typed> {
        let mut typed = Typed::default();
        let mut args = args.into_iter().map(text).collect::<Read<Vec<_>>>()?.into_iter();
        while let Some(arg) = args.next() {
            match arg.strip_prefix('-') {
                Some("-") => {
                    typed.words.extend(args);
                    break;
                }
                Some(long) if long.starts_with('-') => self.take_long(&long[1..], &mut args, &mut typed)?,
                Some(letters) if !letters.is_empty() => self.take_letters(letters, &mut args, &mut typed)?,
                _ => {
                    typed.words.push(arg);
                    if self.stops {
                        typed.words.extend(args);
                        break;
                    }
                }
            }
        }
        if typed.help { Ok(typed) } else { self.count(typed) }
    }

    /// `--name`, `--name=value`, `--name value`
    fn take_long(&self, arg: &str, args: &mut Words, typed: &mut Typed) -> Read<()> {
        let (name, value) =
            arg.split_once('=').map_or((arg, None), |(name, value)| (name, Some(value.to_owned())));
        let spelled = Spelled::Long(today(name).to_owned());
        match self.flag(&spelled, typed)? {
            Some(flag) => self.put(flag, &spelled, value, args, typed),
            None => Ok(()),
        }
    }

    /// `-it`, `-eV`, `-e=V`, `-e V`, `-i=false`
    fn take_letters(&self, letters: &str, args: &mut Words, typed: &mut Typed) -> Read<()> {
        let mut rest = letters;
        while let Some(letter) = rest.chars().next() {
            rest = &rest[letter.len_utf8()..];
            let spelled = Spelled::Short(letter);
            let Some(flag) = self.flag(&spelled, typed)? else { return Ok(()) };
            let takes_rest = rest.starts_with('=') || !flag.value.is_empty() && !rest.is_empty();
            let value = takes_rest.then(|| rest.strip_prefix('=').unwrap_or(rest).to_owned());
            self.put(flag, &spelled, value, args, typed)?;
            if takes_rest {
                break;
            }
        }
        Ok(())
    }

    /// The flag of this name; none for a call for help.
    fn flag(&self, spelled: &Spelled, typed: &mut Typed) -> Read<Option<&'static Flag>> {
        match self.flags.iter().find(|flag| spelled.names(flag)) {
            Some(flag) => Ok(Some(flag)),
            None if spelled.is_help() => {
                typed.help = true;
                Ok(None)
            }
            None => Err(self.unknown(spelled)),
        }
    }

    fn put(
        &self,
        flag: &Flag,
        spelled: &Spelled,
        value: Option<String>,
        args: &mut Words,
        typed: &mut Typed,
    ) -> Read<()> {
        let missing = || Mistake::new(format!("flag needs an argument: {}", spelled.shown())).of_flag();
        let value = match (value, flag.value) {
            (Some(value), _) => value,
            (None, "") => "true".to_owned(),
            (None, _) => args.next().ok_or_else(missing)?,
        };
        if flag.value.is_empty() && boolean(&value).is_none() {
            return Err(Mistake::new(format!(
                "invalid argument {value:?} for \"--{}\" flag: not a boolean",
                flag.long
            ))
            .of_flag());
        }
        typed.flags.push((flag.long, value));
        Ok(())
    }

    fn unknown(&self, arg: &Spelled) -> Mistake {
        let what = match arg {
            Spelled::Long(name) => format!("unknown flag: --{name}"),
            Spelled::Short(letter) => format!("unknown shorthand flag: '{letter}' in -{letter}"),
        };
        let mistake = Mistake::new(what).of_flag();
        match arg {
            _ if self.name.ends_with("run") && arg.is("kernel-memory") => Mistake::new(
                "--kernel-memory is not supported: the kernel dropped limits of its own memory in 5.16",
            )
            .of_flag(),
            _ if LATER.iter().any(|later| arg.is(later)) && self.name.ends_with("run") => {
                mistake.with_hint("this flag of docker's is not available yet")
            }
            Spelled::Long(name) => match nearest(name, self.flags.iter().map(|flag| flag.long)) {
                Some(near) => mistake.with_hint(format!("did you mean `--{near}`?")),
                None => mistake.with_hint(self.help_hint()),
            },
            Spelled::Short(_) => mistake.with_hint(self.help_hint()),
        }
    }

    fn help_hint(&self) -> String {
        let name = if self.name.is_empty() { String::new() } else { format!("{} ", self.name) };
        format!("`hull {name}--help` lists the flags")
    }

    fn count(&self, typed: Typed) -> Read<Typed> {
        let (least, most) = self.words;
        let name = self.name;
        let plural = |n: usize| if n == 1 { "argument" } else { "arguments" };
        let what = match typed.words.len() {
            n if (least..=most).contains(&n) => return Ok(typed),
            _ if most == 0 => "accepts no arguments".to_owned(),
            _ if least == most => format!("requires {least} {}", plural(least)),
            n if n < least => format!("requires at least {least} {}", plural(least)),
            _ => format!("requires at most {most} {}", plural(most)),
        };
        let usage = format!("usage: hull {name} {}", self.rest);
        Err(Mistake::new(format!("'hull {name}' {what}")).with_hint(usage.trim_end()))
    }
}

/// docker's own earlier name of a flag, which it takes and does not list, under the one it has today.
fn today(name: &str) -> &str {
    match name {
        "net" => "network",
        "dns-opt" => "dns-option",
        _ => name,
    }
}

/// Flags of docker's `run` that come with later capabilities.
const LATER: [&str; 26] = [
    "p",
    "publish",
    "P",
    "publish-all",
    "expose",
    "net-alias",
    "network-alias",
    "ip",
    "ip6",
    "mac-address",
    "link",
    "link-local-ip",
    "volumes-from",
    "volume-driver",
    "gpus",
    "runtime",
    "isolation",
    "storage-opt",
    "disable-content-trust",
    "use-api-socket",
    "cpu-count",
    "cpu-percent",
    "io-maxbandwidth",
    "io-maxiops",
    "q",
    "quiet",
];

/// What is left to read.
type Words = std::vec::IntoIter<String>;

enum Spelled {
    Long(String),
    Short(char),
}

impl Spelled {
    fn names(&self, flag: &Flag) -> bool {
        match self {
            Self::Long(name) => name == flag.long,
            Self::Short(letter) => flag.short == Some(*letter),
        }
    }

    fn is(&self, name: &str) -> bool {
        match self {
            Self::Long(long) => long == name,
            Self::Short(letter) => name.chars().eq([*letter]),
        }
    }

    fn is_help(&self) -> bool {
        self.is("help") || self.is("h")
    }

    fn shown(&self) -> String {
        match self {
            Self::Long(name) => format!("--{name}"),
            Self::Short(letter) => format!("'{letter}' in -{letter}"),
        }
    }
}

impl Typed {
    /// The last value of a flag.
    pub(crate) fn last(&self, long: &str) -> Option<&str> {
        self.flags.iter().rev().find(|(name, _)| *name == long).map(|(_, value)| value.as_str())
    }

    /// The last value of a flag for which an empty one is none: what a script's unset variable leaves.
    pub(crate) fn filled(&self, long: &str) -> Option<&str> {
        self.last(long).filter(|text| !text.is_empty())
    }

    /// Likewise, understood.
    pub(crate) fn parsed_filled<T, E: Reason>(
        &self,
        long: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Read<Option<T>> {
        if self.filled(long).is_some() { self.parsed(long, parse) } else { Ok(None) }
    }

    /// All values of a flag that are not empty, understood.
    pub(crate) fn each_filled<T, E: Reason>(
        &self,
        long: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Read<Vec<T>> {
        let filled = self.all(long).filter(|text| !text.is_empty());
        filled.map(|text| parse(text).map_err(|error| bad(long, text, &error))).collect()
    }

    /// All values of a flag, in order.
    pub(crate) fn all<'a>(&'a self, long: &'a str) -> impl Iterator<Item = &'a str> {
        self.flags.iter().filter(move |(name, _)| *name == long).map(|(_, value)| value.as_str())
    }

    /// All values of some flags, in the order typed, with their names.
    pub(crate) fn any<'a>(&'a self, longs: &'a [&str]) -> impl Iterator<Item = (&'static str, &'a str)> {
        self.flags
            .iter()
            .filter(|(name, _)| longs.contains(name))
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// `--filter KEY=VALUE`, all of them: keys in lower case, no blanks around; an empty word is none.
    pub(crate) fn filters(&self) -> Read<Vec<(String, String)>> {
        let words = self.all("filter").filter(|word| !word.is_empty());
        let pair = |word: &str| match word.split_once('=') {
            Some((key, value)) => Ok((key.trim().to_lowercase(), value.trim().to_owned())),
            None => Err(bad("filter", word, &"bad format of filter (expected name=value)")),
        };
        words.map(pair).collect()
    }

    /// Is a switch on?
    pub(crate) fn is_on(&self, long: &str) -> bool {
        self.switch(long).unwrap_or(false)
    }

    /// What a switch says, if it was typed.
    pub(crate) fn switch(&self, long: &str) -> Option<bool> {
        self.last(long).and_then(boolean)
    }

    /// A flag's last value, understood.
    pub(crate) fn parsed<T, E: Reason>(
        &self,
        long: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Read<Option<T>> {
        self.last(long).map(|text| parse(text).map_err(|error| bad(long, text, &error))).transpose()
    }

    /// All values of a flag, understood.
    pub(crate) fn each<T, E: Reason>(
        &self,
        long: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Read<Vec<T>> {
        self.all(long).map(|text| parse(text).map_err(|error| bad(long, text, &error))).collect()
    }
}

/// Why a value was refused.
pub(crate) trait Reason {
    /// In a line, the causes behind colons.
    fn line(&self) -> String;

    /// What the user can do about it, if there is something.
    fn hint(&self) -> Option<&str> {
        None
    }
}

impl<K: std::fmt::Debug> Reason for fault::Error<K> {
    fn line(&self) -> String {
        fault::Error::line(self)
    }

    fn hint(&self) -> Option<&str> {
        fault::Error::hint(self)
    }
}

macro_rules! plain {
    ($($kind:ty)*) => {
        $(impl Reason for $kind {
            fn line(&self) -> String {
                self.to_string()
            }
        })*
    };
}

plain!(String &str std::io::Error std::net::AddrParseError);

pub(crate) fn bad(long: &str, text: &str, reason: &dyn Reason) -> Mistake {
    let what = format!("invalid argument {text:?} for \"--{long}\" flag: {}", reason.line());
    Mistake { what, hint: reason.hint().map(str::to_owned), is_flag: true }
}

/// A whole number as Go's: `10`, `-1`, `0x10`, `0b11`, `0o17`, `017`, `1_000`.
pub(crate) fn integer<T: TryFrom<i128>>(text: &str) -> Result<T, String> {
    let plain = text.strip_prefix(['-', '+']).unwrap_or(text).to_ascii_lowercase();
    let (digits, radix) = match plain.as_bytes() {
        [b'0', b'x', ..] => (&plain[2..], 16),
        [b'0', b'b', ..] => (&plain[2..], 2),
        [b'0', b'o', ..] => (&plain[2..], 8),
        [b'0', _, ..] => (&plain[1..], 8),
        _ => (&plain[..], 10),
    };
    let is_number =
        digits.starts_with(|c: char| c.is_digit(radix)) && digits.ends_with(|c: char| c.is_digit(radix));
    let number = i128::from_str_radix(&digits.replace('_', ""), radix).ok().filter(|_| is_number);
    let number = number.ok_or_else(|| format!("parsing {text:?}: invalid syntax"))?;
    let signed = if text.starts_with('-') { -number } else { number };
    T::try_from(signed).map_err(|_| format!("parsing {text:?}: value out of range"))
}

/// Go's words for a boolean, which pflag takes.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn text(word: OsString) -> Read<String> {
    word.into_string().map_err(|word| {
        let hint = "hull writes what it runs as JSON, which is UTF-8";
        Mistake::new(format!("argument {word:?} is not UTF-8")).of_flag().with_hint(hint)
    })
}

/// The nearest of some words, if it is near.
pub(crate) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|word| (strsim::damerau_levenshtein(typed, word), word));
    scored
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, word)| *distance <= 1 + word.len() / 5)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Syntax = Syntax {
        name: "run",
        rest: "IMAGE",
        about: "",
        flags: &[
            switch("interactive", "").or('i'),
            switch("tty", "").or('t'),
            switch("rm", ""),
            value("env", "KEY=VALUE", "").or('e'),
            value("name", "NAME", ""),
        ],
        examples: &[],
        words: (1, usize::MAX),
        stops: true,
    };

    fn read(line: &str) -> Read<Typed> {
        RUN.read(line.split_whitespace().map(OsString::from).collect())
    }

    #[test]
    fn flags_are_read_as_docker_reads_them() {
        let typed = read("-it --rm=false -eA=1 -e=B=2 -e C=3 --name x --name=y img -it --rm").unwrap();
        assert!(typed.is_on("interactive") && typed.is_on("tty") && !typed.is_on("rm"));
        assert!(!read("-ti=false img").unwrap().is_on("interactive"));
        assert_eq!(typed.all("env").collect::<Vec<_>>(), ["A=1", "B=2", "C=3"]);
        assert_eq!(typed.last("name"), Some("y"));
        assert_eq!(typed.words, ["img", "-it", "--rm"]);
    }

    proptest::proptest! {
        /// Whatever is typed is a mistake or is kept, and nothing behind the first word is looked at.
        #[test]
        fn no_line_panics(before in line(), after in line()) {
            let _ = RUN.read(before.iter().map(OsString::from).collect());
            let all = ["--rm", "img"].map(str::to_owned).into_iter().chain(after.clone());
            let typed = RUN.read(all.map(OsString::from).collect()).unwrap();
            proptest::prop_assert_eq!(&typed.words[1..], after);
        }
    }

    fn line() -> impl proptest::strategy::Strategy<Value = Vec<String>> {
        use proptest::prelude::*;
        proptest::collection::vec(prop_oneof![any::<String>(), "-{0,3}[iterm=né]{0,5}"], 0..6)
    }

    #[test]
    fn numbers_are_gos() {
        for (text, number) in
            [("10", 10), ("-1", -1), ("+3", 3), ("0x1F", 31), ("017", 15), ("0b11", 3), ("1_000", 1000)]
        {
            assert_eq!(integer::<i32>(text), Ok(number), "{text}");
        }
        for text in ["", "x", "-", "0x", "08", "1_", "_1", "--1", " 1", "1.5"] {
            assert!(integer::<i32>(text).unwrap_err().ends_with("invalid syntax"), "{text}");
        }
        assert!(integer::<u16>("70000").unwrap_err().ends_with("value out of range"));
        assert!(integer::<u16>("-1").unwrap_err().ends_with("value out of range"));
    }

    #[test]
    fn two_dashes_end_the_flags() {
        assert_eq!(read("--rm -- img --rm").unwrap().words, ["img", "--rm"]);
    }

    #[test]
    fn mistakes_are_told_with_what_was_meant() {
        let mistake = read("--nmae x img").unwrap_err();
        assert_eq!(mistake.what, "unknown flag: --nmae");
        assert_eq!(mistake.hint.as_deref(), Some("did you mean `--name`?"));
        assert_eq!(read("--name").unwrap_err().what, "flag needs an argument: --name");
        assert_eq!(read("--rm").unwrap_err().what, "'hull run' requires at least 1 argument");
        assert!(read("-p 80 img").unwrap_err().hint.unwrap().contains("not available yet"));
        assert!(read("--rm=maybe img").is_err());
    }
}
