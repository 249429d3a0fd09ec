//! Names for containers whose user gave none: a quality and a thing, `quiet_harbour`. The words are
//! hull's own: kind or neutral in every pairing, no people, nothing of the machine's own vocabulary.

const QUALITIES: [&str; 64] = [
    "amber", "ample", "apt", "autumn", "azure", "balmy", "bold", "brave", "breezy", "bright", "brisk",
    "calm", "candid", "cheery", "clear", "clever", "copper", "cosy", "crisp", "curious", "dapper", "deft",
    "eager", "early", "fabled", "fair", "fleet", "fond", "frank", "fresh", "gentle", "glad", "golden",
    "hardy", "hearty", "honest", "humble", "jolly", "keen", "kind", "lively", "lucid", "lunar", "mellow",
    "merry", "mild", "misty", "nimble", "noble", "patient", "placid", "plucky", "quick", "quiet", "radiant",
    "serene", "silver", "snug", "spry", "steady", "sunny", "tidy", "vivid", "warm",
];

const THINGS: [&str; 64] = [
    "acorn", "alder", "anchor", "aspen", "badger", "beacon", "birch", "bramble", "brook", "cedar", "clover",
    "comet", "coral", "cove", "crane", "curlew", "dune", "ember", "falcon", "fern", "finch", "fjord",
    "glade", "harbour", "hazel", "heath", "heron", "island", "juniper", "kestrel", "lagoon", "lantern",
    "larch", "lark", "linnet", "lynx", "maple", "marten", "meadow", "mesa", "moor", "orchard", "osprey",
    "otter", "pebble", "pine", "plover", "poplar", "prairie", "quartz", "raven", "reef", "river", "robin",
    "rowan", "sparrow", "spruce", "summit", "thicket", "thistle", "tundra", "valley", "willow", "wren",
];

/// The name for a number: the words in its low bits, and for one number in two a digit or more to
/// tell apart what 4,096 pairs cannot.
pub(crate) fn name(number: u32) -> String {
    let quality = QUALITIES[number as usize % 64];
    let thing = THINGS[(number >> 6) as usize % 64];
    match number >> 12 {
        high if high & 1 == 0 => format!("{quality}_{thing}"),
        high => format!("{quality}_{thing}{}", (high >> 1) % 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_word_comes_twice_and_all_are_plain() {
        let words: BTreeSet<_> = QUALITIES.iter().chain(&THINGS).collect();
        assert_eq!(words.len(), 128);
        assert!(words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())));
    }

    #[test]
    fn numbers_that_differ_in_their_low_bits_give_other_names() {
        let names: BTreeSet<_> = (0..4096).map(name).collect();
        assert_eq!(names.len(), 4096);
    }
}
