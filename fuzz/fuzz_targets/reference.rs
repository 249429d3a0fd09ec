//! Any text is a reference or is refused; one that is keeps its meaning in every form.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::Reference;

fuzz_target!(|text: &str| {
    let Ok(reference) = text.parse::<Reference>() else { return };
    let again = |form: String| form.parse::<Reference>().expect("a form of a reference is one");
    assert_eq!(again(reference.canonical()), reference);
    // The name alone may mean another image (docker's own ambiguity, see `Reference::familiar_name`).
    let _ = reference.familiar();
    let tagged = reference.clone().with_default_tag();
    assert_eq!(again(tagged.canonical()), tagged);
    assert!(tagged.tag().is_some() || tagged.digest().is_some());
    let bare = reference.without_suffix();
    assert_eq!((bare.tag(), bare.digest()), (None, None));
    assert_eq!(again(bare.canonical()), bare);
});
