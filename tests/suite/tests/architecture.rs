//! The shape of the sources: which crate may know which, where versions stand, what files may be called and how long
//! they may become. The conventions say why.
#![allow(clippy::disallowed_methods, clippy::expect_used, reason = "tests")]

use cargo_metadata::{Dependency, DependencyKind, Metadata, MetadataCommand, Package};
use std::fs;
use std::path::{Path, PathBuf};

/// Names that say nothing of a file's job in the domain.
const NAMES_NOT_USED: [&str; 5] = ["common", "utils", "helpers", "misc", "manager"];
const LONGEST_MAIN: usize = 40;
const LONGEST_FILE: usize = 700;
/// A workspace of its own: cargo-fuzz builds it with flags that no other build could share.
const FUZZ: &str = "fuzz";

fn workspace() -> Metadata {
    MetadataCommand::new().no_deps().other_options(["--offline".to_owned()]).exec().expect("cargo knows the workspace")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace").to_owned()
}

/// The folder of a crate, such as `services/power`.
fn folder(package: &Package) -> String {
    let directory = package.manifest_path.parent().expect("a directory");
    directory.strip_prefix(root().to_str().expect("text")).expect("a member").to_string()
}

/// The crates of this workspace that a crate names: their folders and how.
fn own<'a>(workspace: &'a Metadata, package: &'a Package) -> impl Iterator<Item = (String, DependencyKind)> + 'a {
    let of = |dependency: &Dependency| {
        let found = workspace.packages.iter().find(|package| package.name.as_str() == dependency.name)?;
        Some((folder(found), dependency.kind))
    };
    package.dependencies.iter().filter_map(of)
}

/// Every file of the workspace that somebody wrote, with its path from the root.
fn files() -> Vec<(PathBuf, PathBuf)> {
    let root = root();
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if path.is_dir() {
                if !(name.starts_with('.') || name == "target") {
                    open.push(path);
                }
            } else {
                found.push((path.strip_prefix(&root).expect("under the root").to_owned(), path));
            }
        }
    }
    found
}

fn sources() -> impl Iterator<Item = (PathBuf, String)> {
    let rust = |path: &Path| path.extension().is_some_and(|extension| extension == "rs");
    files().into_iter().filter(move |(path, _)| rust(path)).map(|(path, full)| {
        let text = fs::read_to_string(full).expect("a source");
        (path, text)
    })
}

fn none(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n  {}", faults.join("\n  "));
}

#[test]
fn every_crate_of_the_tree_is_a_member() {
    let workspace = workspace();
    let members: Vec<String> = workspace.packages.iter().map(folder).collect();
    let manifests = files().into_iter().filter(|(path, _)| path.ends_with("Cargo.toml"));
    let folders = manifests.map(|(path, _)| path.parent().expect("a folder").display().to_string());
    let known = |folder: &String| folder.is_empty() || folder == FUZZ || members.contains(folder);
    let strangers: Vec<String> = folders.filter(|folder| !known(folder)).collect();
    none("these crates are not members, so nothing here looks at them", &strangers);
    assert!(members.len() > 12, "{members:?}");
}

#[test]
fn arrows_point_one_way() {
    let workspace = workspace();
    let mut wrong = Vec::new();
    for package in &workspace.packages {
        let from = folder(package);
        for (to, kind) in own(&workspace, package) {
            let shell = ["interfaces", "services/runtime"].contains(&to.as_str());
            let test = to.starts_with("tests/");
            // The protocol crate knows nothing of ours; of the services, `ocpp` alone knows the protocol.
            let protocol = to == "ocpp16";
            let may = match (from.as_str(), kind) {
                ("ocpp16", _) => false,
                ("services/ocpp", _) if protocol => true,
                ("interfaces", DependencyKind::Development) => test,
                ("interfaces", _) => false,
                ("services/runtime", DependencyKind::Development) => to == "interfaces" || test,
                ("services/runtime", _) => to == "interfaces",
                (service, DependencyKind::Development) if service.starts_with("services/") => shell || test,
                (service, _) if service.starts_with("services/") => shell,
                ("tests/private-bus", _) => false,
                // A service is run as a process, as a station would; the engineer's command is a library too.
                (test_crate, _) if test_crate.starts_with("tests/") => {
                    shell || test || protocol || to == "services/ctl"
                }
                _ => false,
            };
            if !may {
                wrong.push(format!("{from} -> {to} ({kind})"));
            }
        }
    }
    none("arrows that point the wrong way", &wrong);
}

#[test]
fn the_arrows_are_seen() {
    let workspace = workspace();
    let power = workspace.packages.iter().find(|package| package.name.as_str() == "busbar-power").expect("power");
    let arrows: Vec<(String, DependencyKind)> = own(&workspace, power).collect();
    assert!(arrows.contains(&("services/runtime".to_owned(), DependencyKind::Normal)), "{arrows:?}");
}

#[test]
fn versions_stand_in_the_root_alone() {
    let mut wrong = Vec::new();
    for package in &workspace().packages {
        let text = fs::read_to_string(&package.manifest_path).expect("a manifest");
        let mut section = "";
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.starts_with('[') {
                section = line.trim_matches(['[', ']']);
                // `[dependencies.name]` would hide a version below it.
                if section.contains("dependencies.") {
                    wrong.push(format!("{}:{number}: {line}", package.manifest_path));
                }
                continue;
            }
            let empty = line.is_empty() || line.starts_with('#');
            let of_the_workspace = line.contains("workspace = true")
                && !["version =", "path =", "git ="].iter().any(|word| line.contains(word));
            if section.ends_with("dependencies") && !empty && !of_the_workspace {
                wrong.push(format!("{}:{number}: {line}", package.manifest_path));
            }
        }
    }
    none("dependencies that the root does not decide", &wrong);
}

#[test]
fn every_member_has_the_lints_of_the_workspace() {
    let without = workspace().packages.into_iter().filter(|package| {
        let text = fs::read_to_string(&package.manifest_path).expect("a manifest");
        !text.contains("[lints]\nworkspace = true\n")
    });
    let without: Vec<String> = without.map(|package| package.manifest_path.into_string()).collect();
    none("members without `[lints] workspace = true`", &without);
}

#[test]
fn names_say_a_job_in_the_domain() {
    let empty = files().into_iter().map(|(path, _)| path).filter(|path| {
        let words = path.iter().map(|part| Path::new(part).file_stem().unwrap_or_default().to_string_lossy());
        words.into_iter().any(|word| NAMES_NOT_USED.contains(&word.to_lowercase().as_str()))
    });
    none("names that are not used", &empty.map(|path| path.display().to_string()).collect::<Vec<_>>());
}

#[test]
fn files_stay_short() {
    let mut long = Vec::new();
    for (path, text) in sources() {
        let main = path.starts_with("services") && path.ends_with("src/main.rs");
        let (lines, limit) = (text.lines().count(), if main { LONGEST_MAIN } else { LONGEST_FILE });
        if lines > limit {
            long.push(format!("{} has {lines} lines, {limit} are the most", path.display()));
        }
    }
    none("files that are too long", &long);
}

#[test]
fn no_service_knows_that_hardware_can_be_simulated() {
    let mut knows = Vec::new();
    for (path, text) in sources() {
        let folders: Vec<_> = path.iter().take(3).collect();
        let of_a_service = folders.first().is_some_and(|first| *first == "services")
            && folders.get(1).is_some_and(|role| *role != "ctl")
            && folders.get(2).is_some_and(|folder| *folder == "src");
        if !of_a_service {
            continue;
        }
        for (number, line) in (1..).zip(text.lines()) {
            let lower = line.to_lowercase();
            let mut words = lower.split(|letter: char| !letter.is_alphabetic());
            if words.any(|word| ["plant", "plants"].contains(&word) || word.contains("simulat")) {
                knows.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    none("a service cannot tell a simulator from a cabinet, and does not speak of one", &knows);
}
