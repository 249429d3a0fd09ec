//! The invariants of ARCHITECTURE.md that a program can check.

use crate::shell::{Done, root};
use std::fs;
use std::path::{Path, PathBuf};
use syn::spanned::Spanned;
use syn::visit::Visit;

/// Crates by tier; each depends only on lower tiers. Within the lowest, `fault` is below the others.
const TIERS: [&[&str]; 6] = [
    &["fault"],
    &["sys", "oci", "template"],
    &["seccomp", "cgroup", "layer", "logs", "registry"],
    &["store", "runtime"],
    &["engine", "bundle"],
    &["cli", "runtime-cli"],
];

/// Above all tiers, or outside them.
const OUTSIDE: [&str; 3] = ["hull", "testkit", "xtask"];

/// Code lines of a function: half of all, nine in ten, and the longest.
const MEDIAN: usize = 7;
const NINTH: usize = 24;
const LONGEST: usize = 60;

/// Lines of a file without its tests.
const FILE: usize = 800;

/// A program of its own that prints, though it lies in a library.
const PRINTS: [&str; 1] = ["crates/engine/src/hello/mod.rs"];

/// The one global, see its comment.
const GLOBALS: [&str; 1] = ["crates/sys/src/step.rs"];

pub(crate) fn run() -> Done {
    let mut findings = Vec::new();
    let mut lengths = Vec::new();
    for name in crates() {
        findings.extend(against_tiers(&name, &read(&root().join("crates").join(&name).join("Cargo.toml"))));
        for path in sources(&root().join("crates").join(&name).join("src")) {
            let shown = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
            let (found, functions) = look(&name, &shown, &read(&path));
            findings.extend(found);
            if name != "xtask" {
                lengths.extend(functions);
            }
        }
    }
    findings.extend(distribution(&mut lengths));
    match findings.as_slice() {
        [] => Ok(()),
        some => Err(format!("{}\n{} findings", some.join("\n"), some.len())),
    }
}

fn crates() -> Vec<String> {
    let entries = fs::read_dir(root().join("crates")).expect("the workspace has crates");
    let mut names: Vec<_> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

fn tier(name: &str) -> Option<usize> {
    TIERS.iter().position(|tier| tier.contains(&name))
}

/// A dependency must be of a lower tier; `hull` may use all.
fn against_tiers(name: &str, manifest: &str) -> Vec<String> {
    let section = manifest.split("[dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let dependencies = section.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    let Some(own) = tier(name) else {
        return if OUTSIDE.contains(&name) {
            Vec::new()
        } else {
            vec![format!("crates/{name}: belongs to no tier")]
        };
    };
    let bad =
        dependencies.filter(|other| tier(other).is_some_and(|tier| tier >= own) || OUTSIDE.contains(other));
    bad.map(|other| format!("crates/{name}: depends on `{other}`, which is not below it")).collect()
}

/// What is wrong in a file, and the lengths of its functions.
fn look(name: &str, path: &str, text: &str) -> (Vec<String>, Vec<usize>) {
    let file = match syn::parse_file(text) {
        Ok(file) => file,
        Err(error) => return (vec![format!("{path}: {error}")], Vec::new()),
    };
    let mut look = Look { name, path, lines: text.lines().collect(), found: Vec::new(), lengths: Vec::new() };
    let documented = file.attrs.iter().any(|attr| attr.path().is_ident("doc"));
    let test_only = path.ends_with("tests.rs");
    if !documented && !test_only {
        look.found.push(format!("{path}:1: no module documentation"));
    }
    if !test_only {
        look.visit_file(&file);
    }
    let own = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text).lines().count();
    if own > FILE && !test_only {
        look.found.push(format!("{path}: {own} lines without tests, more than {FILE}"));
    }
    (look.found, look.lengths)
}

struct Look<'a> {
    name: &'a str,
    path: &'a str,
    lines: Vec<&'a str>,
    found: Vec<String>,
    lengths: Vec<usize>,
}

impl Look<'_> {
    fn find(&mut self, span: proc_macro2::Span, what: &str) {
        self.found.push(format!("{}:{}: {what}", self.path, span.start().line));
    }

    fn is_edge(&self) -> bool {
        matches!(self.name, "cli" | "runtime-cli" | "hull" | "xtask")
    }

    fn function(&mut self, block: &syn::Block, name: &syn::Ident) {
        let (first, last) = (block.span().start().line, block.span().end().line);
        let body = self.lines.get(first..last.saturating_sub(1)).unwrap_or_default();
        let code = body
            .iter()
            .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//"))
            .count()
            .max(1);
        self.lengths.push(code);
        if code > LONGEST {
            self.find(name.span(), &format!("`{name}` has {code} lines, more than {LONGEST}"));
        }
    }

    /// The note stands right above, or before a run of comment lines.
    fn has_safety_note(&self, line: usize) -> bool {
        let above = self.lines[..line.saturating_sub(1)].iter().rev();
        let near = above.take(4).chain(self.lines.get(line - 1));
        near.into_iter().any(|line| line.contains("SAFETY:"))
    }

    fn check_unsafe(&mut self, span: proc_macro2::Span) {
        if self.name != "sys" {
            self.find(span, "unsafe outside `sys`");
        } else if !self.has_safety_note(span.start().line) {
            self.find(span, "unsafe without a SAFETY note");
        }
    }

    fn check_macro(&mut self, mac: &syn::Macro) {
        let name = mac.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
        let prints = matches!(name.as_str(), "print" | "println" | "eprint" | "eprintln" | "dbg");
        if prints && !self.is_edge() && !PRINTS.contains(&self.path) {
            self.find(mac.span(), &format!("`{name}!` below the edges"));
        }
        if matches!(name.as_str(), "todo" | "unimplemented") {
            self.find(mac.span(), &format!("`{name}!`"));
        }
    }
}

fn is_test(attrs: &[syn::Attribute]) -> bool {
    attrs.iter().any(|attr| {
        let test =
            attr.path().is_ident("cfg") && attr.parse_args::<syn::Ident>().is_ok_and(|word| word == "test");
        test || attr.path().is_ident("test")
    })
}

impl<'ast> Visit<'ast> for Look<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if is_test(&item.attrs) {
            return;
        }
        if item.sig.asyncness.is_some() && !self.is_edge() {
            self.find(item.sig.span(), "async below the edges");
        }
        self.function(&item.block, &item.sig.ident);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if item.sig.asyncness.is_some() && !self.is_edge() {
            self.find(item.sig.span(), "async below the edges");
        }
        self.function(&item.block, &item.sig.ident);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_expr_unsafe(&mut self, item: &'ast syn::ExprUnsafe) {
        self.check_unsafe(item.unsafe_token.span());
        syn::visit::visit_expr_unsafe(self, item);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        let mutable = matches!(item.mutability, syn::StaticMutability::Mut(_));
        let kind = match &*item.ty {
            syn::Type::Path(path) => {
                path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default()
            }
            _ => String::new(),
        };
        let shared = ["OnceLock", "LazyLock", "Mutex", "RwLock", "Cell", "RefCell"].contains(&kind.as_str())
            || kind.starts_with("Atomic");
        if (mutable || shared) && !self.is_edge() && !GLOBALS.contains(&self.path) {
            self.find(item.span(), "global mutable state");
        }
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        self.check_macro(mac);
        syn::visit::visit_macro(self, mac);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let env = words.windows(2).any(|pair| {
            pair[0] == "env" && matches!(pair[1].as_str(), "var" | "var_os" | "vars" | "home_dir")
        });
        if env && !self.is_edge() {
            self.find(path.span(), "the environment is read below the edges");
        }
        syn::visit::visit_path(self, path);
    }
}

/// Half of the functions, and nine in ten, must be short.
fn distribution(lengths: &mut [usize]) -> Option<String> {
    lengths.sort_unstable();
    let at = |part: usize| lengths.get(lengths.len() * part / 10).copied().unwrap_or(0);
    let (median, ninth) = (at(5), at(9));
    eprintln!(
        "{} functions: median {median} lines, nine in ten within {ninth}, longest {}",
        lengths.len(),
        lengths.last().unwrap_or(&0)
    );
    (median > MEDIAN || ninth > NINTH).then(|| {
        format!("functions have outgrown: median {median} (at most {MEDIAN}), p90 {ninth} (at most {NINTH})")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(name: &str, text: &str) -> Vec<String> {
        look(name, "crates/x/src/lib.rs", text).0
    }

    #[test]
    fn each_rule_finds_its_breach() {
        for (name, text, what) in [
            ("store", "//! d\nfn f() { unsafe { g() } }", "unsafe outside"),
            ("sys", "//! d\n\n\n\n\nfn f() {\n    unsafe { g() }\n}", "SAFETY"),
            ("store", "//! d\nasync fn f() {}", "async"),
            ("engine", "//! d\nfn f() { println!(\"x\") }", "below the edges"),
            ("engine", "//! d\nfn f() { std::env::var(\"X\"); }", "environment"),
            ("layer", "//! d\nstatic X: std::sync::Mutex<u8> = Y;", "global"),
            ("layer", "fn f() {}", "documentation"),
            ("layer", "//! d\nfn f() { todo!() }", "todo"),
        ] {
            assert!(
                findings(name, text).iter().any(|found| found.contains(what)),
                "{what}: {:?}",
                findings(name, text)
            );
        }
    }

    #[test]
    fn what_is_right_is_left_alone() {
        assert!(findings("sys", "//! d\nfn f() {\n    // SAFETY: x\n    unsafe { g() }\n}").is_empty());
        assert!(findings("cli", "//! d\nfn f() { println!(\"x\") }").is_empty());
        assert!(findings("store", "//! d\n#[cfg(test)]\nmod tests { fn f() { unsafe { g() } } }").is_empty());
    }

    #[test]
    fn a_long_function_and_a_long_file_are_found() {
        let long = format!("//! d\nfn f() {{\n{}}}", "    g();\n".repeat(61));
        assert!(findings("oci", &long).iter().any(|found| found.contains("61 lines")));
        let file = format!("//! d\n{}", "const X: u8 = 0;\n".repeat(801));
        assert!(findings("oci", &file).iter().any(|found| found.contains("lines without tests")));
    }

    #[test]
    fn a_dependency_against_the_grain_is_found() {
        let manifest = |other: &str| format!("[dependencies]\n{other}.workspace = true\n");
        assert_eq!(against_tiers("layer", &manifest("store")).len(), 1);
        assert_eq!(against_tiers("store", &manifest("runtime")).len(), 1, "the same tier");
        assert!(against_tiers("store", &manifest("layer")).is_empty());
        assert!(against_tiers("hull", &manifest("cli")).is_empty());
    }
}
