use super::*;

/// What is offered for the last word of a line, where nothing is kept.
fn offered(line: &str) -> Answer {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let (last, before) = words.split_last().expect("a word");
    let root = ["--root".to_owned(), "/nowhere/hull".to_owned()];
    answered(&[&root[..], before].concat(), last)
}

fn words(line: &str) -> Vec<String> {
    offered(line).words.into_iter().map(|(word, _)| word).collect()
}

#[test]
fn commands_and_groups_come_first() {
    assert_eq!(words("ren"), ["rename"]);
    assert_eq!(words("imag"), ["images", "image"]);
    assert_eq!(words("image i"), ["import", "inspect"]);
    assert_eq!(words("help expl"), ["explain"]);
    assert_eq!(words("--roo"), ["--root"]);
    assert_eq!(words("nothing x"), [""; 0]);
    assert!(words("").len() > 30 && !words("").contains(&ASK.to_owned()));
}

#[test]
fn every_command_and_every_flag_is_offered() {
    for command in COMMANDS {
        for name in command.names {
            assert!(words(name).iter().any(|word| name.ends_with(word.as_str())), "{name}");
            for flag in command.syntax.flags {
                let spelled = format!("--{}", flag.long);
                assert!(words(&format!("{name} {spelled}")).contains(&spelled), "{name} {spelled}");
            }
        }
    }
}

#[test]
fn flags_end_where_a_program_begins() {
    assert_eq!(words("run --read"), ["--read-only"]);
    assert_eq!(words("run -it --read"), ["--read-only"]);
    assert_eq!(words("run image --read"), [""; 0]);
    assert_eq!(words("run -e --read"), [""; 0], "it is a variable's name");
    assert_eq!(words("run -eA=1 --read"), ["--read-only"]);
    assert_eq!(words("rm -- --forc"), [""; 0]);
    assert_eq!(words("rm x --forc"), ["--force"]);
}

#[test]
fn values_are_those_of_the_flag() {
    assert_eq!(words("run --network h"), ["host"]);
    assert_eq!(words("run --network=h"), ["--network=host"]);
    assert_eq!(words("kill -s TE"), ["TERM"]);
    assert_eq!(words("run --cap-add CAP_SYS_ADM"), ["CAP_SYS_ADMIN"]);
    assert_eq!(words("ps --filter stat"), ["status="]);
    assert_eq!(words("completion z"), ["zsh"]);
    assert_eq!(words("run --memory 1"), [""; 0]);
}

#[test]
fn what_else_may_be_there_is_told() {
    for (line, then) in [
        ("run --network cont", Then::Open),
        ("run --network h", Then::Words),
        ("run --env-file x", Then::Files),
        ("run --env-file=x", Then::Files),
        ("run -v /x", Then::Files),
        ("run -v /x:/y", Then::Words),
        ("--root /x", Then::Directories),
        ("import x", Then::Files),
        ("load -i x", Then::Files),
        ("run --workdir /x", Then::Words),
    ] {
        assert_eq!(offered(line).then, then, "{line}");
    }
}

#[test]
fn a_line_is_a_line_whatever_stands_in_it() {
    let words = vec![("a".to_owned(), "b\nc\td".to_owned()), ("e\nf".to_owned(), String::new())];
    let answer = Answer { words, then: Then::Words }.beginning("");
    assert_eq!(answer.text(), "a\tb c d\n:words\n");
}
