//! The loop of smart-charging: who delivers in, limits held at power out.

use crate::objects::{ConnectorObject, RootObject};
use crate::settings::Settings;
use crate::sharing;
use busbar_interfaces::power::{PowerConnectorProxy, PowerConnectorState};
use busbar_interfaces::smart_charging::{ConnectorLimitState, SmartChargingState};
use busbar_interfaces::{CallError, ConnectorId, TransactionId, Watts, names};
use busbar_runtime::{Bus, Exit, Life, Object, View, follow};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use zbus::proxy::CacheProperties;

const CONNECTORS: [ConnectorId; 2] = [ConnectorId(1), ConnectorId(2)];

struct News {
    connector: ConnectorId,
    view: View<PowerConnectorState>,
}

/// Power's answer to a limit, with the limit that was asked for.
struct Answer {
    connector: ConnectorId,
    asked: Watts,
    answer: Result<Watts, CallError>,
}

struct Limit {
    /// Power is there and delivers, or is about to.
    active: bool,
    present: bool,
    asked: Option<Watts>,
    object: Object<ConnectorLimitState>,
}

/// Runs the service until it is asked to stop.
///
/// # Errors
/// When the bus is lost or a task ends unasked.
pub async fn run(settings: Settings, bus: Bus, life: Life) -> Result<(), Exit> {
    let Life { mut stop, mut watchdog, .. } = life;
    let state = SmartChargingState { site_limit_watts: settings.site_limit };
    let (_, shown) = Object::new(&bus, names::SMART_CHARGING.root, state);
    bus.serve(names::SMART_CHARGING.root, RootObject { shown }).await?;
    let (sender, mut news) = mpsc::channel(16);
    let mut followers = JoinSet::new();
    let mut limits = BTreeMap::new();
    for connector in CONNECTORS {
        let path = names::SMART_CHARGING.connector(connector);
        let (object, shown) = Object::new(&bus, &path, sharing::shown(settings.site_limit, false));
        bus.serve(&path, ConnectorObject { shown }).await?;
        limits.insert(connector, Limit { active: false, present: false, asked: None, object });
        let path = names::POWER.connector(connector);
        let news = move |view| News { connector, view };
        followers.spawn(follow(bus.clone(), names::POWER, path, sender.clone(), news));
    }
    bus.ready().await?;

    let lost = bus.lost();
    tokio::pin!(lost);
    let renewal = settings.lease / 3;
    let mut renewals = interval_at(Instant::now() + renewal, renewal);
    renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut calls: JoinSet<Answer> = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.asked() => break,
            exit = &mut lost => return Err(exit),
            ended = followers.join_next() => return Err(Exit::Internal(format!("a follower ended: {ended:?}"))),
            () = watchdog.due() => watchdog.feed(),
            _ = renewals.tick() => limits.values_mut().for_each(|limit| limit.asked = None),
            Some(News { connector, view }) = news.recv() => {
                let Some(limit) = limits.get_mut(&connector) else { continue };
                let present = view.present().is_some();
                if present && !limit.present {
                    // A power that restarted knows no limit: it is told again.
                    limit.asked = None;
                }
                limit.present = present;
                limit.active = view.present().is_some_and(|power| power.delivery != TransactionId(0));
            }
            Some(Ok(answer)) = calls.join_next(), if !calls.is_empty() => answered(&mut limits, answer).await,
        }
        hold(&bus, &settings, &mut limits, &mut calls).await;
    }
    bus.release().await;
    Ok(())
}

/// Asks power to hold what it does not hold yet. A connector whose share shrinks is asked first.
async fn hold(bus: &Bus, settings: &Settings, limits: &mut BTreeMap<ConnectorId, Limit>, calls: &mut JoinSet<Answer>) {
    let active = limits.iter().map(|(connector, limit)| (*connector, limit.active)).collect();
    let mut shares: Vec<(ConnectorId, Watts)> = sharing::shares(settings.site_limit, &active).into_iter().collect();
    shares.sort_by_key(|(_, share)| *share);
    for (connector, share) in shares {
        let Some(limit) = limits.get_mut(&connector) else { continue };
        if limit.object.state().limit_watts != share {
            limit.object.publish(sharing::shown(share, false)).await;
        }
        if limit.present && limit.asked != Some(share) {
            limit.asked = Some(share);
            calls.spawn(ask_power(bus.clone(), connector, share, settings.lease));
        }
    }
}

async fn ask_power(bus: Bus, connector: ConnectorId, asked: Watts, lease: Duration) -> Answer {
    let lease_millis = u32::try_from(lease.as_millis()).unwrap_or(u32::MAX);
    let answer = async {
        let power = PowerConnectorProxy::builder(bus.connection())
            .path(names::POWER.connector(connector))
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        power.hold_limit(asked, lease_millis).await
    };
    Answer { connector, asked, answer: answer.await }
}

async fn answered(limits: &mut BTreeMap<ConnectorId, Limit>, answer: Answer) {
    let Some(limit) = limits.get_mut(&answer.connector) else { return };
    match answer.answer {
        Ok(_) if limit.asked == Some(answer.asked) => limit.object.publish(sharing::shown(answer.asked, true)).await,
        Ok(_) => {}
        Err(error) => {
            // Asked again at the next renewal, or as soon as power appears; until then its own lease rules.
            let connector = answer.connector.0;
            tracing::warn!(connector, limit_watts = answer.asked.0, %error, "power does not hold the limit");
            limit.object.publish(sharing::shown(answer.asked, false)).await;
        }
    }
}
