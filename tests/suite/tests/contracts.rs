//! What the nine services serve is what `interfaces/xml` says, member by member, in both directions; and the files say
//! something of every member.
#![allow(clippy::disallowed_methods, clippy::expect_used, reason = "tests")]

use anyhow::{Context, Result, ensure};
use busbar_bench::{Bench, Options};
use busbar_interfaces::{ServiceName, names};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use tokio::process::Command;
use zbus::{Connection, OwnedVariant};
use zbus_xml::{Annotation, Arg, ArgDirection, Interface, Node, Property};

const OURS: &str = "io.busbar.";
const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const EMITS_CHANGED: &str = "org.freedesktop.DBus.Property.EmitsChangedSignal";

/// One object: its path and its interfaces.
struct Served {
    path: String,
    interfaces: Vec<Interface<'static>>,
}

impl Served {
    fn ours(&self) -> impl Iterator<Item = &Interface<'static>> {
        self.interfaces.iter().filter(|interface| interface.name().starts_with(OURS))
    }
}

/// The contracts: the text of each file by the interface that it is named after.
fn contracts() -> Result<BTreeMap<String, String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interfaces/xml");
    let mut contracts = BTreeMap::new();
    for file in fs::read_dir(folder)? {
        let file = file?.path();
        ensure!(file.extension().is_some_and(|extension| extension == "xml"), "{} is no contract", file.display());
        let interface = file.file_stem().context("a name")?.to_string_lossy().into_owned();
        contracts.insert(interface, fs::read_to_string(file)?);
    }
    Ok(contracts)
}

/// Every object of a service, from the root of the tree down.
async fn objects(bus: &Connection, service: ServiceName) -> Result<Vec<Served>> {
    let mut found = Vec::new();
    let mut open = vec!["/".to_owned()];
    while let Some(path) = open.pop() {
        let asked = bus.call_method(Some(service.bus_name), path.as_str(), Some(INTROSPECTABLE), "Introspect", &());
        let answer = asked.await.with_context(|| format!("{} {path}", service.bus_name))?;
        let text: String = answer.body().deserialize()?;
        let node = Node::try_from(text.as_str())?.into_owned();
        let above = path.trim_end_matches('/');
        open.extend(node.nodes().iter().filter_map(Node::name).map(|name| format!("{above}/{name}")));
        found.push(Served { path, interfaces: node.interfaces().to_vec() });
    }
    Ok(found)
}

fn arguments(arguments: &[Arg<'_>], default: ArgDirection) -> String {
    let of = |arg: &Arg<'_>| {
        let direction = match arg.direction().unwrap_or(default) {
            ArgDirection::In => "in",
            ArgDirection::Out => "out",
        };
        format!("{direction} {} {}", arg.ty(), arg.name().unwrap_or("(without a name)"))
    };
    arguments.iter().map(of).collect::<Vec<_>>().join(", ")
}

/// The annotations as the specification reads them: a property without a word about its signal sends it.
fn annotations(annotations: &[Annotation<'_>], default: Option<(&str, &str)>) -> BTreeMap<String, String> {
    let default = default.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let said = annotations.iter().map(|annotation| (annotation.name().to_owned(), annotation.value().to_owned()));
    default.into_iter().chain(said).collect()
}

/// An interface as a set of lines, one for each member with all that a caller relies on.
fn members(interface: &Interface<'_>) -> BTreeSet<String> {
    let methods = interface.methods().map(|method| {
        let also = annotations(method.annotations(), None);
        format!("method {}({}) {also:?}", method.name(), arguments(method.args(), ArgDirection::In))
    });
    let signals = interface.signals().map(|signal| {
        let also = annotations(signal.annotations(), None);
        format!("signal {}({}) {also:?}", signal.name(), arguments(signal.args(), ArgDirection::Out))
    });
    let properties = interface.properties().map(|property| {
        let also = annotations(property.annotations(), Some((EMITS_CHANGED, "true")));
        format!("property {} {} {:?} {also:?}", property.name(), property.ty(), property.access())
    });
    methods.chain(signals).chain(properties).collect()
}

async fn station() -> Result<(tempfile::TempDir, Bench)> {
    let state = tempfile::tempdir()?;
    let bench = Bench::start(Options::quick(state.path())).await?;
    Ok((state, bench))
}

#[tokio::test]
async fn what_is_served_is_what_the_contracts_say() -> Result<()> {
    let contracts = contracts()?;
    let (_state, bench) = station().await?;
    let mut differences = BTreeSet::new();
    let mut unserved: BTreeSet<&str> = contracts.keys().map(String::as_str).collect();
    for service in names::ALL {
        let mut interfaces_of_the_root = BTreeSet::new();
        for object in objects(bench.bus(), service).await? {
            for interface in object.ours() {
                let name = interface.name().to_string();
                let place = format!("{} at {}", name, object.path);
                if !(object.path == service.root || object.path.starts_with(&format!("{}/", service.root))) {
                    differences.insert(format!("{place}: outside the service's own tree"));
                }
                if object.path == service.root {
                    interfaces_of_the_root.insert(name.clone());
                }
                unserved.remove(name.as_str());
                let Some(text) = contracts.get(&name) else {
                    differences.insert(format!("{place}: there is no contract"));
                    continue;
                };
                let contract = Node::try_from(text.as_str()).with_context(|| name.clone())?;
                let [contract] = contract.interfaces() else {
                    differences.insert(format!("{name}.xml: not one interface"));
                    continue;
                };
                if contract.name().as_str() != name {
                    differences.insert(format!("{name}.xml: holds {}", contract.name()));
                }
                let (served, said) = (members(interface), members(contract));
                differences.extend(served.difference(&said).map(|member| format!("{place}: only served: {member}")));
                differences.extend(said.difference(&served).map(|member| format!("{place}: only in file: {member}")));
            }
        }
        for expected in [service.bus_name, names::SERVICE_INTERFACE] {
            if !interfaces_of_the_root.contains(expected) {
                differences.insert(format!("{}: does not serve {expected}", service.root));
            }
        }
    }
    bench.stop().await;
    differences.extend(unserved.into_iter().map(|name| format!("{name}.xml: nobody serves it")));
    let differences: Vec<String> = differences.into_iter().collect();
    ensure!(differences.is_empty(), "\n  {}", differences.join("\n  "));
    Ok(())
}

async fn value(
    bus: &Connection,
    service: ServiceName,
    path: &str,
    interface: &Interface<'_>,
    property: &Property<'_>,
) -> zbus::Result<OwnedVariant> {
    let (interface, property) = (interface.name(), property.name());
    let body = (interface.as_str(), property.as_str());
    bus.call_method(Some(service.bus_name), path, Some(PROPERTIES), "Get", &body).await?.body().deserialize()
}

#[tokio::test]
async fn every_property_can_be_read_and_has_its_type() -> Result<()> {
    let (_state, bench) = station().await?;
    let (mut read, mut wrong) = (0, Vec::new());
    for service in names::ALL {
        for object in objects(bench.bus(), service).await? {
            for interface in object.ours() {
                for property in interface.properties() {
                    let place = format!("{} {} {}", object.path, interface.name(), property.name());
                    match value(bench.bus(), service, &object.path, interface, property).await {
                        Ok(value) if value.value_signature() == property.ty() => read += 1,
                        Ok(value) => {
                            wrong.push(format!("{place}: is {}, not {}", value.value_signature(), property.ty()))
                        }
                        Err(error) => wrong.push(format!("{place}: {error}")),
                    }
                }
            }
        }
    }
    bench.stop().await;
    ensure!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
    ensure!(read > 50, "only {read} properties");
    Ok(())
}

/// Runs systemd's own client, as an engineer at the station does; nothing, if this machine has none.
async fn busctl(bench: &Bench, arguments: &[&str]) -> Result<Option<String>> {
    let mut command = Command::new("busctl");
    command.arg(format!("--address={}", bench.bus_address())).arg("--no-pager").args(arguments).kill_on_drop(true);
    let output = match command.output().await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        output => output?,
    };
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "busctl {}: {}: {complaint}", arguments.join(" "), output.status);
    Ok(Some(String::from_utf8(output.stdout)?))
}

#[tokio::test]
async fn busctl_can_look_at_everything() -> Result<()> {
    let (_state, bench) = station().await?;
    if busctl(&bench, &["--version"]).await?.is_none() {
        eprintln!("this machine has no busctl (Debian: systemd); nothing was looked at");
        bench.stop().await;
        return Ok(());
    }
    for service in names::ALL {
        let name = service.bus_name;
        let tree = busctl(&bench, &["tree", "--list", name]).await?.unwrap_or_default();
        let paths: BTreeSet<&str> = tree.lines().collect();
        ensure!(paths.contains(service.root), "{name}: {tree}");
        for object in objects(bench.bus(), service).await? {
            ensure!(paths.contains(object.path.as_str()), "{} is not in {tree}", object.path);
            if object.ours().next().is_none() {
                continue;
            }
            let shown = busctl(&bench, &["introspect", name, &object.path]).await?.unwrap_or_default();
            for interface in object.ours() {
                let is = |line: &str| line.split_whitespace().next() == Some(interface.name().as_str());
                ensure!(shown.lines().any(is), "{} is not in {shown}", interface.name());
                let interface_name = interface.name();
                let properties: Vec<_> = interface.properties().map(|property| property.name()).collect();
                if properties.is_empty() {
                    continue;
                }
                let mut arguments = vec!["get-property", name, &object.path, interface_name.as_str()];
                arguments.extend(properties.iter().map(|property| property.as_str()));
                let values = busctl(&bench, &arguments).await?.unwrap_or_default();
                ensure!(values.lines().count() >= properties.len(), "{arguments:?}: {values}");
            }
        }
    }
    bench.stop().await;
    Ok(())
}

#[test]
fn a_difference_is_seen() -> Result<()> {
    const CONTRACT: &str = r#"<node><interface name="io.busbar.Test1">
        <method name="Do"><arg name="it" type="u" direction="in"/><arg name="done" type="b" direction="out"/></method>
        <signal name="Done"><arg name="sequence" type="t"/></signal>
        <property name="State" type="s" access="read"/>
    </interface></node>"#;
    let read = |text: &str| -> Result<BTreeSet<String>> {
        Ok(members(Node::try_from(text)?.interfaces().first().context("an interface")?))
    };
    let contract = read(CONTRACT)?;
    ensure!(contract.len() == 3, "{contract:?}");
    let never = format!(r#"><annotation name="{EMITS_CHANGED}" value="false"/></property>"#);
    for (from, to) in [
        ("name=\"Do\"", "name=\"Does\""),
        ("name=\"it\"", "name=\"that\""),
        ("type=\"u\"", "type=\"t\""),
        ("direction=\"out\"", "direction=\"in\""),
        ("name=\"sequence\"", "name=\"number\""),
        ("type=\"s\"", "type=\"as\""),
        ("access=\"read\"", "access=\"readwrite\""),
        ("access=\"read\"/>", &format!("access=\"read\"{never}")),
    ] {
        ensure!(read(&CONTRACT.replace(from, to))? != contract, "{from} is not compared");
    }
    // What the specification takes for granted is no difference.
    let always = never.replace("false", "true");
    ensure!(read(&CONTRACT.replace("access=\"read\"/>", &format!("access=\"read\"{always}")))? == contract);
    Ok(())
}

#[test]
fn every_member_says_what_it_means() -> Result<()> {
    let (mut explained, mut silent) = (0, Vec::new());
    for (interface, text) in contracts()? {
        let code = without_comments(&text);
        for word in ["<interface", "<method", "<signal", "<property"] {
            for (at, _) in code.match_indices(word) {
                // An interface is explained above its node.
                let before = text.get(..at).unwrap_or_default().trim_end();
                let before = if word == "<interface" { before.trim_end_matches("<node>").trim_end() } else { before };
                let comment = before.strip_suffix("-->").and_then(|before| before.rsplit("<!--").next());
                if comment.is_some_and(|comment| comment.split_whitespace().count() > 2) {
                    explained += 1;
                } else {
                    let member: String = text.get(at..).unwrap_or_default().lines().take(1).collect();
                    silent.push(format!("{interface}.xml: {member}"));
                }
            }
        }
    }
    ensure!(silent.is_empty(), "members without a word:\n  {}", silent.join("\n  "));
    ensure!(explained > 50, "only {explained} members");
    Ok(())
}

/// The text with blanks in place of its comments, so that positions stay and a tag that is spoken of is no tag.
fn without_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!--") {
        let (comment, after) = after.split_once("-->").unwrap_or((after, ""));
        code.push_str(before);
        code.push_str(&" ".repeat("<!--".len() + comment.len() + "-->".len()));
        rest = after;
    }
    code.push_str(rest);
    code
}
