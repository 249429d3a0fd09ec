//! Flags as runc's are typed: `--name value`, `--name=value`, `-n value`, and one dash will do for all.

use std::ffi::OsString;

/// One flag.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    /// All its names without dashes, the long one first.
    pub(crate) names: &'static [&'static str],
    /// What its value is called; empty for a switch.
    pub(crate) value: &'static str,
    pub(crate) help: &'static str,
}

pub(crate) const fn value(names: &'static [&'static str], value: &'static str, help: &'static str) -> Flag {
    Flag { names, value, help }
}

pub(crate) const fn switch(names: &'static [&'static str], help: &'static str) -> Flag {
    Flag { names, value: "", help }
}

/// What can be typed after a command's name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Syntax {
    pub(crate) name: &'static str,
    /// What follows the flags.
    pub(crate) rest: &'static str,
    pub(crate) about: &'static str,
    pub(crate) flags: &'static [Flag],
    /// Fewest and most words that are no flags.
    pub(crate) words: (usize, usize),
    /// So many words end the flags: what follows is a program's.
    pub(crate) stops_after: usize,
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
pub(crate) struct Mistake(pub(crate) String);

pub(crate) type Read<T> = Result<T, Mistake>;

pub(crate) fn mistake<T>(what: impl Into<String>) -> Read<T> {
    Err(Mistake(what.into()))
}

impl Syntax {
    /// Reads what was typed after the command's name.
    pub(crate) fn read(&self, args: impl IntoIterator<Item = OsString>) -> Read<Typed> {
        let mut typed = Typed::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let arg = text(arg)?;
            if typed.words.len() >= self.stops_after || !is_flag(&arg) {
                typed.words.push(arg);
            } else if arg == "--" {
                let rest: Vec<_> = args.by_ref().map(text).collect::<Read<_>>()?;
                typed.words.extend(rest);
            } else {
                self.take(&arg, &mut args, &mut typed)?;
            }
        }
        if typed.help { Ok(typed) } else { self.count(typed) }
    }

    fn take(&self, arg: &str, args: &mut impl Iterator<Item = OsString>, typed: &mut Typed) -> Read<()> {
        let body = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')).unwrap_or(arg);
        let (name, value) = body.split_once('=').map_or((body, None), |(name, value)| (name, Some(value)));
        let Some(flag) = self.flags.iter().find(|flag| flag.names.contains(&name)) else {
            typed.help |= matches!(name, "help" | "h");
            return if typed.help {
                Ok(())
            } else {
                mistake(format!("flag provided but not defined: -{name}"))
            };
        };
        let value = match (value, flag.value) {
            (Some(value), _) => value.to_owned(),
            (None, "") => "true".to_owned(),
            (None, _) => match args.next() {
                Some(value) => text(value)?,
                None => return mistake(format!("flag needs an argument: -{name}")),
            },
        };
        if flag.value.is_empty() && boolean(&value).is_none() {
            return mistake(format!("invalid boolean value {value:?} for -{name}"));
        }
        typed.flags.push((flag.names[0], value));
        Ok(())
    }

    fn count(&self, typed: Typed) -> Read<Typed> {
        let ((least, most), name, given) = (self.words, self.name, typed.words.len());
        match given {
            n if n < least && least == most => {
                mistake(format!("{name}: {name:?} requires exactly {least} argument(s)"))
            }
            n if n < least => mistake(format!("{name}: {name:?} requires a minimum of {least} argument(s)")),
            n if n > most && least == most => {
                mistake(format!("{name}: {name:?} requires exactly {least} argument(s)"))
            }
            n if n > most => mistake(format!("{name}: {name:?} requires a maximum of {most} argument(s)")),
            _ => Ok(typed),
        }
    }

    /// The help of the command.
    pub(crate) fn help(&self) -> String {
        let mut text = format!(
            "NAME:\n   hull-runtime {} - {}\n\nUSAGE:\n   hull-runtime {} [command options] {}\n\nOPTIONS:\n",
            self.name, self.about, self.name, self.rest
        );
        self.flags.iter().for_each(|flag| text += &flag.help_line());
        text
    }
}

impl Flag {
    /// Its line in the help.
    pub(crate) fn help_line(&self) -> String {
        let dashed = |name: &&str| if name.len() == 1 { format!("-{name}") } else { format!("--{name}") };
        let names: Vec<_> = self.names.iter().map(dashed).collect();
        let left = format!("{} {}", names.join(", "), self.value);
        format!("   {left:<32} {}\n", self.help)
    }
}

/// A lone dash is a word.
fn is_flag(arg: &str) -> bool {
    arg.len() > 1 && arg.starts_with('-')
}

impl Typed {
    /// A flag's last value.
    pub(crate) fn last(&self, name: &str) -> Option<&str> {
        self.flags.iter().rev().find(|(own, _)| *own == name).map(|(_, value)| value.as_str())
    }

    /// All values of a flag.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.flags.iter().filter(move |(own, _)| *own == name).map(|(_, value)| value.as_str())
    }

    /// Is a switch on?
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.last(name).and_then(boolean).unwrap_or(false)
    }

    /// A flag's last value, if it is not empty, understood.
    pub(crate) fn parsed<T: std::str::FromStr>(&self, name: &str) -> Read<Option<T>> {
        match self.last(name).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => match value.parse() {
                Ok(value) => Ok(Some(value)),
                Err(_) => mistake(format!("invalid value {value:?} for flag -{name}")),
            },
        }
    }

    /// A flag's last value as a path, if it is not empty, absolute.
    pub(crate) fn path(&self, name: &str) -> Option<std::path::PathBuf> {
        let path = self.last(name).filter(|value| !value.is_empty())?;
        Some(std::path::absolute(path).unwrap_or_else(|_| path.into()))
    }
}

/// Go's words for a boolean.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn text(word: OsString) -> Read<String> {
    word.into_string().map_err(|word| Mistake(format!("argument {word:?} is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXEC: Syntax = Syntax {
        name: "exec",
        rest: "",
        about: "",
        flags: &[value(&["env", "e"], "VALUE", ""), switch(&["tty", "t"], ""), value(&["cwd"], "PATH", "")],
        words: (1, usize::MAX),
        stops_after: 1,
    };

    fn read(line: &str) -> Read<Typed> {
        EXEC.read(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn flags_are_read_as_runc_reads_them() {
        let typed = read("-t --env A=1 -e B=2 -cwd / --env=C=3 id -t --env x").unwrap();
        assert!(typed.is_on("tty"));
        assert_eq!(typed.all("env").collect::<Vec<_>>(), ["A=1", "B=2", "C=3"]);
        assert_eq!(typed.last("cwd"), Some("/"));
        assert_eq!(typed.words, ["id", "-t", "--env", "x"]);
        assert!(!read("--tty=false id").unwrap().is_on("tty"));
    }

    #[test]
    fn two_dashes_end_the_flags() {
        assert_eq!(read("-t -- -id -t").unwrap().words, ["-id", "-t"]);
    }

    #[test]
    fn mistakes_are_told_in_runcs_words() {
        assert_eq!(read("--nope id").unwrap_err().0, "flag provided but not defined: -nope");
        assert_eq!(read("--env").unwrap_err().0, "flag needs an argument: -env");
        assert!(read("").unwrap_err().0.contains("requires a minimum of 1"));
        assert!(read("--tty=maybe id").is_err());
        assert!(read("--help").unwrap().help);
    }
}
