//! A test of the catalogue against the other services: whoever is listed as acting on a key names it in its sources,
//! and whoever names a key that can be written is listed. So a key is never accepted that then has no effect.
#![allow(clippy::disallowed_methods, reason = "the test reads sources")]

use crate::catalogue;
use crate::keys::Key;
use busbar_interfaces::names;
use busbar_interfaces::words::KeyAccess;
use std::fs;
use std::path::{Path, PathBuf};

/// The lines of a module and of its children that are compiled into the service: no tests, no comments.
fn module(file: &Path, children: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let word = line.trim_start();
        if word.starts_with("//") {
            continue;
        }
        if word == "#[cfg(test)]" {
            skip_item(&mut lines, line.len() - word.len());
            continue;
        }
        code.push_str(line);
        code.push('\n');
        let child = word.trim_start_matches("pub(crate) ").trim_start_matches("pub ").strip_prefix("mod ");
        if let Some(child) = child.and_then(|child| child.strip_suffix(';')) {
            let (beside, within) = (children.join(format!("{child}.rs")), children.join(child));
            let file = if beside.exists() { beside } else { within.join("mod.rs") };
            code.push_str(&module(&file, &within));
        }
    }
    code
}

/// Passes over the item that follows, with its attributes: one line, or all to the brace that ends it at its depth.
fn skip_item<'a>(lines: &mut impl Iterator<Item = &'a str>, depth: usize) {
    let ends = |line: &str, with: &[char]| line.ends_with(with);
    let mut item = lines.next().unwrap_or_default();
    while item.trim_start().starts_with("#[") {
        if !ends(item, &[']']) {
            lines.find(|line| ends(line, &[']']));
        }
        item = lines.next().unwrap_or_default();
    }
    if !ends(item, &[';', ',', '}']) {
        let end = format!("{}}}", " ".repeat(depth));
        lines.find(|line| *line == end);
    }
}

/// What is compiled into the program of a role.
fn sources(role: &str) -> String {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", role, "src"].iter().collect();
    let roots = ["lib.rs", "main.rs"].map(|name| folder.join(name));
    roots.iter().filter(|root| root.exists()).map(|root| module(root, &folder)).collect()
}

#[test]
fn case_31_case_c_s10_a_key_is_applied_by_exactly_the_services_that_the_catalogue_names() {
    let mut wrong = Vec::new();
    for service in names::ALL.into_iter().filter(|service| *service != names::SETTINGS) {
        let sources = sources(service.role);
        assert!(sources.contains("fn "), "{} has no sources", service.role);
        let named = |key: &&Key| sources.contains(&format!("\"{}\"", key.name));
        let listed = |key: &&Key| key.applied_by.contains(&service.role);
        let writable = |key: &&Key| key.access != KeyAccess::ReadOnly;
        for key in catalogue::ALL.iter().filter(|key| listed(key) && !named(key)) {
            wrong.push(format!("{} is listed as applied by {}, which does not name it", key.name, service.role));
        }
        for key in catalogue::ALL.iter().filter(|key| writable(key) && named(key) && !listed(key)) {
            wrong.push(format!("{} is named by {}, which is not listed", key.name, service.role));
        }
    }
    assert!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
}

#[test]
fn a_test_is_no_source() {
    let sources = sources("maintenance");
    assert!(sources.contains("\"io.busbar.") || sources.contains("names::MAINTENANCE"));
    assert!(!sources.contains("#[test]") && !sources.contains("//!"));
}
