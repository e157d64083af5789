//! A cell of the matrix on a station: it is brought into the phase, the fault comes, and what happens is watched until it
//! is what the table says; then the fault goes, the books are checked, and the connector is free again.

use crate::table::{Comes, Phase, Row};
use anyhow::{Context, Result, bail, ensure};
use busbar_ctl::plant::{self, PlantConnectorProxy, PlantProxy};
use busbar_interfaces::faults::FaultsState;
use busbar_interfaces::power::{PowerConnectorProxy, PowerConnectorState};
use busbar_interfaces::words::{ConnectorStatus, Lock, OfferedBy, Phase as Delivery, Plug, Verdict};
use busbar_interfaces::{ConnectorId, Published, ServiceName, names};
use busbar_runtime::Clock;
use busbar_runtime::object::fetch;
use busbar_suite::scene::{BADGE, LIMIT, OTHER, STRANGER, Scene};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use zbus::Variant;

/// What a busy machine may add to a reaction; no limit of the hardware notes that the plant itself watches (5 A after one
/// second) is loosened by it.
const NOISE: u64 = 250;
/// What has not been noticed by then goes on. The longest silence that is borne in a session is 2 s.
const UNNOTICED: u64 = 2_300;
/// A sound vehicle has current much sooner.
const START_PATIENCE: Duration = Duration::from_secs(5);
/// After the fault has gone, a code that is still shown by then stays.
const STAYS: u64 = 600;
/// Contactors are told to open a second after an emergency at the latest (§9.5), and take their time.
const OPEN: u64 = 1_000 + 100;
const LINGERS: &str = "car-1-lingers";

/// A station on which one cell is played after the other.
pub struct Lane {
    scene: Scene,
    hardware: PlantConnectorProxy<'static>,
    plant: PlantProxy<'static>,
    /// Transactions so far.
    transactions: usize,
    /// The delivery that runs when the fault comes.
    delivery: u64,
    badge: usize,
}

/// How quick it was, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// To the first module-off.
    pub off: Option<u64>,
    /// To open contactors, as it was looked at.
    pub open: Option<u64>,
}

fn now() -> u64 {
    Clock::system().now().boottime.0
}

impl Lane {
    /// A quick station.
    pub async fn start() -> Result<Lane> {
        let scene = Scene::start().await?;
        let hardware = scene.hardware(1).await?;
        let plant = plant::plant(scene.bench.bus()).await?;
        Ok(Lane { scene, hardware, plant, transactions: 0, delivery: 0, badge: 0 })
    }

    /// The names of the plant's faults, as it shows them.
    pub async fn faults(&self) -> Result<Vec<String>> {
        Ok(self.plant.faults().await?.into_iter().map(|(name, ..)| name).collect())
    }

    /// Ends the station.
    pub async fn stop(self) {
        self.scene.bench.stop().await;
    }

    /// Plays a cell.
    pub async fn play(&mut self, row: &Row, phase: Phase) -> Result<Pace> {
        let violations = self.plant.violations().await?;
        self.reach(phase).await.context("on the way to the phase")?;
        let offered = self.power().await?.offered_watts;
        let comes = row.comes(phase);
        let (at, fault) = (now(), self.begin(row, comes).await?);
        let mut pace = Pace::default();
        if matches!(phase, Phase::Free | Phase::Plugged) {
            self.tries(phase, comes, at).await?;
        } else {
            pace = self.follows(row, phase, at).await?;
            if matches!(comes, Comes::Stops | Comes::Emergency) {
                self.in_time(row, &fault, &mut pace).await?;
            }
        }
        if comes == Comes::Derates {
            let derates = |power: &PowerConnectorState| {
                let less = offered.0 == 0 || power.offered_watts < offered;
                less && power.offered_by == OfferedBy::Temperature
            };
            self.wait("less is offered", derates).await?;
        }
        if let Some(code) = row.code_of(comes) {
            self.shows(code).await?;
        }
        self.clear().await?;
        self.ends(row, phase, comes).await?;
        self.books(row).await?;
        let new: Vec<String> = self.plant.violations().await?.into_iter().skip(violations.len()).collect();
        ensure!(new.is_empty(), "the plant's alarm: {new:?}");
        Ok(pace)
    }

    /// The fault begins. Where it is to keep a charge from beginning, each module that could be used has it.
    async fn begin(&self, row: &Row, comes: Comes) -> Result<String> {
        let all = self.plant.modules().await?.into_iter().map(|module| module.0);
        let of = if comes == Comes::StartsNot { all.collect() } else { vec![self.module().await?] };
        for module in &of {
            let (fault, value) = row.of_module(*module)?;
            match value {
                Some(value) => self.plant.set_fault_value(&fault, value).await?,
                None => self.plant.set_fault(&fault, true).await?,
            }
        }
        Ok(row.of_module(of[0])?.0)
    }

    async fn state<S: Published>(&self, peer: ServiceName, path: &str) -> Result<S> {
        Ok(fetch::<S>(self.scene.bench.bus(), peer, path).await?)
    }

    async fn power(&self) -> Result<PowerConnectorState> {
        self.state(names::POWER, &names::POWER.connector(ConnectorId(1))).await
    }

    async fn wait(&self, what: &str, is: impl Fn(&PowerConnectorState) -> bool) -> Result<PowerConnectorState> {
        let path = names::POWER.connector(ConnectorId(1));
        self.scene.bench.wait_for(names::POWER, &path, LIMIT, is).await.with_context(|| what.to_owned())
    }

    /// A module that works for connector 1, or the first.
    async fn module(&self) -> Result<u8> {
        let modules = self.plant.modules().await?;
        let of = modules.into_iter().find(|module| module.7.contains('1'));
        Ok(of.map_or(1, |module| module.0))
    }

    async fn plug(&self) -> Result<()> {
        let vehicle = [
            ("StateOfChargePercent", Variant::from(30u8)),
            ("MaximumWatts", Variant::from(60_000u32)),
            ("CapacityWattHours", Variant::from(1_000_000u32)),
        ];
        Ok(self.hardware.plug(vehicle.into_iter().collect()).await?)
    }

    /// Shows a badge, another one each time, until it is decided about.
    async fn asks(&mut self) -> Result<busbar_interfaces::session::Decision> {
        let before = self.scene.session(|_| true).await?.last_decision;
        let until = Instant::now() + LIMIT;
        while Instant::now() < until {
            self.badge = (self.badge + 1) % 3;
            self.scene.badge_of([BADGE, OTHER, STRANGER][self.badge]).await?;
            let news = self.scene.session(|session| session.last_decision != before);
            if let Ok(session) = timeout(Duration::from_secs(3), news).await {
                return Ok(session?.last_decision);
            }
        }
        bail!("the badge is not decided about")
    }

    /// Asks for a charge until it is granted: what was before may have to come to rest.
    async fn begins(&mut self) -> Result<()> {
        let until = Instant::now() + LIMIT;
        loop {
            let decision = self.asks().await?;
            if decision.verdict == Verdict::Accepted {
                break;
            }
            ensure!(Instant::now() < until, "refused: {decision:?}, {}", self.shown().await);
        }
        self.scene.started(self.transactions).await?;
        self.transactions += 1;
        Ok(())
    }

    async fn reach(&mut self, phase: Phase) -> Result<()> {
        if phase == Phase::Free {
            return Ok(());
        }
        self.plug().await?;
        self.scene.status(1, ConnectorStatus::Preparing).await?;
        let board = match phase {
            Phase::Plugged | Phase::Free => return Ok(()),
            Phase::Negotiating => Some((2, "negotiating")),
            Phase::CableCheck => Some((4, "insulation-test")),
            Phase::PreCharge => Some((5, "precharge")),
            Phase::Charging | Phase::Paused | Phase::Ending => None,
        };
        if let Some((number, _)) = board {
            self.plant.set_fault_value(LINGERS, number).await?;
        }
        self.begins().await?;
        let begun = |power: &PowerConnectorState| power.delivery.0 != 0 && power.lock == Lock::Locked;
        self.delivery = self.wait("the delivery", begun).await?.delivery.0;
        if let Some((_, word)) = board {
            let there = async || Ok(self.hardware.board_status().await? == word);
            self.scene.until(word, there).await?;
            let volts = match phase {
                Phase::Negotiating => return Ok(()),
                // What is tested or precharged is at its voltage.
                Phase::CableCheck => 400_000,
                _ => 360_000,
            };
            let live = async || Ok(self.hardware.output_millivolts().await? > volts);
            return self.scene.until("the voltage", live).await;
        }
        self.current().await?;
        match phase {
            Phase::Paused => {
                self.hardware.pause_demand().await?;
                self.scene.status(1, ConnectorStatus::SuspendedEv).await
            }
            Phase::Ending => {
                self.hardware.stop_by_vehicle().await?;
                let ends = async || Ok(self.hardware.board_status().await? != "charging");
                self.scene.until("it ends", ends).await
            }
            _ => Ok(()),
        }
    }

    async fn current(&self) -> Result<()> {
        let flows = async || Ok(self.hardware.output_milliamperes().await? >= 100_000);
        self.scene.until("current flows", flows).await
    }

    /// A driver comes and asks while the fault is there.
    async fn tries(&mut self, phase: Phase, comes: Comes, at: u64) -> Result<()> {
        // What is noticed at rest is noticed before somebody asks.
        self.watched(at + UNNOTICED, async || Ok(true)).await?;
        if phase == Phase::Free {
            self.plug().await?;
            // A station that cannot see it does not say so; one that can is asked only then.
            let unseen = async || Ok(self.power().await?.plug != Plug::Plugged);
            self.watched(now() + UNNOTICED, unseen).await?;
        }
        if comes != Comes::StartsNot {
            self.begins().await?;
            if comes == Comes::Either {
                return Ok(());
            }
            let flows = async || Ok(self.hardware.output_milliamperes().await? >= 20);
            return self.scene.until("current flows in spite of it", flows).await;
        }
        let decision = self.asks().await?;
        if decision.verdict != Verdict::Accepted {
            return Ok(());
        }
        self.scene.started(self.transactions).await?;
        self.transactions += 1;
        self.no_current().await
    }

    /// The delivery ends, or comes to nothing.
    async fn no_current(&self) -> Result<()> {
        let until = Instant::now() + START_PATIENCE;
        while Instant::now() < until && self.power().await?.delivery.0 != 0 {
            let amperes = self.hardware.output_milliamperes().await?;
            ensure!(amperes < 5_000, "current flows: {amperes} mA");
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Something holds up to a moment.
    async fn watched(&self, until: u64, holds: impl AsyncFn() -> Result<bool>) -> Result<()> {
        while now() < until && holds().await? {
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// A delivery is there when the fault comes.
    async fn follows(&self, row: &Row, phase: Phase, at: u64) -> Result<Pace> {
        let delivery = self.delivery;
        match row.comes(phase) {
            Comes::GoesOn | Comes::Derates => {
                self.watched(at + UNNOTICED, async || Ok(self.power().await?.delivery.0 == delivery)).await?;
                self.plant.set_fault(LINGERS, false).await?;
                let decided = |power: &PowerConnectorState| {
                    power.phase == Delivery::Delivering || power.ended_delivery.0 == delivery
                };
                let power = self.wait("it delivers or ends", decided).await?;
                ensure!(power.delivery.0 == delivery, "it ended: {:?}, {}", power.stop_cause, self.shown().await);
                if phase == Phase::Paused {
                    self.hardware.resume_demand().await?;
                }
                Ok(Pace::default())
            }
            Comes::Either => {
                self.watched(at + UNNOTICED, async || Ok(true)).await?;
                self.plant.set_fault(LINGERS, false).await?;
                Ok(Pace::default())
            }
            Comes::StartsNot => {
                self.plant.set_fault(LINGERS, false).await?;
                self.no_current().await?;
                Ok(Pace::default())
            }
            Comes::Stops | Comes::Emergency | Comes::Ends => self.over(row, at).await,
        }
    }

    /// The delivery has ended with open contactors; where nothing can reach the contactors, its modules are off.
    async fn over(&self, row: &Row, at: u64) -> Result<Pace> {
        let (mut pace, until) = (Pace::default(), Instant::now() + LIMIT + LIMIT);
        loop {
            if pace.open.is_none() && !self.hardware.output_contactor_closed().await? {
                pace.open = Some(now().saturating_sub(at));
            }
            let is_off = self.hardware.last_reaction_times().await?.3 != 0;
            if (row.cuts_the_coils_off() && is_off)
                || (self.power().await?.ended_delivery.0 == self.delivery && pace.open.is_some())
            {
                return Ok(pace);
            }
            let (phase, shown) = (self.power().await?.phase, self.shown().await);
            ensure!(Instant::now() < until, "it goes on in {phase}: {pace:?}, {shown}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// The modules were off in time, by the plant's own clock, and the contactors open.
    async fn in_time(&self, row: &Row, fault: &str, pace: &mut Pace) -> Result<()> {
        let (what, began, told, off) = self.hardware.last_reaction_times().await?;
        if what == fault && off != 0 {
            let from = if told == 0 { began } else { told };
            let millis = off.saturating_sub(from) / 1_000_000;
            pace.off = Some(millis);
            ensure!(millis <= row.within + NOISE, "off after {millis} ms");
        }
        let Some(open) = pace.open else { return Ok(()) };
        // From its beginning, which a device may tell a cycle of its own later.
        let told = told.saturating_sub(began) / 1_000_000;
        ensure!(open <= told + row.within + OPEN + NOISE, "open after {open} ms, told after {told} ms");
        Ok(())
    }

    /// What the station shows as wrong.
    async fn shown(&self) -> String {
        let faults = self.state::<FaultsState>(names::FAULTS, names::FAULTS.root).await.unwrap_or_default();
        let shown =
            faults.active.iter().map(|fault| format!("{} at {}: {}", fault.code, fault.connector, fault.detail));
        format!("shown {:?}", shown.collect::<Vec<_>>())
    }

    async fn is_shown(&self, code: &str) -> Result<bool> {
        let faults = self.state::<FaultsState>(names::FAULTS, names::FAULTS.root).await?;
        Ok(faults.active.iter().any(|fault| fault.code == code && fault.connector != ConnectorId(2)))
    }

    async fn shows(&self, code: &str) -> Result<()> {
        let shown = self.scene.until(code, async || self.is_shown(code).await).await;
        if shown.is_err() {
            bail!("not {code}, {}", self.shown().await);
        }
        Ok(())
    }

    async fn clear(&self) -> Result<()> {
        Ok(self.plant.clear_faults().await?)
    }

    /// The fault has gone; the charge ends, the vehicle goes, and the connector is free again.
    async fn ends(&self, row: &Row, phase: Phase, comes: Comes) -> Result<()> {
        if matches!(comes, Comes::GoesOn | Comes::Derates) {
            let flows = async || Ok(self.hardware.output_milliamperes().await? >= 20);
            self.scene.until("current flows after it", flows).await?;
            self.hardware.stop_by_vehicle().await?;
            self.scene.booked(self.transactions - 1, |transaction| transaction.stop_count > 0).await?;
        }
        if comes == Comes::Either {
            self.hardware.stop_by_vehicle().await?;
            self.scene.booked(self.transactions - 1, |transaction| transaction.stop_count > 0).await?;
        }
        if let Some(code) = row.code.filter(|_| row.stays && comes == Comes::Emergency) {
            let gone = now();
            self.watched(gone + STAYS, async || Ok(true)).await?;
            ensure!(self.is_shown(code).await?, "{code} does not stay with the vehicle there in {phase:?}");
        }
        if self.hardware.plugged_in().await? {
            self.hardware.unplug().await?;
        }
        if row.code == Some("0xB00009") {
            // A relay that was locked out stays so until somebody has seen to it (§6.2, rule 6).
            let path = names::POWER.connector(ConnectorId(1));
            let power = PowerConnectorProxy::builder(self.scene.bench.bus()).path(path).build().await?;
            self.scene.until("the relay is reset", async || Ok(power.reset_fault().await.is_ok())).await?;
        }
        let free = self.scene.status(1, ConnectorStatus::Available).await;
        if free.is_err() {
            bail!("not free again: {}", self.shown().await);
        }
        Ok(())
    }

    /// Each transaction has one start and one stop, the last with the meter's register.
    async fn books(&self, row: &Row) -> Result<()> {
        if self.transactions == 0 {
            return Ok(());
        }
        let last = self.scene.booked(self.transactions - 1, |transaction| transaction.stop_count > 0).await?;
        self.scene.adds_up(self.transactions).await?;
        let register = i64::try_from(self.hardware.meter_milliwatt_hours().await? / 1000)?;
        // A meter that cannot be read stops with its last word.
        let exact = row.fault != "meter-1-down";
        let right = if exact { last.meter_stop == Some(register) } else { last.meter_stop <= Some(register) };
        ensure!(right, "meterStop {:?}, register {register}: {last:?}", last.meter_stop);
        Ok(())
    }
}
