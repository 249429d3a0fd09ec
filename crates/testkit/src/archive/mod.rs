//! Archives made to harm, by name.

mod cut;
mod documents;
mod gnu;
pub mod layout;
mod links;
mod names;
mod nodes;
mod numbers;
mod packed;
mod pax;
mod sparse;
pub mod tar;
mod whiteouts;

/// What no archive may reach: a directory that a test makes, and looks at afterwards.
pub const CANARY: &str = "/var/tmp/hull-canary";

/// One archive.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// What it tries, in a few words.
    pub name: &'static str,
    /// Its bytes.
    pub make: fn() -> Vec<u8>,
    /// What must come of it.
    pub answer: Answer,
}

/// What must come of an archive.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// It is refused, in words that include these.
    Refused(&'static str),
    /// It is taken, and this is what is made of it, a line for each file, sorted by name:
    ///
    /// ```text
    /// MODE d NAME                 directory; `d!` one that hides what lies below it
    /// MODE f NAME [xLINKS] =TEXT  regular file, or `#BYTES` where it is longer than 32
    /// MODE c NAME MAJOR:MINOR     character device, `b` block device
    /// MODE p NAME                 fifo
    /// l NAME -> TARGET            symbolic link
    /// w NAME                      whiteout
    /// ```
    /// Behind each `@UID:GID` unless that is root's, and `+NAME` for each extended attribute. The root is left out
    /// unless it has another mode than 0755. Names are escaped as Rust escapes bytes.
    Tree(&'static [&'static str]),
    /// It is taken, whatever is made of it.
    Taken,
}

impl Case {
    const fn refused(name: &'static str, words: &'static str, make: fn() -> Vec<u8>) -> Self {
        Self { name, make, answer: Answer::Refused(words) }
    }

    const fn tree(name: &'static str, lines: &'static [&'static str], make: fn() -> Vec<u8>) -> Self {
        Self { name, make, answer: Answer::Tree(lines) }
    }

    const fn taken(name: &'static str, make: fn() -> Vec<u8>) -> Self {
        Self { name, make, answer: Answer::Taken }
    }
}

/// Cases of one kind.
pub type Group = (&'static str, &'static [Case]);

/// Layers, by what they abuse.
pub const LAYERS: [Group; 9] = [
    ("names", names::CASES),
    ("links", links::CASES),
    ("nodes", nodes::CASES),
    ("whiteouts", whiteouts::CASES),
    ("numbers", numbers::CASES),
    ("pax", pax::CASES),
    ("gnu", gnu::CASES),
    ("sparse", sparse::CASES),
    ("cut", cut::CASES),
];

/// Layers in some compression.
pub const PACKED: Group = ("packed", packed::CASES);

/// Whole images: archives of docker's and of OCI.
pub const IMAGES: Group = ("images", documents::CASES);
