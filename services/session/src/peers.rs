//! What session asks of its peers. Each call is a task of its own with a time limit; its answer is an input.

use crate::authorization::CentralWord;
use crate::effect::{DeliveryAnswer, Effect};
use crate::station::Input;
use busbar_interfaces::metering::MeterProxy;
use busbar_interfaces::ocpp::OcppProxy;
use busbar_interfaces::power::PowerConnectorProxy;
use busbar_interfaces::{CallError, ConnectorId, names};
use std::time::Duration;
use zbus::Connection;
use zbus::proxy::CacheProperties;

/// The CSMS's answer is awaited this long; after it the offline rules hold. Who presented the badge waits for us on a
/// call of 10 s (`runtime::bus::METHOD_TIMEOUT`), in which the meter must be read too.
const AUTHORIZE_LIMIT: Duration = Duration::from_millis(8_500);

/// Carries out one effect that is a call; `None` when it has no answer that matters.
pub async fn call(bus: Connection, effect: Effect, lease: Duration) -> Option<Input> {
    let lease_millis = u32::try_from(lease.as_millis()).unwrap_or(u32::MAX);
    match effect {
        Effect::Latch(connector, purpose) => {
            let reading = latch(&bus, connector).await;
            let reading = reading
                .inspect_err(|error| tracing::debug!(connector = connector.0, %error, "the meter could not be read"))
                .ok();
            Some(Input::Latched { connector, purpose, reading })
        }
        Effect::StartDelivery(connector, transaction) => {
            let answer = async { power(&bus, connector).await?.start_delivery(transaction, lease_millis).await }.await;
            Some(Input::Delivery { connector, transaction, answer: delivery_answer(answer) })
        }
        Effect::RenewDelivery(connector, transaction) => {
            let answer = async { power(&bus, connector).await?.renew_delivery(transaction, lease_millis).await }.await;
            Some(Input::Delivery { connector, transaction, answer: delivery_answer(answer) })
        }
        Effect::StopDelivery(connector, transaction) => {
            let answer = async { power(&bus, connector).await?.stop_delivery(transaction).await }.await;
            if let Err(error) = answer {
                tracing::warn!(connector = connector.0, transaction = transaction.0, %error, "power did not take the stop");
            }
            None
        }
        // What goes to disk, and answers, are the loop's own.
        Effect::Start(..)
        | Effect::Record(_)
        | Effect::RecordUnplugged(_)
        | Effect::RecordHeld(_)
        | Effect::RecordDelivery(..)
        | Effect::RecordOffset(..)
        | Effect::RecordEnding(..)
        | Effect::RecordSuspended(_)
        | Effect::RecordGroup(..)
        | Effect::RecordIrregular(..)
        | Effect::Opened(..) => None,
    }
}

/// Asks the CSMS about a badge.
pub async fn authorize(bus: Connection, question: u64, id_tag: String) -> Input {
    let asked = async {
        let ocpp = OcppProxy::builder(&bus).cache_properties(CacheProperties::No).build().await?;
        ocpp.authorize(&id_tag).await
    };
    let answer = match tokio::time::timeout(AUTHORIZE_LIMIT, asked).await {
        Ok(Ok(authorization)) => CentralWord::Said(authorization),
        // Without a link, or without the process that has it, the offline rules hold.
        Ok(Err(error @ (CallError::NotReady(_) | CallError::Bus(_)))) => {
            tracing::info!(%error, "the CSMS could not be asked about a badge: the offline rules hold");
            CentralWord::Unreachable
        }
        // With a link, no answer is no permission.
        Ok(Err(error)) => {
            tracing::warn!(%error, "the CSMS did not say whether a badge may charge: it may not");
            CentralWord::Silent
        }
        Err(_) => CentralWord::Silent,
    };
    Input::Authorized { question, answer }
}

async fn latch(bus: &Connection, connector: ConnectorId) -> Result<busbar_interfaces::metering::Reading, CallError> {
    let meter = MeterProxy::builder(bus)
        .path(names::METERING.connector(connector))
        .cache_properties(CacheProperties::No)
        .build()
        .await?;
    meter.latch().await
}

async fn power(bus: &Connection, connector: ConnectorId) -> Result<PowerConnectorProxy<'static>, CallError> {
    let power = PowerConnectorProxy::builder(bus)
        .path(names::POWER.connector(connector))
        .cache_properties(CacheProperties::No)
        .build()
        .await?;
    Ok(power)
}

fn delivery_answer(answer: Result<(), CallError>) -> DeliveryAnswer {
    match answer {
        Ok(()) => DeliveryAnswer::Held,
        Err(CallError::Bus(_) | CallError::Busy(_)) => DeliveryAnswer::Unreachable,
        Err(CallError::NotReady(reason)) => DeliveryAnswer::NotReady(reason),
        Err(error) => DeliveryAnswer::Over(error.to_string()),
    }
}
