//! docker's `top`: a container's processes as ps(1) shows them, by the host's pids.
//!
//! No ps(1) is run, and none need be there. Who a process belongs to is told as the container has it, by its map of ids
//! and its passwd file: on the host its ids are numbers of a range.

mod column;
mod process;

use crate::Engine;
use crate::error::{Error, Kind, Result};
use column::{Column, FULL, JOBS, LONG, USERS};
use process::{Host, Process};
use rustix::process::Pid;

/// A table of processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Top {
    /// ps(1)'s headings.
    pub titles: Vec<String>,
    /// A process each, by pid.
    pub rows: Vec<Vec<String>>,
}

impl Engine {
    /// The processes of a container that runs, with the columns that options of ps(1) ask for; `-ef` without any.
    ///
    /// # Errors
    /// [`Kind::Invalid`] of an option or a column that is not known, or where the pid is not among the columns.
    pub fn top(&self, text: &str, options: &[String]) -> Result<Top> {
        let columns = columns(options)?;
        let (container, running) = self.running_one(text)?;
        let first = running.pid.and_then(Pid::from_raw);
        let host = Host::look(first);
        let mut pids = self.group_of(&running)?.map_or_else(Vec::new, |group| group.all_procs());
        pids.sort_unstable_by_key(|pid| pid.as_raw_nonzero());
        pids.dedup();
        let rows = pids
            .iter()
            .filter_map(|pid| Process::read(*pid))
            .map(|process| columns.iter().map(|column| column.show(&process, &host)).collect());
        let rows = rows.collect();
        self.report(self.event_of(&container, "top"));
        Ok(Top { titles: columns.into_iter().map(|column| column.title).collect(), rows })
    }
}

/// What the options come to.
fn columns(options: &[String]) -> Result<Vec<Column>> {
    let mut asked = Asked::default();
    let mut words = options.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if let Some(list) = asked.take(word)? {
            let list = if list.is_empty() { words.next().unwrap_or_default() } else { list };
            asked.columns.extend(column::list(list)?);
        }
    }
    let columns = match asked.preset {
        _ if !asked.columns.is_empty() => asked.columns,
        preset => column::list(preset.unwrap_or(if options.is_empty() { FULL } else { PLAIN }))?,
    };
    match columns.iter().any(|column| column.title == "PID") {
        true => Ok(columns),
        false => Err(Error::new(Kind::Invalid, "couldn't find PID field in ps output")),
    }
}

/// ps(1)'s columns where nothing was said of them.
const PLAIN: &str = "pid,tname=TTY,time,ucmd=CMD";

#[derive(Default)]
struct Asked {
    preset: Option<&'static str>,
    columns: Vec<Column>,
}

impl Asked {
    /// One word of options, of UNIX's kind (`-ef`) or BSD's (`aux`). What follows an `o` in it is a list of columns, or
    /// the next word is.
    fn take<'a>(&mut self, word: &'a str) -> Result<Option<&'a str>> {
        if let Some(list) = word.strip_prefix("--format") {
            return Ok(Some(list.trim_start_matches('=')));
        }
        let (is_unix, letters) = word.strip_prefix('-').map_or((false, word), |rest| (true, rest));
        for (at, letter) in letters.char_indices() {
            match letter {
                'o' => return Ok(Some(letters[at + 1..].trim_start_matches('='))),
                'e' | 'A' | 'a' | 'x' | 'd' | 'w' | 'N' => {}
                'f' if is_unix => self.preset = Some(FULL),
                'f' => {}
                'u' if !is_unix => self.preset = Some(USERS),
                'l' if is_unix => self.preset = Some(LONG),
                'j' if is_unix => self.preset = Some(JOBS),
                _ => return Err(unknown(word)),
            }
        }
        Ok(None)
    }
}

fn unknown(word: &str) -> Error {
    Error::new(Kind::Invalid, format!("unknown option of ps: '{word}'"))
        .with_hint("known are -e -f -l -j -o COLUMN,… and aux")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(options: &[&str]) -> Result<String> {
        let options: Vec<_> = options.iter().map(|&word| word.to_owned()).collect();
        Ok(columns(&options)?.into_iter().map(|column| column.title).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn options_are_those_of_ps() {
        assert_eq!(titles(&[]).unwrap(), "UID PID PPID C STIME TTY TIME CMD");
        assert_eq!(titles(&["-ef"]).unwrap(), "UID PID PPID C STIME TTY TIME CMD");
        assert_eq!(titles(&["aux"]).unwrap(), "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND");
        for options in
            [&["-o", "pid,comm"][..], &["-eopid,comm"], &["-o", "pid", "-o", "comm"], &["axo", "pid,comm"]]
        {
            assert_eq!(titles(options).unwrap(), "PID COMMAND", "{options:?}");
        }
        assert_eq!(titles(&["-e"]).unwrap(), "PID TTY TIME CMD");
        assert_eq!(titles(&["-o", "pid,comm=WHAT"]).unwrap(), "PID WHAT");
        assert!(titles(&["-o", "comm"]).unwrap_err().to_string().contains("couldn't find PID"));
        assert!(titles(&["-Z"]).is_err() && titles(&["-o", "pid,colour"]).is_err());
    }
}
