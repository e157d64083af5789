//! The units, as systemd's own tools see them, and the files around them: what is shipped is listed, who is named
//! exists, and the station file that is shipped as an example is one.
#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use anyhow::{Context, Result, ensure};
use busbar_interfaces::names;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// In tenths, as `systemd-analyze` takes it.
const MOST_EXPOSURE: &str = "15";
const UNITS: &str = "usr/lib/systemd/system";
const SHARED: &str = "packaging/systemd/busbar-.service.d/10-hardening.conf";

/// What adds to what was said before; any other setting replaces it.
const LISTS: [&str; 12] = [
    "After",
    "ConditionDirectoryNotEmpty",
    "ConditionPathExists",
    "DeviceAllow",
    "Documentation",
    "Environment",
    "IPAddressAllow",
    "IPAddressDeny",
    "LoadCredential",
    "RestrictAddressFamilies",
    "SystemCallFilter",
    "Wants",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace").to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

/// One line of the list of files.
struct Listed {
    package: String,
    source: String,
    destination: String,
}

fn listed() -> Vec<Listed> {
    let lines = read("packaging/files");
    let lines = lines.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parts = lines.map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    parts
        .map(|parts| match <[String; 4]>::try_from(parts) {
            Ok([package, _mode, source, destination]) => Listed { package, source, destination },
            Err(parts) => panic!("not four columns: {parts:?}"),
        })
        .collect()
}

/// The settings of a unit file, without their values.
fn settings(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().filter(|line| !line.starts_with(['#', '[']));
    lines.filter_map(|line| Some(line.split_once('=')?.0)).collect()
}

/// A root directory with the units of this machine and ours, and programs for them; nothing where there is no systemd.
fn installed() -> Result<Option<tempfile::TempDir>> {
    let own = Path::new("/lib/systemd/system");
    if !own.join("sysinit.target").exists() || Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("this machine has no systemd-analyze or no units (Debian: systemd); nothing was analysed");
        return Ok(None);
    }
    let directory = tempfile::tempdir()?;
    let systemd = directory.path().join("usr/lib/systemd");
    fs::create_dir_all(&systemd)?;
    ensure!(Command::new("cp").arg("-a").arg(own).arg(&systemd).status()?.success(), "the machine's units");
    std::os::unix::fs::symlink("usr/lib", directory.path().join("lib"))?;
    for file in listed() {
        let to = directory.path().join(file.destination.trim_start_matches('/'));
        fs::create_dir_all(to.parent().context("a directory")?)?;
        if file.source.starts_with("packaging/systemd/") {
            fs::copy(root().join(&file.source), to)?;
        } else if file.source.starts_with("bin:") {
            fs::write(&to, "")?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(Some(directory))
}

#[test]
fn no_unit_is_exposed_beyond_what_it_needs() -> Result<()> {
    let Some(directory) = installed()? else { return Ok(()) };
    for service in names::ALL {
        let analysed = Command::new("systemd-analyze")
            .args(["security", "--no-pager", "--offline=true", "--threshold", MOST_EXPOSURE])
            .arg(format!("--root={}", directory.path().display()))
            .arg(format!("busbar-{}.service", service.role))
            .output()?;
        let said = String::from_utf8_lossy(&analysed.stdout);
        let level = said.lines().find(|line| line.contains("Overall exposure level")).unwrap_or_default();
        println!("{level}");
        ensure!(analysed.status.success() && !level.is_empty(), "{said}{}", String::from_utf8_lossy(&analysed.stderr));
    }
    Ok(())
}

#[test]
fn systemd_finds_no_fault_in_the_units() -> Result<()> {
    let Some(directory) = installed()? else { return Ok(()) };
    let units = directory.path().join(UNITS);
    let own = |service: &busbar_interfaces::ServiceName| units.join(format!("busbar-{}.service", service.role));
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .arg(format!("--root={}", directory.path().display()))
        .args(names::ALL.iter().map(own))
        .arg(units.join("busbar.target"))
        .output()?;
    let said = String::from_utf8_lossy(&verified.stderr);
    ensure!(verified.status.success() && said.is_empty(), "{said}");
    Ok(())
}

#[test]
fn a_unit_sets_nothing_that_the_shared_drop_in_takes_back() {
    let shared = read(SHARED);
    let shared = settings(&shared);
    for service in names::ALL {
        let unit = read(&format!("packaging/systemd/busbar-{}.service", service.role));
        let both =
            settings(&unit).intersection(&shared).filter(|name| !LISTS.contains(name)).copied().collect::<Vec<_>>();
        assert!(both.is_empty(), "busbar-{}.service: {both:?} belong in its 20-needs.conf", service.role);
    }
}

#[test]
fn each_service_has_its_unit_its_user_and_its_package() {
    let users = read("packaging/sysusers/busbar.conf");
    let users: BTreeSet<&str> = users.lines().collect();
    let listed = listed();
    for service in names::ALL {
        let role = service.role;
        let unit = read(&format!("packaging/systemd/busbar-{role}.service"));
        for line in [format!("ExecStart=/usr/libexec/busbar/busbar-{role}"), format!("User=busbar-{role}")] {
            assert!(unit.lines().any(|said| said == line), "{role}: {line}");
        }
        assert!(users.contains(format!("u busbar-{role} - \"Busbar {role}\"").as_str()), "{role}");
        assert!(users.contains(format!("m busbar-{role} busbar").as_str()), "{role}");
        for file in [
            format!("/usr/libexec/busbar/busbar-{role}"),
            format!("/lib/systemd/system/busbar-{role}.service"),
            format!("/usr/share/dbus-1/system.d/{}.conf", service.bus_name),
        ] {
            let is = |each: &&Listed| each.destination == file && each.package == format!("busbar-{role}");
            assert_eq!(listed.iter().filter(is).count(), 1, "{file}");
        }
    }
}

#[test]
fn every_file_that_is_to_be_shipped_is_listed_once_and_there() {
    let listed = listed();
    let mut sources: BTreeSet<&str> = BTreeSet::new();
    let mut places: BTreeSet<&str> = BTreeSet::new();
    for file in &listed {
        assert!(places.insert(&file.destination), "{} twice", file.destination);
        if file.source != "dir" && !file.source.contains(':') {
            assert!(root().join(&file.source).is_file(), "{}", file.source);
            sources.insert(&file.source);
        }
    }
    let control = read("packaging/debian/control");
    for file in &listed {
        assert!(control.lines().any(|line| line == format!("Package: {}", file.package)), "{}", file.package);
    }
    for folder in [
        "bus-config",
        "interfaces/xml",
        "packaging/networkd",
        "packaging/polkit",
        "packaging/sysusers",
        "packaging/systemd",
        "packaging/udev",
    ] {
        let mut open = vec![root().join(folder)];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(fs::read_dir(&path).expect("a directory").map(|entry| entry.expect("an entry").path()));
            } else {
                let own = path.strip_prefix(root()).expect("within").to_str().expect("text").to_owned();
                assert!(sources.contains(own.as_str()), "{own} is in no package");
            }
        }
    }
}

#[tokio::test]
async fn every_service_takes_the_example_of_a_station_file() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let configuration = directory.path().join("etc/busbar");
    fs::create_dir_all(&configuration)?;
    let example = read("packaging/station.example.toml");
    let own = std::env::current_exe()?;
    let programs = own.ancestors().nth(2).context("the directory of the programs")?;
    let faults = async |text: &str| {
        fs::write(configuration.join("station.toml"), text)?;
        let checked = busbar_ctl::check::station_file(directory.path(), programs).await;
        Ok::<_, anyhow::Error>(checked.err().map(|failure| failure.to_string()))
    };
    let found = faults(&example).await?;
    ensure!(found.is_none(), "{found:?}");
    // What it shows as not set is right too: each key is one of its section, and each value one of the key.
    let is_key = |line: &str| {
        line.strip_prefix("# ")
            .is_some_and(|rest| rest.split_once(" = ").is_some_and(|(key, _)| !key.contains([' ', '`'])))
    };
    let all: Vec<&str> = example.lines().map(|line| if is_key(line) { &line[2..] } else { line }).collect();
    let found = faults(&all.join("\n")).await?;
    ensure!(found.is_none(), "{found:?}");
    ensure!(faults(&example.replace("io_unit = 2", "io_unit = 1")).await?.is_some(), "a fault is seen");
    Ok(())
}
