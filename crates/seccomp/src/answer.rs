//! What a profile answers to each call, for who explains it.

use crate::meaning::{Meaning, Verdict, is_permissive};
use crate::number::{name, number_of};
use crate::{Abi, Result};
use oci::runtime::LinuxSeccomp;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is made, whatever its arguments.
    Allowed,
    /// It depends on its arguments.
    Conditional,
    /// It is not made.
    Refused,
}

impl Answer {
    fn of(verdict: &Verdict) -> Self {
        let otherwise = is_permissive(verdict.otherwise);
        match verdict.cases.iter().all(|case| is_permissive(case.action) == otherwise) {
            false => Self::Conditional,
            true if otherwise => Self::Allowed,
            true => Self::Refused,
        }
    }
}

/// The calls of this machine's own ABI, in alphabetical order, with what the profile answers.
///
/// # Errors
/// [`crate::Kind::Invalid`] for a profile that could not be compiled either.
pub fn answers(profile: &LinuxSeccomp) -> Result<Vec<(&'static str, Answer)>> {
    let meaning = Meaning::of(profile)?;
    let answers: Vec<_> = meaning.verdicts.iter().map(Answer::of).collect();
    let rows = meaning.rows.iter().enumerate().filter(|(row, _)| number_of(*row, Abi::NATIVE).is_some());
    Ok(rows.map(|(row, verdict)| (name(row), answers[usize::from(*verdict)])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Capabilities, default_profile};

    fn answer(caps: Capabilities, call: &str) -> Answer {
        let all = answers(&default_profile(caps, (6, 1))).unwrap();
        all.into_iter().find(|(name, _)| *name == call).unwrap().1
    }

    #[test]
    fn the_default_profile_answers_as_docker_says() {
        let answer = |call| answer(Capabilities::DEFAULT, call);
        assert_eq!(answer("read"), Answer::Allowed);
        assert_eq!(answer("mount"), Answer::Refused);
        assert_eq!(answer("clone3"), Answer::Refused);
        assert_eq!(answer("clone"), Answer::Conditional);
        assert_eq!(answer("socket"), Answer::Conditional);
    }

    #[test]
    fn capabilities_open_calls() {
        assert_eq!(answer(Capabilities::ALL, "mount"), Answer::Allowed);
        assert_eq!(answer(Capabilities::ALL, "clone"), Answer::Allowed);
        assert_eq!(answer(Capabilities::ALL, "kexec_load"), Answer::Refused);
    }
}
