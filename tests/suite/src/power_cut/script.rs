//! The script of a life: every kind of durable write of session comes by in it.

use crate::chaos::peers::CONNECTORS;
use crate::power_cut::charging::{Asker, Driver, Way};
use crate::power_cut::life::{Life, later};
use crate::power_cut::promises::ChargeNumber;
use anyhow::{Context, Result, ensure};
use busbar_interfaces::ocpp::Authorization;
use busbar_interfaces::session::LocalListEntry;
use busbar_interfaces::words::{
    AuthorizationSource, AuthorizationStatus, Availability, AvailabilityVerdict, BadgeOutcome, ConnectorStatus,
    EventKind, KeyOrigin, ListVerdict, ReservationVerdict, SetVerdict, StopReason, Verdict,
};
use busbar_interfaces::{ConnectorId, ReservationId, TransactionId, UnixMillis};
use busbar_runtime::Clock;
use std::collections::BTreeSet;
use std::time::Duration;

const LISA: Driver = Driver { id_tag: "LISA", source: AuthorizationSource::LocalList, reservation: None };
const DORA: Driver = Driver { id_tag: "DORA", source: AuthorizationSource::LocalList, reservation: None };
const GRETA: Driver = Driver { id_tag: "GRETA", source: AuthorizationSource::LocalList, reservation: None };
const CARL: Driver = Driver { id_tag: "CARL", source: AuthorizationSource::Cache, reservation: None };
const EVA: Driver = Driver { id_tag: "EVA", source: AuthorizationSource::Csms, reservation: None };
/// Of the same group as DORA, once that is known of her.
const BERT: &str = "BERT";
const FLEET: &str = "FLEET";

const SAMPLE_INTERVAL: &str = "MeterValueSampleInterval";
/// Reservations last longer than any life.
const AN_HOUR: Duration = Duration::from_secs(3600);
/// Nothing begins for so long, unless that is taken back.
const PAUSE_MILLIS: u32 = 60_000;

fn accepted(parent_id_tag: &str) -> Authorization {
    Authorization {
        status: AuthorizationStatus::Accepted,
        parent_id_tag: parent_id_tag.to_owned(),
        expires_unix_millis: UnixMillis(0),
    }
}

fn entry(id_tag: &str, parent_id_tag: &str) -> LocalListEntry {
    LocalListEntry { id_tag: id_tag.to_owned(), authorization: accepted(parent_id_tag) }
}

impl Life {
    /// From the first start to the last unplug.
    ///
    /// # Errors
    /// What does not hold on the way.
    pub async fn whole(&mut self) -> Result<()> {
        self.start_session(1).await?;
        self.keys().await?;
        self.local_list().await?;
        self.learned_badge().await?;
        self.reserve(7, 1, DORA.id_tag).await?;
        self.cancelled_reservation().await?;
        let long = self.long_charge().await?;
        self.charge_ended_from_afar().await?;
        self.charge_without_a_right().await?;
        self.charge_with_a_break().await?;
        self.end_by_the_group(long).await?;
        self.charge_before_a_restart().await?;
        self.forgotten_badges().await?;
        self.reserve(9, 2, GRETA.id_tag).await?;
        self.charge_over_a_planned_stop().await?;
        self.last_charges().await
    }

    /// The CSMS switches the cache and the list on, and session follows.
    async fn keys(&mut self) -> Result<()> {
        self.now("the keys");
        self.until(
            "session follows the first ones: a badge is told more than \"out of service\"",
            async |life: &Life| {
                let badge = life.station.session.present_badge("LISA", ConnectorId(1), later()).await.ok()?;
                (badge.0 == BadgeOutcome::NoVehicle).then_some(())
            },
        )
        .await?;
        self.set("AuthorizationCacheEnabled", "true").await?;
        self.set("LocalAuthListEnabled", "true").await?;
        self.until("session follows the keys", async |life: &Life| {
            (life.station.root().await?.local_list_version == 0).then_some(())
        })
        .await?;
        self.done().await
    }

    async fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let set = async |life: &Life| life.station.settings.set(key, value, KeyOrigin::Csms, later()).await.ok();
        let verdict = self.until("settings takes a key", set).await?;
        ensure!(verdict == SetVerdict::Accepted, "{key}: {verdict}");
        Ok(())
    }

    /// A list, and a change of it: a change that is repeated is a mismatch, and nothing is lost by it.
    async fn local_list(&mut self) -> Result<()> {
        self.now("the list");
        let badges = [entry("LISA", ""), entry("BERT", FLEET), entry("GRETA", ""), entry("OLAF", "")];
        self.promises.list.ask((1, 4));
        let (verdict, _) = self
            .insist("a full list", async |session| session.update_local_list(1, true, &badges, &[], later()).await)
            .await?;
        ensure!(verdict == ListVerdict::Accepted, "the full list is {verdict}");
        self.promises.list.answered();
        self.done().await?;

        self.now("a change of the list");
        let (more, less) = ([entry("DORA", "")], ["OLAF".to_owned()]);
        self.promises.list.ask((2, 4));
        let (verdict, is_repeated) = self
            .insist("a change of it", async |session| session.update_local_list(2, false, &more, &less, later()).await)
            .await?;
        let is_there = is_repeated && verdict == ListVerdict::VersionMismatch;
        ensure!(is_there || verdict == ListVerdict::Accepted, "the change of the list is {verdict}");
        self.promises.list.answered();
        self.done().await
    }

    async fn learned_badge(&mut self) -> Result<()> {
        self.now("a learned badge");
        self.promises.cache.ask(true);
        let carl = accepted("");
        self.insist("a word on a badge", async |session| session.learn_authorization("CARL", &carl).await).await?;
        self.promises.cache.answered();
        self.done().await
    }

    async fn reserve(&mut self, number: i32, connector: u32, id_tag: &'static str) -> Result<()> {
        self.now("a reservation");
        let expires = UnixMillis(Clock::system().now().unix.0.saturating_add(u64::try_from(AN_HOUR.as_millis())?));
        let held = self.promises.reservations.holds();
        let then = held.iter().copied().chain([number]).collect();
        self.promises.reservations.ask(then);
        let (number, at) = (ReservationId(number), ConnectorId(connector));
        let verdict = loop {
            self.until_heard().await?;
            let reserve = self.ask_at_once("a reservation", async |session| {
                session.reserve(number, at, id_tag, "", expires, later()).await
            });
            if let Some(verdict) = reserve.await? {
                break verdict;
            }
        };
        ensure!(verdict == ReservationVerdict::Accepted, "reservation {number} is {verdict}");
        self.promises.reservations.answered();
        self.until("the connector is reserved", async |life: &Life| {
            (life.station.connector(connector).await?.status == ConnectorStatus::Reserved).then_some(())
        })
        .await?;
        self.done().await
    }

    async fn cancelled_reservation(&mut self) -> Result<()> {
        self.reserve(8, 2, "NOBODY").await?;
        self.now("a reservation is cancelled");
        self.promises.reservations.ask(BTreeSet::from([7]));
        let eight = ReservationId(8);
        let (verdict, is_repeated) =
            self.insist("a cancellation", async |session| session.cancel_reservation(eight, later()).await).await?;
        let is_gone = is_repeated && verdict == Verdict::Rejected;
        ensure!(is_gone || verdict == Verdict::Accepted, "the cancellation is {verdict}");
        self.promises.reservations.answered();
        self.done().await
    }

    /// It uses a reservation up, its badge's group is learned, and it is let finish by an order out of service.
    async fn long_charge(&mut self) -> Result<ChargeNumber> {
        self.now("a charge that was reserved");
        self.promises.reservations.ask(BTreeSet::new());
        let dora = Driver { reservation: Some(7), ..DORA };
        let long = self.charge(1, dora, Asker::Driver).await?;
        self.promises.reservations.answered();
        self.flows(long).await?;
        self.done().await?;

        self.now("its group");
        let word = accepted(FLEET);
        self.insist("a word on its badge", async |session| session.learn_authorization("DORA", &word).await).await?;
        self.done().await?;

        self.now("an order that waits for it");
        self.promises.order.ask(Availability::Inoperative);
        let verdict = self.order(Availability::Inoperative, KeyOrigin::Csms).await?;
        let is_over = self.case.death.cuts_power() && self.is_over(long).await?;
        let scheduled = verdict == AvailabilityVerdict::Scheduled;
        ensure!(scheduled || (is_over && verdict == AvailabilityVerdict::Accepted), "the order is {verdict}");
        self.until_or_over("the order waits", long, async |_, state| state.availability_is_scheduled).await?;
        self.done().await?;
        Ok(long)
    }

    async fn order(&mut self, availability: Availability, origin: KeyOrigin) -> Result<AvailabilityVerdict> {
        let one = ConnectorId(1);
        let order =
            self.insist("an order", async |session| session.set_availability(one, availability, origin, later()).await);
        let (verdict, _) = order.await?;
        self.promises.order.answered();
        Ok(verdict)
    }

    async fn charge_ended_from_afar(&mut self) -> Result<()> {
        self.now("a charge that the CSMS ends");
        let charge = self.charge(2, CARL, Asker::Driver).await?;
        self.flows(charge).await?;
        self.end(charge, Way::Remote).await?;
        self.drive_off(2, ConnectorStatus::Available).await?;
        self.done().await
    }

    /// The CSMS does not accept its badge: nothing flows any more, and it stays until the driver ends it.
    async fn charge_without_a_right(&mut self) -> Result<()> {
        self.now("a charge that the CSMS begins");
        let charge = self.charge(2, EVA, Asker::Csms).await?;
        self.flows(charge).await?;
        self.done().await?;

        self.now("its badge is not accepted");
        let transaction = self.promised(charge)?.transaction;
        let deauthorize = self.insist("that", async |session| session.deauthorize(transaction).await);
        let (verdict, _) = deauthorize.await?;
        if verdict != Verdict::Accepted {
            ensure!(verdict == Verdict::Rejected && self.is_over(charge).await?, "that is {verdict}");
        }
        let begun = self.station.peers.begun(2);
        self.until_or_over("it stands", charge, async |life, state| {
            state.status == ConnectorStatus::SuspendedEvse && life.station.peers.delivery(2) == TransactionId(0)
        })
        .await?;
        let register = self.station.peers.register(2);
        self.done().await?;

        self.now("its driver ends it");
        self.end(charge, Way::Badge(EVA.id_tag)).await?;
        let peers = &self.station.peers;
        ensure!((peers.begun(2), peers.register(2)) == (begun, register), "free energy");
        self.drive_off(2, ConnectorStatus::Available).await?;
        self.done().await
    }

    /// Its vehicle is unplugged, and plugged in again.
    async fn charge_with_a_break(&mut self) -> Result<()> {
        self.now("a charge with a break");
        let charge = self.charge(2, CARL, Asker::Driver).await?;
        self.flows(charge).await?;
        self.station.peers.unplug(2);
        self.until_or_over("it stays without its vehicle", charge, async |_, state| {
            state.status == ConnectorStatus::SuspendedEv
        })
        .await?;
        self.done().await?;

        self.now("it goes on");
        self.station.peers.plug(2);
        self.flows(charge).await?;
        self.done().await?;

        self.now("its vehicle has enough");
        if !self.is_over(charge).await? {
            self.promises.ask_to_end(charge, (StopReason::Other, ""));
            self.station.peers.have_enough(2);
        }
        self.until_over(charge).await?;
        self.drive_off(2, ConnectorStatus::Available).await?;
        self.done().await
    }

    /// Another badge of the group ends the long charge, and the order holds until it is taken back.
    async fn end_by_the_group(&mut self, long: ChargeNumber) -> Result<()> {
        self.now("a sample of the long charge");
        // Samples are wanted here alone, so that every life has the same writes.
        self.set(SAMPLE_INTERVAL, "1").await?;
        let transaction = self.promised(long)?.transaction;
        self.until_or_over("there is a sample", long, async |life, _| {
            let journal = life.station.journal().await.unwrap_or_default();
            journal.iter().any(|event| event.kind == EventKind::Sample && event.transaction == transaction)
        })
        .await?;
        self.set(SAMPLE_INTERVAL, "0").await?;
        self.done().await?;

        self.now("its group ends it");
        self.end(long, Way::Badge(BERT)).await?;
        self.drive_off(1, ConnectorStatus::Unavailable).await?;
        self.done().await?;

        self.now("the order is taken back");
        self.promises.order.ask(Availability::Operative);
        let verdict = self.order(Availability::Operative, KeyOrigin::Engineer).await?;
        ensure!(verdict == AvailabilityVerdict::Accepted, "the order is {verdict}");
        self.done().await
    }

    /// Every charge is ended for a restart that is then called off.
    async fn charge_before_a_restart(&mut self) -> Result<()> {
        self.now("a charge before a restart");
        let charge = self.charge(2, CARL, Asker::Driver).await?;
        self.flows(charge).await?;
        self.done().await?;

        self.now("every charge is ended");
        let reason = StopReason::SoftReset;
        loop {
            self.look().await?;
            let place = self.promises.ask_to_end(charge, (reason, ""));
            let ended =
                self.ask_at_once("the end of all", async |session| session.stop_all(reason, PAUSE_MILLIS).await);
            if ended.await?.is_some() {
                self.promises.is_ending(charge, place);
                break;
            }
        }
        let starts = self.station.starts;
        self.until_over(charge).await?;
        let badge = self.a_badge_for_nothing().await?;
        // The pause ends with the machine.
        let is_lost = self.case.death.cuts_power() && self.station.starts > starts;
        ensure!(badge == BadgeOutcome::OutOfService || (is_lost && badge == BadgeOutcome::NoVehicle), "{badge}");
        self.done().await?;

        self.now("the restart is called off");
        self.insist("that", async |session| session.stop_all(reason, 0).await).await?;
        let badge = self.a_badge_for_nothing().await?;
        ensure!(badge == BadgeOutcome::NoVehicle, "{badge}");
        self.drive_off(2, ConnectorStatus::Available).await?;
        self.done().await
    }

    /// A badge where none is awaited begins nothing, and tells why.
    async fn a_badge_for_nothing(&mut self) -> Result<BadgeOutcome> {
        let one = ConnectorId(1);
        loop {
            self.until_heard().await?;
            let badge = self.ask_at_once("a badge", async |session| session.present_badge("LISA", one, later()).await);
            if let Some((answer, _)) = badge.await? {
                return Ok(answer);
            }
        }
    }

    async fn forgotten_badges(&mut self) -> Result<()> {
        self.now("the cache is cleared");
        self.promises.cache.ask(false);
        let (verdict, _) = self.insist("that", async |session| session.clear_cache(later()).await).await?;
        ensure!(verdict == Verdict::Accepted, "it is {verdict}");
        self.promises.cache.answered();
        self.done().await
    }

    /// Session is stopped in good order: power holds the charge, or the machine is restarted too.
    async fn charge_over_a_planned_stop(&mut self) -> Result<()> {
        self.now("a charge over a planned stop");
        let charge = self.charge(1, DORA, Asker::Driver).await?;
        self.flows(charge).await?;
        self.done().await?;

        self.now("a planned stop");
        let before = self.look().await?.root.delivered_event;
        let in_order = self.restart_in_order().await?;
        self.now("after the planned stop");
        let delivered = self.look().await?.root.delivered_event;
        ensure!(delivered >= before || !in_order, "{before} was delivered, and {delivered} is known of it");
        if self.case.death.restarts_machine() {
            self.until_over(charge).await?;
        } else {
            self.flows(charge).await?;
            self.end(charge, Way::Remote).await?;
        }
        self.drive_off(1, ConnectorStatus::Available).await?;
        self.until("the connector is reserved", async |life: &Life| {
            (life.station.connector(2).await?.status == ConnectorStatus::Reserved).then_some(())
        })
        .await?;
        self.done().await
    }

    /// Nothing is stuck: a new charge begins and ends on both connectors.
    async fn last_charges(&mut self) -> Result<()> {
        self.now("the last charges");
        let one = self.charge(1, LISA, Asker::Driver).await?;
        self.promises.reservations.ask(BTreeSet::new());
        let greta = Driver { reservation: Some(9), ..GRETA };
        let two = self.charge(2, greta, Asker::Driver).await?;
        self.promises.reservations.answered();
        for charge in [one, two] {
            self.flows(charge).await?;
        }
        for charge in [one, two] {
            self.end(charge, Way::Remote).await?;
        }
        for connector in CONNECTORS {
            self.drive_off(connector, ConnectorStatus::Available).await?;
            let delivery = self.station.peers.delivery(connector);
            ensure!(delivery == TransactionId(0), "power goes on with delivery {delivery}");
        }
        let asked = self.station.central.asked();
        let unknown = asked.iter().find(|id_tag| *id_tag != EVA.id_tag);
        ensure!(unknown.is_none(), "the CSMS was asked about {unknown:?}, which is known as good");
        self.done().await.context("at the end")
    }
}
