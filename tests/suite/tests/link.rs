//! Whom the station lets itself be led to and what it shows there: TLS, passwords and their change, security profiles;
//! and what an engineer finds of it in the traffic log.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]

use anyhow::{Context, Result, ensure};
use busbar_bench::Options;
use busbar_csms::{Authority, Csms, Direction, Link, Message, Options as CsmsOptions, SelfSigned, Tls, TlsVersions};
use busbar_interfaces::words::Link as LinkWord;
use busbar_interfaces::words::{ConnectorStatus, KeyOrigin};
use busbar_interfaces::{ServiceName, names};
use busbar_suite::link::{ask, change, prove, requests};
use busbar_suite::scene::{BADGE, IDENTITY, LIMIT, Scene, slots};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use zbus::OwnedVariant;

/// A password in every form that it has on its way.
struct Key {
    /// The value of AuthorizationKey.
    hex: &'static str,
    /// What goes over the link: Base64 of the identity, a colon and the bytes.
    basic: &'static str,
}

const KEYS: [Key; 4] = [
    Key { hex: "33db45fa9b217bad45129667acc3cc2d3842cd0b", basic: "QkVOQ0g6M9tF+pshe61FEpZnrMPMLThCzQs=" },
    Key { hex: "03bf8af96d6f47415fb760a001ed3638ff210f12", basic: "QkVOQ0g6A7+K+W1vR0Fft2CgAe02OP8hDxI=" },
    Key { hex: "717cfd67aed39fc98c62abaefd1ffdadad650ab6", basic: "QkVOQ0g6cXz9Z67Tn8mMYquu/R/9ra1lCrY=" },
    Key { hex: "31decb980313e4c5c97c5faadd44b8645a5c95d3", basic: "QkVOQ0g6Md7LmAMT5MXJfF+q3US4ZFpcldM=" },
];

impl Key {
    fn bytes(&self) -> Vec<u8> {
        (0..self.hex.len()).step_by(2).map(|at| u8::from_str_radix(&self.hex[at..at + 2], 16).unwrap()).collect()
    }

    fn header(&self) -> Option<String> {
        Some(format!("Basic {}", self.basic))
    }

    /// What must stand nowhere.
    fn traces(&self) -> [String; 4] {
        let bytes = self.bytes();
        let raw = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        [self.hex.to_owned(), self.hex.to_uppercase(), self.basic.to_owned(), raw]
    }
}

fn self_signed() -> Result<SelfSigned> {
    Ok(Tls::self_signed(&["localhost", "127.0.0.1"])?)
}

async fn secure_csms(tls: Tls) -> Result<Csms> {
    Ok(Csms::start(CsmsOptions { tls: Some(tls), ..CsmsOptions::default() }).await?)
}

/// The station trusts what is in a directory of its own, and nothing else. It comes back quickly after a refusal.
fn trusting(mut options: Options, more: &str) -> (Options, PathBuf) {
    let roots = options.state.join("roots");
    options.station_file += &format!(
        "\n[ocpp]\nroot_certificates = [{:?}]\nsystem_roots = false\nretry_most_millis = 500\n{more}",
        roots.display().to_string()
    );
    (options, roots)
}

fn install(roots: &Path, root_pem: &str) -> Result<()> {
    std::fs::create_dir_all(roots)?;
    Ok(std::fs::write(roots.join("csms.pem"), root_pem)?)
}

/// The links that were opened, from one on.
fn opened(csms: &Csms, from: usize) -> Vec<Link> {
    csms.links().into_iter().skip(from).filter(|link| link.accepted).collect()
}

/// Waits for the next link that is opened.
async fn next_link(csms: &Csms, from: usize) -> Result<Link> {
    let next = csms.wait_until(LIMIT, |csms| opened(csms, from).into_iter().next()).await;
    next.map_err(|timeout| anyhow::anyhow!("no new link: {timeout:?}; {:?}", csms.links()))
}

async fn profile_2_over(versions: TlsVersions, version: &str) -> Result<()> {
    let made = self_signed()?;
    let csms = secure_csms(made.tls.clone().offering(versions)).await?;
    csms.set_password_to(IDENTITY, Some(KEYS[0].bytes().into()));
    let scene = Scene::start_at(csms, |options| {
        let (options, roots) = trusting(options.with("SecurityProfile", "2"), "");
        install(&roots, &made.root_pem).unwrap();
        options
    });
    let scene = scene.await?;
    let csms = scene.csms()?;
    // The password is not in the station file: an engineer gives it to the station, which is turned away until then.
    let turned_away = |state: &busbar_interfaces::ocpp::OcppState| state.link_reason.contains("401");
    scene.link(turned_away).await?;
    let set = scene.busbarctl_reading(KEYS[0].hex, &["settings", "set", "AuthorizationKey", "-"]).await?;
    ensure!(set.status.success(), "{set:?}");
    scene.registered().await?;
    let state = scene.accepted_at(&csms.url()).await?;
    ensure!(state.security_profile == 2 && state.central_system_url.starts_with("wss://"), "{state:?}");
    let link = opened(csms, 0).pop().context("a link")?;
    ensure!(link.authorization == KEYS[0].header() && link.identity == IDENTITY, "{link:?}");
    let secured = link.secured.context("TLS")?;
    ensure!(secured.version == version, "{secured:?}");
    ensure!(secured.suite.contains("GCM") || secured.suite.contains("CHACHA20"), "{secured:?}");
    let before = scene.hardware(1).await?.meter_milliwatt_hours().await?;
    scene.charge(1, 40_000).await?;
    scene.sampled(0, 1).await?;
    scene.hardware(1).await?.stop_by_vehicle().await?;
    scene.settle(before, 1).await?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_085_tc_086_a_password_over_tls_1_2() -> Result<()> {
    profile_2_over(TlsVersions::Only12, "1.2").await
}

#[tokio::test]
async fn tc_085_tc_086_a_password_over_tls_1_3() -> Result<()> {
    profile_2_over(TlsVersions::Only13, "1.3").await
}

#[tokio::test]
async fn tc_086_a_csms_that_nobody_vouches_for_gets_no_link_and_charging_goes_on_until_its_root_is_installed()
-> Result<()> {
    let made = self_signed()?;
    let stranger = Authority::new("another root")?;
    let mut store = PathBuf::new();
    let scene = Scene::start_at(secure_csms(made.tls.clone()).await?, |options| {
        let (options, roots) = trusting(options, "");
        install(&roots, stranger.root_pem()).unwrap();
        store = roots;
        options
    });
    let scene = scene.await?;
    let csms = scene.csms()?;
    let state = scene.link(|state| !state.link_reason.is_empty()).await?;
    ensure!(state.link == LinkWord::Disconnected, "{state:?}");
    ensure!(state.link_reason.contains("does not trust who issued the certificate (roots known: 1)"), "{state:?}");
    for connector in 1..=2 {
        scene.status(connector, ConnectorStatus::Available).await?;
    }
    // The driver charges by the offline rules.
    let before = scene.hardware(1).await?.meter_milliwatt_hours().await?;
    scene.charge(1, 60_000).await?;
    scene.hardware(1).await?.stop_by_vehicle().await?;
    scene.status(1, ConnectorStatus::Finishing).await?;
    let enough = csms.wait_until(LIMIT, |csms| (csms.links().len() >= 3).then(|| csms.links())).await;
    for link in enough.map_err(|timeout| anyhow::anyhow!("it does not go on trying: {timeout:?}"))? {
        // The station has spoken TLS, and said itself why it goes no further: nothing in plain text.
        let refusal = link.refusal.clone().unwrap_or_default();
        ensure!(!link.accepted && refusal.starts_with("TLS: ") && refusal.contains("UnknownCA"), "{link:?}");
    }
    // The files are read for each link: a root that is installed later holds without a restart.
    install(&store, &made.root_pem)?;
    let state = scene.accepted_at(&csms.url()).await?;
    ensure!(state.link_reason.contains("does not trust"), "why there was none before is still told: {state:?}");
    scene.settle(before, 1).await?;
    scene.bench.stop().await;
    Ok(())
}

/// The operator gives the station a new password; says how the new link was opened.
async fn change_password(csms: &Csms, key: &Key) -> Result<Link> {
    let before = csms.links().len();
    csms.set_password_to(IDENTITY, Some(key.bytes().into()));
    // Had the old link ended before the answer, this would be an error.
    ensure!(change(csms, "AuthorizationKey", key.hex).await? == "Accepted");
    let link = next_link(csms, before).await?;
    ensure!(link.authorization == key.header(), "{link:?}");
    let tried = csms.links().len() - before;
    ensure!(tried == 1, "{tried} attempts, not one with the new password");
    prove(csms).await?;
    Ok(link)
}

#[tokio::test]
async fn tc_073_a_password_is_changed_three_times_once_in_a_charge_and_stands_nowhere() -> Result<()> {
    let log = |options: Options| Options { log: "trace".to_owned(), ..options };
    let scene = Scene::start_with(log).await?;
    let csms = scene.csms()?;
    // Commissioned by the operator: a password, then the profile that uses it.
    csms.set_password_to(IDENTITY, Some(KEYS[0].bytes().into()));
    ensure!(change(csms, "AuthorizationKey", KEYS[0].hex).await? == "Accepted");
    let links = csms.links().len();
    ensure!(change(csms, "SecurityProfile", "1").await? == "Accepted");
    ensure!(next_link(csms, links).await?.authorization == KEYS[0].header());
    prove(csms).await?;

    let mark = csms.mark();
    change_password(csms, &KEYS[1]).await?;
    change_password(csms, &KEYS[2]).await?;
    let hardware = scene.hardware(1).await?;
    let before = hardware.meter_milliwatt_hours().await?;
    scene.charge(1, 70_000).await?;
    scene.sampled(0, 2).await?;
    change_password(csms, &KEYS[3]).await?;
    let samples = csms.transactions()[0].meter_values.len();
    scene.sampled(0, samples + 2).await?;
    scene.badge().await?;
    let transaction = scene.settle(before, 1).await?;
    let slots = slots(&transaction)?;
    ensure!(slots == (1..=slots.len() as i64).collect::<Vec<_>>(), "samples lost or doubled: {slots:?}");
    ensure!(hardware.current_interruptions().await? == 0 && hardware.charge_count().await? == 1);
    ensure!(requests(csms, mark, "BootNotification") == 0, "a new password is no reboot");

    ensure!(ask(csms, "AuthorizationKey").await?.is_none());
    let all = csms.call(IDENTITY, "GetConfiguration", serde_json::json!({})).await?;
    ensure!(all.payload["configurationKey"].as_array().is_some_and(|keys| keys.len() > 40), "{all:?}");
    let mut shown = everything_shown(&scene).await?;
    for frame in csms.frames().into_iter().filter(|frame| frame.direction == Direction::FromStation) {
        shown.push((format!("frame {}", frame.seq), frame.raw));
    }
    for key in &KEYS {
        for trace in key.traces() {
            let leaks = shown.iter().filter(|(_, text)| text.contains(&trace)).map(|(place, _)| place);
            let leaks: Vec<_> = leaks.collect();
            ensure!(leaks.is_empty(), "a password in {leaks:?}");
        }
    }
    scene.bench.stop().await;
    Ok(())
}

/// All that the station shows of itself: every property of every service, every log, what the engineer's command says.
async fn everything_shown(scene: &Scene) -> Result<Vec<(String, String)>> {
    let mut shown = Vec::new();
    for service in names::ALL {
        shown.extend(properties(scene, service).await?);
    }
    ensure!(shown.len() >= 25, "only {} interfaces", shown.len());
    let state = scene.bench.state_directory();
    let logs = std::fs::read_dir(state.join("log"))?.chain(std::fs::read_dir(state.join("state/ocpp"))?);
    let mut files = 0;
    for file in logs {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "log") || path.to_string_lossy().contains("jsonl") {
            let bytes = std::fs::read(&path)?;
            ensure!(!bytes.is_empty() || path.ends_with("dbus-daemon.log"), "{} is empty", path.display());
            shown.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
            files += 1;
        }
    }
    ensure!(files >= 11, "only {files} logs");
    let traffic = |(place, text): &(String, String)| place.contains("jsonl") && text.contains("AuthorizationKey");
    ensure!(shown.iter().any(traffic), "the change is not in the traffic log at all");
    let chatty = |(place, text): &(String, String)| place.ends_with("/session.log") && text.contains("TRACE");
    ensure!(shown.iter().any(chatty), "the services do not say all that they could");
    for command in [
        &["status", "--json"][..],
        &["settings", "list"],
        &["settings", "explain", "AuthorizationKey"],
        &["ocpp", "--json"],
        &["ocpp", "log", "--lines", "10000"],
        &["report"],
    ] {
        let output = scene.busbarctl(command).await?;
        ensure!(output.status.success(), "{command:?}: {output:?}");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if let ["report"] = command {
            shown.push(("the report".to_owned(), String::from_utf8_lossy(&std::fs::read(said.trim())?).into_owned()));
        }
        shown.push((format!("busbarctl {command:?}"), said));
    }
    Ok(shown)
}

async fn properties(scene: &Scene, service: ServiceName) -> Result<Vec<(String, String)>> {
    let bus = scene.bench.bus();
    let (mut shown, mut open) = (Vec::new(), vec!["/".to_owned()]);
    while let Some(path) = open.pop() {
        let introspectable = Some("org.freedesktop.DBus.Introspectable");
        let asked = bus.call_method(Some(service.bus_name), path.as_str(), introspectable, "Introspect", &());
        let text: String = asked.await?.body().deserialize()?;
        let node = zbus_xml::Node::try_from(text.as_str())?.into_owned();
        let above = path.trim_end_matches('/');
        open.extend(node.nodes().iter().filter_map(zbus_xml::Node::name).map(|name| format!("{above}/{name}")));
        for interface in node.interfaces().iter().filter(|interface| interface.name().starts_with("io.busbar.")) {
            let name = interface.name().to_string();
            let properties = Some("org.freedesktop.DBus.Properties");
            let all = bus.call_method(Some(service.bus_name), path.as_str(), properties, "GetAll", &name).await?;
            let all: HashMap<String, OwnedVariant> = all.body().deserialize()?;
            shown.push((format!("{name} at {path}"), format!("{all:?}")));
        }
    }
    Ok(shown)
}

#[tokio::test]
async fn tc_083_tc_084_from_profile_1_to_2_and_never_back() -> Result<()> {
    let made = self_signed()?;
    let secure = secure_csms(made.tls.clone()).await?;
    let scene = Scene::start_with(|options| {
        let (options, roots) = trusting(options, "");
        install(&roots, &made.root_pem).unwrap();
        options
    });
    let scene = scene.await?;
    let plain = scene.csms()?;
    for csms in [plain, &secure] {
        csms.set_password_to(IDENTITY, Some(KEYS[0].bytes().into()));
    }
    ensure!(change(plain, "SecurityProfile", "1").await? == "Rejected", "there is no password yet");
    ensure!(change(plain, "AuthorizationKey", KEYS[0].hex).await? == "Accepted");
    let links = plain.links().len();
    ensure!(change(plain, "SecurityProfile", "1").await? == "Accepted");
    ensure!(next_link(plain, links).await?.authorization == KEYS[0].header());
    prove(plain).await?;
    ensure!(change(plain, "SecurityProfile", "2").await? == "Rejected", "the address is one without TLS");

    ensure!(change(plain, "SupervisionUrl", &secure.url()).await? == "Accepted");
    scene.accepted_at(&secure.url()).await?;
    let at_plain = plain.links().len();
    ensure!(requests(&secure, 0, "BootNotification") == 1, "another CSMS has to be told once");
    change_password(&secure, &KEYS[1]).await?;
    let links = secure.links().len();
    ensure!(change(&secure, "SecurityProfile", "2").await? == "Accepted");
    let link = next_link(&secure, links).await?;
    ensure!(link.authorization == KEYS[1].header() && link.secured.is_some(), "{link:?}");
    prove(&secure).await?;
    let state = scene.link(|state| state.security_profile == 2 && !state.is_trial).await?;
    ensure!(state.link == LinkWord::Accepted, "{state:?}");

    for (key, value) in [
        ("SecurityProfile", "1"),
        ("SecurityProfile", "0"),
        ("SecurityProfile", "3x"),
        ("SupervisionUrl", plain.url().as_str()),
        ("SupervisionUrl", format!("{} {}", secure.url(), plain.url()).as_str()),
        ("AuthorizationKey", ""),
    ] {
        ensure!(change(&secure, key, value).await? == "Rejected", "{key} = {value}");
    }
    ensure!(ask(&secure, "SecurityProfile").await?.as_deref() == Some("2"));
    ensure!(scene.key("SecurityProfile").await?.origin == KeyOrigin::Csms);

    // A new process, and a CSMS that is away for some attempts, change nothing about it.
    let links = secure.links().len();
    scene.bench.kill("ocpp").await?;
    next_link(&secure, links).await?;
    scene.link(|state| state.link == LinkWord::Accepted).await?;
    let links = secure.links().len();
    secure.refuse(true);
    secure.drop_connection(IDENTITY);
    let tried = secure.wait_until(LIMIT, |csms| (csms.links().len() >= links + 4).then_some(())).await;
    tried.map_err(|timeout| anyhow::anyhow!("it does not go on trying: {timeout:?}"))?;
    secure.refuse(false);
    let link = next_link(&secure, links).await?;
    ensure!(link.authorization == KEYS[1].header() && link.secured.is_some(), "{link:?}");
    prove(&secure).await?;
    ensure!(plain.links().len() == at_plain, "it went back to the address without TLS: {:?}", plain.links());
    ensure!(requests(&secure, 0, "BootNotification") == 1);
    scene.bench.stop().await;
    Ok(())
}

/// The message id of a frame.
fn id(message: &Message) -> Option<&str> {
    match message {
        Message::Call { id, .. } | Message::Result { id, .. } | Message::Error { id, .. } => Some(id),
        Message::Malformed { .. } => None,
    }
}

#[tokio::test]
async fn case_b35_case_b43_the_traffic_log_has_every_frame_in_the_order_of_the_wire_over_a_kill() -> Result<()> {
    let scene = Scene::start().await?;
    let csms = scene.csms()?;
    let before = scene.hardware(1).await?.meter_milliwatt_hours().await?;
    scene.charge(1, 60_000).await?;
    scene.sampled(0, 1).await?;
    let logged = String::from_utf8(scene.busbarctl(&["ocpp", "log", "--lines", "10000"]).await?.stdout)?;
    scene.bench.kill("ocpp").await?;
    let samples = csms.transactions()[0].meter_values.len();
    scene.sampled(0, samples + 1).await?;
    ensure!(ask(csms, "HeartbeatInterval").await?.is_some());
    scene.hardware(1).await?.stop_by_vehicle().await?;
    scene.settle(before, 1).await?;
    let log = String::from_utf8(scene.busbarctl(&["ocpp", "log", "--lines", "10000"]).await?.stdout)?;
    ensure!(log.starts_with(&logged), "what stood there is not there any more:\n{logged}\n{log}");
    ensure!(!log.contains(BADGE), "a badge in the log");

    let (mut link_lines, mut wire) = (0, HashMap::from([("->", Vec::new()), ("<-", Vec::new())]));
    for (index, line) in log.lines().enumerate() {
        let mut parts = line.splitn(4, "  ");
        let mut part = || parts.next().with_context(|| format!("a line of another form: {line}"));
        let (time, number, direction, frame) = (part()?, part()?, part()?, part()?);
        time.parse::<jiff::Timestamp>()?;
        ensure!(number == format!("#{}", index + 1), "line {}: {line}", index + 1);
        match wire.get_mut(direction) {
            Some(ids) => ids.push(id(&Message::parse(frame)).with_context(|| line.to_owned())?.to_owned()),
            None => link_lines += 1,
        }
    }
    ensure!(link_lines >= 2, "no word of the link");
    for (arrow, direction) in [("->", Direction::FromStation), ("<-", Direction::ToStation)] {
        let frames: Vec<_> = csms.frames().into_iter().filter(|frame| frame.direction == direction).collect();
        let frames: Vec<_> = frames.iter().filter_map(|frame| id(&frame.message)).collect();
        // The killed process may have written down one frame that it no longer sent, and the one that came for it
        // after its death stands nowhere.
        let (mut next, mut only_logged, mut only_on_the_wire) = (0, 0, 0);
        for logged in &wire[arrow] {
            if frames.get(next) != Some(&logged.as_str()) && frames.get(next + 1) == Some(&logged.as_str()) {
                only_on_the_wire += 1;
                next += 1;
            }
            if frames.get(next) == Some(&logged.as_str()) {
                next += 1;
            } else {
                only_logged += 1;
            }
        }
        ensure!(next == frames.len(), "{arrow}: not in this order in the log: {:?}", frames.get(next..));
        ensure!(only_logged + only_on_the_wire <= 1, "{arrow}: {only_logged} only logged, {only_on_the_wire} never");
    }
    scene.bench.stop().await;
    Ok(())
}
