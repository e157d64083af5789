//! What a station does with a wrong station file and with a CSMS that sends nonsense.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use anyhow::{Result, ensure};
use busbar_bench::{Bench, Failure, Options};
use busbar_csms::{CallFailure, Message};
use busbar_suite::scene::{IDENTITY, LIMIT, Scene};
use serde_json::json;

#[tokio::test]
async fn a_station_file_with_faults_starts_nothing_and_tells_all_of_them() -> Result<()> {
    let state = tempfile::tempdir()?;
    let mut options = Options::quick(state.path()).with("MeterValueSampleInterval", "often");
    options.station_file = "\n[smart-charging]\nsite_limit_wats = 5\n[session]\nmeter_wait_seconds = true\n\
                            [ocpp]\nretry_first_millis = 7\n[heating]\non = true\n"
        .to_owned();
    let Err(failure) = Bench::start(options).await else { anyhow::bail!("the station started") };
    ensure!(failure.code() == 78, "{failure}");
    let Failure::StationFile(faults) = failure else { anyhow::bail!("{failure}") };
    for (key, message) in [
        ("settings.defaults.MeterValueSampleInterval", "MeterValueSampleInterval"),
        ("smart-charging.site_limit_wats", "is not a key of this section"),
        ("session.meter_wait_seconds", "must be a whole number from 1 to 600, not boolean"),
        ("ocpp.retry_first_millis", "must be a whole number from 50 to 60000, not 7"),
        ("heating", "is not a section"),
    ] {
        let line = faults.lines().find(|line| line.contains(&format!("`{key}`")));
        let line = line.ok_or_else(|| anyhow::anyhow!("no fault for {key} in:\n{faults}"))?;
        ensure!(line.contains(message) && line.contains("etc/busbar/station.toml:"), "{line}");
    }
    ensure!(!state.path().join("state").exists(), "no service has started");
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_from_the_csms_is_answered_with_the_right_error_and_the_link_stays() -> Result<()> {
    let scene = Scene::start().await?;
    let csms = scene.csms()?;
    for (text, id, code) in [
        ("{\"not\": \"an array\"}", "-1", "FormationViolation"),
        ("[2, \"id-1\", \"GetConf", "-1", "FormationViolation"),
        ("[2, \"id-2\", \"MakeCoffee\", {}]", "id-2", "NotImplemented"),
        ("[2, \"id-3\", \"SetChargingProfile\", {\"connectorId\": 1}]", "id-3", "OccurenceConstraintViolation"),
        ("[2, \"id-7\", \"GetDiagnostics\", {\"location\": \"ftp://host/path\"}]", "id-7", "NotSupported"),
        ("[2, \"id-4\", \"RemoteStopTransaction\", {\"transactionId\": \"one\"}]", "id-4", "TypeConstraintViolation"),
        ("[2, \"id-5\", \"RemoteStopTransaction\", {}]", "id-5", "OccurenceConstraintViolation"),
        (
            "[2, \"id-6\", \"RemoteStartTransaction\", {\"idTag\": \"123456789012345678901\"}]",
            "id-6",
            "PropertyConstraintViolation",
        ),
        // A text that no message bus carries.
        (
            "[2, \"id-8\", \"RemoteStartTransaction\", {\"idTag\": \"A\\u0000B\"}]",
            "id-8",
            "PropertyConstraintViolation",
        ),
        (
            "[2, \"id-9\", \"ChangeConfiguration\", {\"key\": \"HeartbeatInterval\", \"value\": \"6\\u00000\"}]",
            "id-9",
            "PropertyConstraintViolation",
        ),
    ] {
        let mark = csms.mark();
        ensure!(csms.send_raw(IDENTITY, text).await);
        let answered = csms.wait_for_since(mark, LIMIT, |frame| matches!(frame.message, Message::Error { .. })).await;
        let answered = answered.map_err(|timeout| anyhow::anyhow!("{text}: {timeout:?}"))?;
        let Message::Error { id: answered_id, code: answered_code, .. } = &answered.message else { unreachable!() };
        ensure!((answered_id.as_str(), answered_code.as_str()) == (id, code), "{text}: {}", answered.raw);
    }
    let links = csms.links();
    ensure!(links.len() == 1 && links[0].closed_millis.is_none(), "the link stays: {links:?}");
    // Other nonsense is not answered and does no harm either.
    for text in ["[3, \"nobody-asked\", {}]", "[4, \"nobody-asked\", \"GenericError\", \"\", {}]"] {
        ensure!(csms.send_raw(IDENTITY, text).await);
    }
    let long = format!("[2, \"long\", \"GetConfiguration\", {{\"key\": [\"{}\"]}}]", "x".repeat(300));
    ensure!(csms.send_raw(IDENTITY, &long).await);
    let good = csms.call(IDENTITY, "GetConfiguration", json!({"key": ["heartbeatINTERVAL", "Nonsense"]})).await?;
    ensure!(good.payload["configurationKey"][0]["key"] == "HeartbeatInterval", "{:?}", good.payload);
    ensure!(good.payload["unknownKey"] == json!(["Nonsense"]), "{:?}", good.payload);
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_019_tc_021_tc_040_configuration_keys() -> Result<()> {
    let scene = Scene::start().await?;
    let csms = scene.csms()?;
    let all = csms.call(IDENTITY, "GetConfiguration", json!({})).await?;
    let keys = all.payload["configurationKey"].as_array().unwrap();
    ensure!(
        keys.iter().any(|key| key["key"] == "NumberOfConnectors" && key["value"] == "2" && key["readonly"] == true)
    );
    ensure!(keys.iter().all(|key| key["key"] != "AuthorizationKey" || key.get("value").is_none()), "never read back");
    for (key, value, status) in [
        ("MeterValueSampleInterval", "15", "Accepted"),
        ("metervaluesampleinterval", "20", "Accepted"),
        ("MeterValueSampleInterval", "-1", "Rejected"),
        ("NumberOfConnectors", "3", "Rejected"),
        ("MakeCoffee", "yes", "NotSupported"),
    ] {
        let changed = csms.call(IDENTITY, "ChangeConfiguration", json!({"key": key, "value": value})).await?;
        ensure!(changed.status() == Some(status), "{key}={value}: {changed:?}");
    }
    let read = csms.call(IDENTITY, "GetConfiguration", json!({"key": ["MeterValueSampleInterval"]})).await?;
    ensure!(read.payload["configurationKey"][0]["value"] == "20", "{read:?}");
    let many: Vec<String> = (0..51).map(|number| format!("Key{number}")).collect();
    let refused = csms.call(IDENTITY, "GetConfiguration", json!({ "key": many })).await;
    ensure!(matches!(&refused, Err(CallFailure::CallError { .. })), "more than GetConfigurationMaxKeys: {refused:?}");
    scene.bench.stop().await;
    Ok(())
}
