//! The settings process on a bus of its own: what was accepted survives the kill that follows it, and a password is for
//! one process alone.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test"
)]

use busbar_interfaces::settings::{SettingsProxy, SettingsState};
use busbar_interfaces::words::{KeyOrigin, SetVerdict};
use busbar_interfaces::{BoottimeMillis, CallError, Published, ServiceName, names};
use busbar_private_bus::lone::{Lone, until};
use busbar_runtime::bus::REQUEST_VALIDITY;
use busbar_runtime::{Clock, object};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use zbus::Connection;
use zbus::proxy::CacheProperties;

const STATION: &str =
    "[station]\nmodel = \"EVD1S180TBB\"\nserial = \"SN-7\"\n[settings.defaults]\nHeartbeatInterval = 30\n";

const PROGRAM: &str = env!("CARGO_BIN_EXE_busbar-settings");

const PASSWORD: &str = "correct-horse-battery";
const HEXADECIMAL: &str = "00ff3a0123456789abcdef0123456789abcdef01";

/// The end of a request that is made now.
fn soon() -> BoottimeMillis {
    Clock::system().now().boottime.after(REQUEST_VALIDITY)
}

async fn state<S: Published>(client: &Connection, service: ServiceName, path: &str) -> Option<S> {
    object::fetch(client, service, path).await.ok()
}

/// The keys as a client sees them; a client that holds the name of `ocpp` is `ocpp`.
async fn keys(client: &Connection) -> SettingsProxy<'_> {
    SettingsProxy::builder(client).cache_properties(CacheProperties::No).build().await.expect("a proxy")
}

/// The process with everything that it says in a file, as the service manager would start it. Killed when dropped.
struct Spoken(Child);

impl Spoken {
    fn start(bench: &Lone, log: &Path, credentials: Option<&Path>) -> Spoken {
        let log = File::options().create(true).append(true).open(log).expect("a log");
        let mut command = Command::new(PROGRAM);
        command.arg("--bus").arg(bench.address()).arg("--root").arg(bench.root());
        command.arg("--state").arg(bench.state_directory()).args(["--log", "trace"]);
        credentials.map(|directory| command.env("CREDENTIALS_DIRECTORY", directory));
        command.stdout(log.try_clone().expect("twice")).stderr(Stdio::from(log));
        Spoken(command.spawn().expect("starts"))
    }
}

impl Drop for Spoken {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        self.0.wait().expect("gone");
    }
}

async fn open(client: &Connection, key: &str) -> Result<String, CallError> {
    let mut file = File::from(std::os::fd::OwnedFd::from(keys(client).await.open_secret(key).await?));
    let mut text = String::new();
    file.read_to_string(&mut text).expect("text");
    assert!(file.write_all(b"x").is_err() && file.set_len(0).is_err(), "sealed");
    Ok(text)
}

#[tokio::test]
async fn a_password_is_opened_by_ocpp_alone_and_shown_to_nobody() {
    let bench = Lone::new(PROGRAM, STATION).await;
    let (ocpp, stranger) = (bench.client().await, bench.client().await);
    let log = bench.root().join("log");
    let secrets = async || {
        let settings = state::<SettingsState>(&stranger, names::SETTINGS, names::SETTINGS.root).await?;
        settings.secrets.get("AuthorizationKey").copied()
    };
    let service = Spoken::start(&bench, &log, None);
    assert_eq!(until("settings", secrets).await, 0, "never set");
    let early = open(&ocpp, "AuthorizationKey").await;
    assert!(matches!(early, Err(CallError::NotPermitted(_))), "nobody is ocpp: {early:?}");
    ocpp.request_name(names::OCPP.bus_name).await.expect("ocpp");
    let unset = open(&ocpp, "AuthorizationKey").await;
    assert!(matches!(unset, Err(CallError::NotFound(_))), "{unset:?}");

    let set = async |value: &str, origin| keys(&ocpp).await.set("AuthorizationKey", value, origin, soon()).await;
    let mut moments = vec![0];
    for (value, origin) in
        [(PASSWORD, KeyOrigin::Csms), (HEXADECIMAL, KeyOrigin::Engineer), (PASSWORD, KeyOrigin::Rollback)]
    {
        assert_eq!(set(value, origin).await.expect("a verdict"), SetVerdict::Accepted);
        assert_eq!(open(&ocpp, "authorizationkey").await.expect("for ocpp"), value);
        moments.push(secrets().await.expect("published before the verdict"));
    }
    assert!(moments.is_sorted_by(|earlier, later| earlier < later), "{moments:?}");
    assert_eq!(set(&format!("{PASSWORD} "), KeyOrigin::Csms).await.expect("a verdict"), SetVerdict::Rejected);
    let refused = set(&format!("{PASSWORD} "), KeyOrigin::Engineer).await;
    assert!(matches!(&refused, Err(CallError::OutOfRange(text)) if !text.contains(PASSWORD)), "{refused:?}");

    for key in ["AuthorizationKey", "HeartbeatInterval", "NoSuchKey"] {
        let refused = open(&stranger, key).await;
        assert!(matches!(refused, Err(CallError::NotPermitted(_))), "{refused:?}");
    }
    assert!(matches!(open(&ocpp, "HeartbeatInterval").await, Err(CallError::OutOfRange(_))));
    assert!(matches!(open(&ocpp, "NoSuchKey").await, Err(CallError::NotFound(_))));
    let shown = state::<SettingsState>(&stranger, names::SETTINGS, names::SETTINGS.root).await.expect("a state");
    let listed = keys(&stranger).await.list_keys().await.expect("the keys");
    assert!(!format!("{shown:?}{listed:?}").contains(PASSWORD));

    drop(service);
    let _service = Spoken::start(&bench, &log, None);
    assert_eq!(Some(&until("settings again", secrets).await), moments.last());
    assert_eq!(open(&ocpp, "AuthorizationKey").await.expect("for ocpp"), PASSWORD);
    ocpp.release_name(names::OCPP.bus_name).await.expect("released");
    let refused = open(&ocpp, "AuthorizationKey").await;
    assert!(matches!(refused, Err(CallError::NotPermitted(_))), "it is ocpp no longer: {refused:?}");
    stranger.request_name(names::OCPP.bus_name).await.expect("ocpp now");
    assert_eq!(open(&stranger, "AuthorizationKey").await.expect("for ocpp"), PASSWORD);
    let said = fs::read_to_string(&log).expect("a log");
    assert!(said.contains("a key was changed") && !said.contains(PASSWORD) && !said.contains(HEXADECIMAL), "{said}");
}

#[tokio::test]
async fn a_station_brings_its_first_password_as_a_credential() {
    let bench = Lone::new(PROGRAM, STATION).await;
    let ocpp = bench.client().await;
    ocpp.request_name(names::OCPP.bus_name).await.expect("ocpp");
    let (log, credentials) = (bench.root().join("log"), bench.root().join("credentials"));
    fs::create_dir(&credentials).expect("made");

    fs::write(credentials.join("AuthorizationKey"), "horse battery").expect("written");
    let mut service = Spoken::start(&bench, &log, Some(&credentials));
    let ended = service.0.wait().expect("it ends by itself");
    let said = fs::read_to_string(&log).expect("a log");
    assert_eq!(ended.code(), Some(78), "{said}");
    assert!(said.contains("credentials/AuthorizationKey") && !said.contains("horse"), "{said}");

    fs::write(credentials.join("AuthorizationKey"), format!("{PASSWORD}\n")).expect("written");
    let service = Spoken::start(&bench, &log, Some(&credentials));
    let opened = async || open(&ocpp, "AuthorizationKey").await.ok();
    assert_eq!(until("the password", opened).await, PASSWORD);
    let record = async || keys(&ocpp).await.list_keys().await.ok()?.into_iter().find(|it| it.key == "AuthorizationKey");
    assert_eq!(record().await.map(|record| record.origin), Some(KeyOrigin::StationFile));
    let changed = keys(&ocpp).await.set("AuthorizationKey", HEXADECIMAL, KeyOrigin::Csms, soon()).await;
    assert_eq!(changed.expect("a verdict"), SetVerdict::Accepted);
    drop(service);

    let _service = Spoken::start(&bench, &log, Some(&credentials));
    assert_eq!(until("the password again", opened).await, HEXADECIMAL, "the later one stays");
    let said = fs::read_to_string(&log).expect("a log");
    assert!(!said.contains(PASSWORD) && !said.contains(HEXADECIMAL), "{said}");
}

#[tokio::test]
async fn case_32_the_way_back_is_for_the_way_to_the_csms_alone() {
    let bench = Lone::new(PROGRAM, STATION).await;
    let client = bench.client().await;
    let values = async || state::<SettingsState>(&client, names::SETTINGS, names::SETTINGS.root).await;
    let _service = bench.start();
    until("settings", values).await;
    let set = async |key: &str, value: &str, origin| keys(&client).await.set(key, value, origin, soon()).await;
    for (key, value) in [
        ("SupervisionUrl", "wss://a.example/ wss://b.example/"),
        ("AuthorizationKey", PASSWORD),
        ("SecurityProfile", "2"),
    ] {
        assert_eq!(set(key, value, KeyOrigin::Csms).await.expect("a verdict"), SetVerdict::Accepted, "{key}");
    }
    let refused = set("SupervisionUrl", "ws://a.example/", KeyOrigin::Engineer).await;
    let named = |text: &str| text.contains("SupervisionUrl") && text.contains("SecurityProfile");
    assert!(matches!(&refused, Err(CallError::OutOfRange(text)) if named(text)), "{refused:?}");
    for (key, value) in [
        ("SupervisionUrl", "ws://a.example/"),
        ("AuthorizationKey", ""),
        ("SecurityProfile", "0"),
        ("BoxIdentifier", "B"),
    ] {
        assert_eq!(set(key, value, KeyOrigin::Rollback).await.expect("a verdict"), SetVerdict::Accepted, "{key}");
    }
    for (key, value) in [("HeartbeatInterval", "45"), ("NoSuchKey", "1"), ("SecurityProfile", "7")] {
        let refused = set(key, value, KeyOrigin::Rollback).await;
        assert!(matches!(refused, Err(CallError::OutOfRange(_))), "{key}: {refused:?}");
    }
    let values = values().await.expect("a state");
    assert_eq!((values.value("SupervisionUrl"), values.value("SecurityProfile")), (Some("ws://a.example/"), Some("0")));
    assert_eq!(values.value("HeartbeatInterval"), Some("30"));
}

#[tokio::test]
async fn what_was_accepted_is_there_after_a_kill() {
    let bench = Lone::new(PROGRAM, STATION).await;
    let client = bench.client().await;
    let keys = keys(&client).await;
    let values = async || state::<SettingsState>(&client, names::SETTINGS, names::SETTINGS.root).await;

    let service = bench.start();
    let first = until("settings", values).await;
    assert_eq!(first.value("HeartbeatInterval"), Some("30"));
    assert_eq!(
        keys.set("heartbeatinterval", "45", KeyOrigin::Csms, soon()).await.expect("a verdict"),
        SetVerdict::Accepted
    );
    drop(service);

    let _service = bench.start();
    let again = until("settings again", values).await;
    assert_eq!(again.value("HeartbeatInterval"), Some("45"));
    assert_eq!(keys.set("NoSuchKey", "1", KeyOrigin::Csms, soon()).await.expect("a verdict"), SetVerdict::NotSupported);
    let refused = keys.set("HeartbeatInterval", "1", KeyOrigin::Default, soon()).await;
    assert!(matches!(refused, Err(CallError::OutOfRange(_))), "{refused:?}");
    let late = BoottimeMillis(Clock::system().now().boottime.0 - 1);
    let refused = keys.set("HeartbeatInterval", "50", KeyOrigin::Csms, late).await;
    assert!(matches!(refused, Err(CallError::Expired(_))), "{refused:?}");
    assert_eq!(values().await.expect("a state").value("HeartbeatInterval"), Some("45"), "nothing has changed");
    let record = keys.list_keys().await.expect("the keys").into_iter().find(|record| record.key == "HeartbeatInterval");
    assert_eq!(record.map(|record| record.origin), Some(KeyOrigin::Csms));
}
