//! Who may do what on the bus: `bus-config/ACCESS.md`, the policy files, the contracts and the code of the services say
//! the same, in both directions. That the bus enforces it is tried in the booted image, which has the users.
#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use busbar_interfaces::names;
use roxmltree::{Document, Node, ParsingOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const ENGINEERS: [&str; 2] = ["group busbar-engineer", "user root"];

/// Who, the service, the interface ("any" for all), the member ("all" for all).
type Rule = [String; 4];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace").to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path.as_ref())).expect("a file of the sources")
}

fn rule(who: &str, service: &str, interface: &str, member: &str) -> Rule {
    [who, service, interface, member].map(str::to_owned)
}

/// The service whose interface this is: `io.busbar.Power1.Connector` is one of `io.busbar.Power1`.
fn service_of(interface: &str) -> &'static str {
    let is = |name: &str| interface == name || interface.starts_with(&format!("{name}."));
    names::ALL.into_iter().map(|service| service.bus_name).find(|name| is(name)).expect(interface)
}

/// The rows of the tables under one heading of ACCESS.md, without the head of the table and without the reasons.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let text = read("bus-config/ACCESS.md");
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).expect(heading);
    let section = section.split("\n## ").next().expect("a section");
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().replace('`', "")).collect();
    lines.map(cells).collect()
}

/// Callers as the policies name them.
fn callers(cell: &str) -> Vec<String> {
    let one = |part: &str| match part {
        "anybody" => "default".to_owned(),
        group if group.starts_with("group ") => group.to_owned(),
        user => format!("user {user}"),
    };
    cell.split(", ").map(one).collect()
}

/// What ACCESS.md grants on the bus.
fn granted() -> BTreeSet<Rule> {
    let mut granted = BTreeSet::new();
    let services = || names::ALL.into_iter().map(|service| service.bus_name);
    for [user, name] in rows("Names").iter().map(|row| [&row[0], &row[1]]) {
        granted.insert(rule(&format!("user {user}"), name, "own", name));
    }
    for row in rows("Everybody").iter().chain(&rows("Reading")) {
        for (caller, service) in callers(&row[0]).iter().flat_map(|caller| services().map(move |name| (caller, name))) {
            granted.extend(row[2].split(", ").map(|member| rule(caller, service, &row[1], member)));
        }
    }
    for row in rows("Calls between services").iter().chain(&rows("Engineers")) {
        granted.extend(callers(&row[0]).iter().map(|caller| rule(caller, service_of(&row[1]), &row[1], &row[2])));
    }
    granted
}

/// What a policy file allows, and that it denies everything else by default.
fn allowed(name: &str) -> BTreeSet<Rule> {
    let text = read(format!("bus-config/{name}.conf"));
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(&text, options).expect(name);
    let policies: Vec<Node<'_, '_>> = document.root_element().children().filter(Node::is_element).collect();
    assert_eq!(
        policies.first().and_then(|first| first.attribute("context")),
        Some("default"),
        "{name}: what holds first"
    );
    let mut allowed = BTreeSet::new();
    let mut denied = BTreeSet::new();
    for policy in policies {
        assert!(policy.has_tag_name("policy") && policy.attributes().len() == 1, "{name}");
        let who = match policy.attributes().next().map(|attribute| (attribute.name(), attribute.value())) {
            Some(("context", "default")) => "default".to_owned(),
            Some((kind @ ("user" | "group"), who)) => format!("{kind} {who}"),
            other => panic!("{name}: {other:?}"),
        };
        for line in policy.children().filter(Node::is_element) {
            let words: BTreeMap<&str, &str> = line.attributes().map(|word| (word.name(), word.value())).collect();
            let words: Vec<(&str, &str)> = words.into_iter().collect();
            if line.has_tag_name("deny") {
                denied.insert((who.clone(), format!("{words:?}")));
                continue;
            }
            assert!(line.has_tag_name("allow"), "{name}");
            assert!(allowed.insert(understood(&who, name, &words)), "{name}: twice {words:?}");
        }
    }
    let everything: [&[(&str, &str)]; 3] = [
        &[("own", name)],
        &[("send_broadcast", "false"), ("send_destination", name)],
        &[("receive_sender", name), ("receive_type", "signal")],
    ];
    let everything = everything.map(|words| ("default".to_owned(), format!("{words:?}")));
    assert_eq!(denied, BTreeSet::from(everything), "{name}: what is denied");
    allowed
}

/// One rule that allows something; of the few shapes that are used, and of this service alone.
fn understood(who: &str, name: &str, words: &[(&str, &str)]) -> Rule {
    match words {
        [("own", own)] if *own == name => rule(who, name, "own", own),
        [("receive_sender", from), ("receive_type", "signal")] if *from == name => {
            rule(who, name, "any", "all signals")
        }
        [("send_destination", to), ("send_interface", interface)] if *to == name => rule(who, name, interface, "all"),
        [("send_destination", to), ("send_interface", interface), ("send_member", member)] if *to == name => {
            rule(who, name, interface, member)
        }
        other => panic!("{name}: {other:?}"),
    }
}

fn none(what: &str, found: impl Iterator<Item = impl std::fmt::Debug>) {
    let found: Vec<String> = found.map(|each| format!("{each:?}")).collect();
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn the_policies_allow_what_access_md_grants_and_nothing_else() {
    let allowed: BTreeSet<Rule> = names::ALL.into_iter().flat_map(|service| allowed(service.bus_name)).collect();
    let granted = granted();
    none("granted and not allowed", granted.difference(&allowed));
    none("allowed and not granted", allowed.difference(&granted));
    assert!(allowed.len() > 100, "{}", allowed.len());
    let files = fs::read_dir(root().join("bus-config")).expect("the policies");
    let files = files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned());
    none(
        "a policy of no service",
        files.filter(|file| {
            let name = file.strip_suffix(".conf");
            name.is_some_and(|name| !names::ALL.iter().any(|service| service.bus_name == name))
        }),
    );
}

/// The methods that the contracts describe: interface and member.
fn contracts() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for file in fs::read_dir(root().join("interfaces/xml")).expect("the contracts") {
        let text = fs::read_to_string(file.expect("a file").path()).expect("text");
        let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
        let document = Document::parse_with_options(&text, options).expect("XML");
        for method in document.descendants().filter(|node| node.has_tag_name("method")) {
            let interface = method.parent_element().and_then(|node| node.attribute("name")).expect("an interface");
            found.insert((interface.to_owned(), method.attribute("name").expect("a name").to_owned()));
        }
    }
    found
}

#[test]
fn every_method_has_a_caller_and_every_grant_a_method() {
    let named: BTreeSet<(String, String)> = granted()
        .into_iter()
        .filter(|[_, _, interface, _]| interface.starts_with("io.busbar."))
        .map(|[_, _, interface, member]| (interface, member))
        .collect();
    let contracts = contracts();
    none("granted and in no contract", named.difference(&contracts));
    none("in a contract and granted to nobody", contracts.difference(&named));
}

/// The Rust files of a folder, without their tests.
fn sources(folder: &str) -> String {
    let mut text = String::new();
    let mut open = vec![root().join(folder)];
    while let Some(path) = open.pop() {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a directory").map(|entry| entry.expect("an entry").path());
            open.extend(entries);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !name.starts_with("tests") {
            let file = fs::read_to_string(&path).expect("text");
            text.push_str(file.split("#[cfg(test)]\nmod ").next().expect("a part"));
        }
    }
    text
}

/// A proxy of the interfaces crate: its name, its interface, and its methods in Rust's spelling and on the bus.
struct Proxy {
    name: String,
    interface: String,
    methods: Vec<(String, String)>,
}

fn proxies() -> Vec<Proxy> {
    let text = sources("interfaces/src");
    let parts: Vec<&str> = text.split("#[zbus::proxy(").skip(1).collect();
    let of = |part: &&str| {
        let interface = part.split('"').nth(1).expect("an interface").to_owned();
        let (_, body) = part.split_once("pub trait ").expect("a trait");
        let (name, body) = body.split_once(" {").expect("a body");
        let body = body.split("\n}").next().expect("its end");
        let methods = body.split("    fn ").skip(1).map(|method| {
            let method = method.split('(').next().expect("a name");
            (method.to_owned(), camel_case(method))
        });
        Proxy { name: format!("{name}Proxy"), interface, methods: methods.collect() }
    };
    parts.iter().map(of).collect()
}

fn camel_case(snake: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    snake.split('_').map(capital).collect()
}

#[test]
fn the_services_call_what_they_are_granted_and_nothing_else() {
    let proxies = proxies();
    assert_eq!(proxies.len(), 8, "the proxies of the interfaces crate are found");
    let granted: BTreeSet<Rule> = granted()
        .into_iter()
        .filter(|[who, _, interface, _]| who.starts_with("user busbar-") && interface.starts_with("io.busbar."))
        .collect();
    let mut called = BTreeSet::new();
    for service in names::ALL {
        let text = sources(&format!("services/{}/src", service.role));
        let dense: String = text.split_whitespace().collect();
        for proxy in proxies.iter().filter(|proxy| text.contains(&proxy.name)) {
            for (_, member) in proxy.methods.iter().filter(|(method, _)| dense.contains(&format!(".{method}("))) {
                let who = format!("user busbar-{}", service.role);
                called.insert(rule(&who, service_of(&proxy.interface), &proxy.interface, member));
            }
        }
    }
    none("called and not granted", called.difference(&granted));
    none("granted and not called", granted.difference(&called));
}

#[test]
fn what_is_asked_of_the_system_is_granted_by_polkit_and_stands_in_access_md() {
    let rows = rows("Calls to the system");
    let asked_by = |user: &str| {
        let of = rows.iter().filter(|row| row[0] == user);
        of.map(|row| row[1].split(" of ").last().expect("an interface").to_owned()).collect::<BTreeSet<String>>()
    };
    for service in names::ALL {
        // Power alone asks the service manager, through the runtime.
        let mut text = sources(&format!("services/{}/src", service.role));
        if text.contains(".asked_to_stop(") || text.contains(".stop_kind(") {
            text.push_str(&sources("services/runtime/src"));
        }
        let foreign = text.split('"').filter(|word| {
            let is_name = word.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '.');
            is_name && word.starts_with("org.freedesktop.") && !word.starts_with("org.freedesktop.DBus")
        });
        let peers = |names: BTreeSet<&str>| -> BTreeSet<String> {
            names.iter().map(|name| name.split('.').take(3).collect::<Vec<_>>().join(".")).collect()
        };
        let granted = asked_by(&format!("busbar-{}", service.role));
        let granted = peers(granted.iter().map(String::as_str).collect());
        assert_eq!(peers(foreign.collect()), granted, "{}", service.role);
    }
    let access = read("bus-config/ACCESS.md");
    for role in ["maintenance", "ocpp"] {
        let rules = read(format!("packaging/polkit/50-busbar-{role}.rules"));
        assert!(rules.contains(&format!("subject.user === \"busbar-{role}\"")), "{role}");
        let actions: Vec<&str> = rules.split('"').filter(|word| word.starts_with("org.freedesktop.")).collect();
        assert!(!actions.is_empty(), "{role}");
        none(role, actions.iter().filter(|action| !access.contains(&format!("`{action}`"))));
    }
    assert!(rows.iter().any(|row| row[1].contains(PROPERTIES)), "the table is read");
    assert!(ENGINEERS.iter().all(|who| granted().iter().any(|[granted, ..]| granted == who)), "the engineers are read");
}
