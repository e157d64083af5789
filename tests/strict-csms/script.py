"""What the strict central system asks of a station, step by step, and what it expects to be told.

A step that fails is reported and the next one follows: one run shows everything that is wrong.
"""

import asyncio
import json
from dataclasses import asdict, is_dataclass
from datetime import datetime, timedelta, timezone

from ocpp.exceptions import OCPPError
from ocpp.v16 import call

# Everything here takes milliseconds; only a fault takes this long.
DEADLINE = 10
CONNECTORS = (1, 2)
UNKNOWN_CONNECTOR = 3
TAG = "STRICT-1"
OTHER_TAG = "STRICT-2"
# SendLocalListMaxLength of this station family.
MOST_BADGES = 400

READ_ONLY = {
    "GetConfigurationMaxKeys", "NumberOfConnectors", "SupportedFeatureProfiles", "LocalAuthListMaxLength",
    "SendLocalListMaxLength", "ReserveConnectorZeroSupported", "ChargeProfileMaxStackLevel",
    "ChargingScheduleAllowedChargingRateUnit", "ChargingScheduleMaxPeriods", "MaxChargingProfilesInstalled",
    "ChargeLimitedPower", "ConnectorALimitedPower", "ConnectorBLimitedPower",
}
READ_WRITE = {
    "AllowOfflineTxForUnknownId", "AuthorizationCacheEnabled", "AuthorizeRemoteTxRequests", "ClockAlignedDataInterval",
    "ConnectionTimeOut", "HeartbeatInterval", "LocalAuthorizeOffline", "LocalPreAuthorize", "MeterValuesAlignedData",
    "MeterValuesSampledData", "MeterValueSampleInterval", "MinimumStatusDuration", "ResetRetries",
    "StopTransactionOnEVSideDisconnect", "StopTransactionOnInvalidId", "StopTxnAlignedData", "StopTxnSampledData",
    "TransactionMessageAttempts", "TransactionMessageRetryInterval", "UnlockConnectorOnEVSideDisconnect",
    "WebSocketPingInterval", "LocalAuthListEnabled", "ConnectorPhaseRotation", "AuthenticationOCPPMode", "DefaultIdTag",
}
ENERGY = "Energy.Active.Import.Register"
MEASURANDS = {
    ENERGY: "Wh", "Power.Active.Import": "W", "Power.Offered": "W", "Current.Import": "A",
    "Current.Offered": "A", "SoC": "Percent",
}


class Unexpected(Exception):
    """The station did something else than a step expects."""


def expect(what, seen):
    """Fails the step unless `what`."""
    if not what:
        raise Unexpected(seen)


def later(seconds):
    """A moment to come, as OCPP writes it."""
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def reserve(number, connector, tag=TAG, seconds=600):
    """A wish to reserve."""
    return call.ReserveNow(connector_id=connector, expiry_date=later(seconds), id_tag=tag, reservation_id=number)


def local_list(version, update, *badges):
    """A local list, or a change of one."""
    return call.SendLocalList(list_version=version, update_type=update, local_authorization_list=list(badges))


def badge(tag, status="Accepted", **more):
    """One line of a local list."""
    return {"id_tag": tag, "id_tag_info": {"status": status, **more}}


class Script:
    """One run of the script against one station."""

    def __init__(self, station, report, say):
        self.station = station
        self.report = report
        self.say = say
        self.transaction = None

    async def step(self, name, deed):
        """Carries out one step and reports how it went."""
        try:
            detail = await deed()
        except Unexpected as fault:
            self.report(name, False, f"unexpected: {fault}")
        except OCPPError as fault:
            self.report(name, False, f"{type(fault).__name__}: {fault.description} {fault.details}")
        except asyncio.TimeoutError as fault:
            self.report(name, False, f"nothing came in time {fault}")
        except Exception as fault:  # A gap in the script is a finding too, not the end of the run.
            self.report(name, False, f"{type(fault).__name__}: {fault}")
        else:
            self.report(name, True, detail or "")

    @property
    def mark(self):
        """This moment, to wait for what comes after it."""
        return len(self.station.heard)

    async def ask(self, request):
        """Sends a request; the package judges its answer, a CALLERROR fails the step."""
        answer = await self.station.call(request, suppress=False)
        return asdict(answer) if is_dataclass(answer) else answer

    async def answered(self, status, request):
        """Sends a request whose answer has to have this status."""
        answer = await self.ask(request)
        expect(answer["status"] == status, f"{request} was answered with {answer}, not with {status}")

    async def soon(self, deed):
        """Repeats what is harmless to repeat until it succeeds: a new value of a key takes a moment to hold."""
        clock = asyncio.get_running_loop()
        until = clock.time() + DEADLINE
        while True:
            try:
                return await deed()
            except Unexpected:
                if clock.time() > until:
                    raise
            await asyncio.sleep(0.02)

    async def refused(self, request):
        """Sends a request that has to be answered with Rejected or with a CALLERROR about its values."""
        try:
            await self.answered("Rejected", request)
        except OCPPError as fault:
            expect(fault.code == "PropertyConstraintViolation", f"{fault.code}: {fault.description}")

    async def told(self, action, since, fits=lambda _: True):
        """Waits for a request of the station."""
        try:
            return await self.station.wait(action, since, fits)
        except asyncio.TimeoutError:
            after = self.station.heard[since:]
            raise Unexpected(f"no such {action}; since then came {after or 'nothing'}") from None

    async def shows(self, connector, status, since):
        """Waits for a StatusNotification."""
        def fits(payload):
            return payload["connectorId"] == connector and payload["status"] == status
        payload = await self.told("StatusNotification", since, fits)
        expect("timestamp" in payload, f"no timestamp in {payload}")
        expect(payload["errorCode"] == "NoError", payload)

    def driver(self, what, connector):
        """Asks for a driver."""
        self.say({"ask": what, "connector": connector})

    async def value_of(self, key):
        """The value of one configuration key."""
        answer = await self.ask(call.GetConfiguration(key=[key]))
        [entry] = answer["configuration_key"]
        return entry["value"]

    # Boot and configuration

    async def boots(self):
        boot = await self.told("BootNotification", 0)
        for field in ("chargePointVendor", "chargePointModel", "chargePointSerialNumber", "firmwareVersion"):
            expect(boot.get(field), f"no {field} in {boot}")
        return boot

    async def shows_all(self):
        for connector in (0, *CONNECTORS):
            await self.shows(connector, "Available", 0)

    async def get_all(self):
        answer = await self.ask(call.GetConfiguration())
        keys = {entry["key"]: entry for entry in answer["configuration_key"]}
        missing = sorted((READ_ONLY | READ_WRITE) - keys.keys())
        expect(not missing, f"missing: {missing}")
        expect(len(keys) == len(answer["configuration_key"]), "a key is listed twice")
        wrong = [key for key in READ_ONLY if not keys[key]["readonly"]]
        wrong += [key for key in READ_WRITE if keys[key]["readonly"]]
        expect(not wrong, f"access is wrong: {wrong}")
        expect("value" not in keys.get("AuthorizationKey", {}), "the AuthorizationKey is read back")
        expect(not answer["unknown_key"], answer["unknown_key"])
        return f"{len(keys)} keys"

    async def get_some(self):
        answer = await self.ask(call.GetConfiguration(key=["NumberOfConnectors", "heartbeatinterval", "NoSuchKey"]))
        found = {entry["key"].lower(): entry for entry in answer["configuration_key"]}
        expect(found.keys() == {"numberofconnectors", "heartbeatinterval"}, answer)
        expect(found["numberofconnectors"] == {"key": "NumberOfConnectors", "readonly": True, "value": "2"}, found)
        expect(answer["unknown_key"] == ["NoSuchKey"], answer)

    async def change(self):
        await self.answered("Accepted", call.ChangeConfiguration(key="MeterValueSampleInterval", value="1"))
        value = await self.value_of("MeterValueSampleInterval")
        expect(value == "1", value)

    async def change_bad_value(self):
        for value in ("-1", "soon", "", "1.5"):
            await self.answered("Rejected", call.ChangeConfiguration(key="MeterValueSampleInterval", value=value))
        value = await self.value_of("MeterValueSampleInterval")
        expect(value == "1", value)

    # Availability

    async def availability(self, connector, kind, status):
        since = self.mark
        await self.answered("Accepted", call.ChangeAvailability(connector_id=connector, type=kind))
        for shown in (connector,) if connector else (0, *CONNECTORS):
            await self.shows(shown, status, since)
        # A repeat changes nothing and is no fault.
        await self.answered("Accepted", call.ChangeAvailability(connector_id=connector, type=kind))

    # Triggers

    async def trigger(self, message, connector=None, fits=lambda _: True):
        since = self.mark
        await self.answered("Accepted", call.TriggerMessage(requested_message=message, connector_id=connector))
        return await self.told(message, since, fits)

    async def trigger_all_statuses(self):
        since = self.mark
        await self.answered("Accepted", call.TriggerMessage(requested_message="StatusNotification"))
        for connector in (0, *CONNECTORS):
            await self.shows(connector, "Available", since)

    async def trigger_meter_values(self):
        def fits(payload):
            # While a car charges, a periodic one may come first.
            samples = [sample for value in payload["meterValue"] for sample in value["sampledValue"]]
            return payload["connectorId"] == 1 and any(sample.get("context") == "Trigger" for sample in samples)
        payload = await self.trigger("MeterValues", 1, fits)
        self.are_samples(payload, "Trigger")
        expect(payload.get("transactionId") == self.transaction, payload)

    async def trigger_refused(self):
        since = self.mark
        await self.refused(call.TriggerMessage(requested_message="MeterValues", connector_id=UNKNOWN_CONNECTOR))
        expect(all(action != "MeterValues" for action, _ in self.station.heard[since:]), "the message was sent")

    # One charge

    async def plugs_in(self):
        since = self.mark
        self.driver("plug", 1)
        await self.shows(1, "Preparing", since)

    async def starts(self, reservation=None, asks=True):
        since = self.mark
        await self.answered("Accepted", call.RemoteStartTransaction(id_tag=TAG, connector_id=1))
        if asks:
            authorize = await self.told("Authorize", since)
            expect(authorize == {"idTag": TAG}, authorize)
        start = await self.told("StartTransaction", since)
        expect((start["connectorId"], start["idTag"]) == (1, TAG), start)
        expect(start.get("reservationId") == reservation, start)
        if not asks:
            asked = [payload for action, payload in self.station.heard[since:] if action == "Authorize"]
            expect(not asked, f"a badge of the local list was asked about: {asked}")
        self.transaction = self.station.transactions
        self.meter_start = start["meterStart"]
        await self.shows(1, "Charging", since)

    def are_samples(self, payload, context):
        """Checks the samples of one MeterValues."""
        for value in payload["meterValue"]:
            for sample in value["sampledValue"]:
                expect(sample.get("context", "Sample.Periodic") == context, sample)
                expect(sample.get("unit", "Wh") == MEASURANDS.get(sample.get("measurand", ENERGY)), sample)
                expect(float(sample["value"]) >= 0, sample)

    async def samples(self):
        def fits(payload):
            return payload.get("transactionId") == self.transaction and payload["connectorId"] == 1
        times = []
        for _ in range(2):
            payload = await self.told("MeterValues", self.mark, fits)
            self.are_samples(payload, "Sample.Periodic")
            [value] = payload["meterValue"]
            expect({sample.get("measurand", ENERGY) for sample in value["sampledValue"]} == MEASURANDS.keys(), value)
            times.append(value["timestamp"])
        expect(times == sorted(set(times)), times)

    async def availability_in_a_transaction(self):
        await self.answered("Scheduled", call.ChangeAvailability(connector_id=1, type="Inoperative"))
        await self.answered("Accepted", call.ChangeAvailability(connector_id=1, type="Operative"))

    async def cost(self):
        data = {"currency": "EUR", "method": "final", "connectID": 1, "totalCost": 1.25, "transactionId": self.transaction}
        answer = await self.ask(
            call.DataTransfer(vendor_id="com.se.cost", message_id="CostUpdated", data=json.dumps(data))
        )
        expect(answer["status"] == "Accepted" and not answer["data"], answer)

    async def data_transfer(self, status, vendor, message):
        await self.answered(status, call.DataTransfer(vendor_id=vendor, message_id=message, data="x"))

    async def unlock(self, connector):
        await self.answered("NotSupported", call.UnlockConnector(connector_id=connector))

    async def stops(self):
        since = self.mark
        await self.answered("Accepted", call.RemoteStopTransaction(transaction_id=self.transaction))
        stop = await self.told("StopTransaction", since)
        expect((stop["transactionId"], stop.get("reason")) == (self.transaction, "Remote"), stop)
        expect(stop["meterStop"] >= self.meter_start, stop)
        await self.shows(1, "Finishing", since)
        self.transaction = None

    async def unplugs(self):
        since = self.mark
        self.driver("unplug", 1)
        await self.shows(1, "Available", since)

    # The cache and the local list

    async def switch(self, key, value):
        await self.answered("Accepted", call.ChangeConfiguration(key=key, value=value))

    async def clear_cache(self):
        """A cache that is switched on can be cleared, also when it is empty; one that is not cannot."""
        for value, status in (("true", "Accepted"), ("false", "Rejected")):
            await self.switch("AuthorizationCacheEnabled", value)
            await self.soon(lambda: self.answered(status, call.ClearCache()))

    async def has_version(self, version):
        answer = await self.ask(call.GetLocalListVersion())
        expect(answer["list_version"] == version, f"{answer}, not {version}")

    async def list_is_off(self):
        await self.has_version(-1)
        await self.answered("NotSupported", local_list(1, "Full", badge(TAG)))
        await self.has_version(-1)

    async def list_is_switched_on(self):
        await self.switch("LocalAuthListEnabled", "true")
        await self.soon(lambda: self.has_version(0))

    async def list_is_emptied(self):
        # An empty list has version 0, whatever was sent; a list that is missing is an empty one.
        await self.answered("Accepted", local_list(1, "Full", badge(OTHER_TAG)))
        await self.has_version(1)
        for version, empty in ((2, []), (3, None)):
            await self.answered("Accepted", call.SendLocalList(
                list_version=version, update_type="Full", local_authorization_list=empty))
            await self.has_version(0)

    async def list_is_replaced(self):
        badges = badge(TAG, parent_id_tag="STRICT", expiry_date=later(3600)), badge(OTHER_TAG, "Blocked")
        await self.answered("Accepted", local_list(2, "Full", *badges))
        await self.has_version(2)

    async def list_is_changed(self):
        # Another word, a new badge, and one that is taken off.
        change = badge(TAG), badge("STRICT-3", "Expired"), {"id_tag": OTHER_TAG}
        await self.answered("Accepted", local_list(5, "Differential", *change))
        await self.has_version(5)

    async def list_mismatches(self):
        for version in (4, 5):
            await self.answered("VersionMismatch", local_list(version, "Differential", badge(OTHER_TAG)))
            await self.has_version(5)

    async def list_fails(self):
        twice = badge(TAG), badge(TAG.lower(), "Blocked")
        many = [badge(f"MANY-{number}") for number in range(MOST_BADGES + 1)]
        for version, badges in ((6, twice), (7, many), (-1, [badge(TAG)])):
            await self.answered("Failed", local_list(version, "Full", *badges))
            await self.has_version(5)

    # Reservations

    async def reserves(self):
        since = self.mark
        await self.answered("Accepted", reserve(12, 1))
        await self.shows(1, "Reserved", since)
        await self.answered("Occupied", reserve(13, 1, OTHER_TAG))
        await self.refused(call.RemoteStartTransaction(id_tag=OTHER_TAG, connector_id=1))

    async def replaces(self):
        since = self.mark
        await self.answered("Accepted", reserve(12, 2))
        await self.shows(1, "Available", since)
        await self.shows(2, "Reserved", since)

    async def cancels(self):
        await self.answered("Rejected", call.CancelReservation(reservation_id=4711))
        since = self.mark
        await self.answered("Accepted", call.CancelReservation(reservation_id=12))
        await self.shows(2, "Available", since)
        await self.answered("Rejected", call.CancelReservation(reservation_id=12))

    async def reserves_the_station(self):
        since = self.mark
        await self.answered("Accepted", reserve(14, 0))
        for connector in CONNECTORS:
            await self.shows(connector, "Reserved", since)
        since = self.mark
        await self.answered("Accepted", call.CancelReservation(reservation_id=14))
        for connector in CONNECTORS:
            await self.shows(connector, "Available", since)

    async def lets_expire(self):
        since = self.mark
        await self.answered("Accepted", reserve(15, 1, seconds=3))
        await self.shows(1, "Reserved", since)
        await self.shows(1, "Available", since)
        await self.answered("Rejected", call.CancelReservation(reservation_id=15))

    async def reserves_nothing(self):
        await self.refused(reserve(16, UNKNOWN_CONNECTOR))
        await self.answered("Rejected", reserve(16, 1, seconds=-60))
        await self.availability(1, "Inoperative", "Unavailable")
        await self.answered("Unavailable", reserve(16, 1))
        await self.availability(1, "Operative", "Available")
        await self.answered("Rejected", call.CancelReservation(reservation_id=16))

    async def reserves_for_a_charge(self):
        # The badge is on the local list: nobody has to be asked about it then.
        await self.switch("LocalPreAuthorize", "true")
        since = self.mark
        await self.answered("Accepted", reserve(-17, 1))
        await self.shows(1, "Reserved", since)
        await self.plugs_in()

    async def starts_reserved(self):
        await self.starts(reservation=-17, asks=False)
        await self.answered("Rejected", call.CancelReservation(reservation_id=-17))


async def run(station, report, say):
    """Drives the whole script."""
    script = Script(station, report, say)

    def idle(payload):
        return payload["status"] == "Idle"

    def change(key, value, status):
        return lambda: script.answered(status, call.ChangeConfiguration(key=key, value=value))

    def remote_start(connector):
        return lambda: script.refused(call.RemoteStartTransaction(id_tag=TAG, connector_id=connector))

    steps = [
        ("boot", script.boots),
        ("status-after-boot", script.shows_all),
        ("get-configuration-all", script.get_all),
        ("get-configuration-some", script.get_some),
        ("change-configuration", script.change),
        ("change-configuration-unknown", change("NoSuchKey", "1", "NotSupported")),
        ("change-configuration-read-only", change("NumberOfConnectors", "3", "Rejected")),
        ("change-configuration-bad-value", script.change_bad_value),
        ("availability-1-inoperative", lambda: script.availability(1, "Inoperative", "Unavailable")),
        ("availability-1-operative", lambda: script.availability(1, "Operative", "Available")),
        ("availability-0-inoperative", lambda: script.availability(0, "Inoperative", "Unavailable")),
        ("availability-0-operative", lambda: script.availability(0, "Operative", "Available")),
        ("availability-unknown-connector", lambda: script.refused(
            call.ChangeAvailability(connector_id=UNKNOWN_CONNECTOR, type="Inoperative"))),
        ("trigger-boot-notification", lambda: script.trigger("BootNotification")),
        ("trigger-heartbeat", lambda: script.trigger("Heartbeat")),
        ("trigger-status-notification", lambda: script.trigger(
            "StatusNotification", 1, lambda payload: payload["connectorId"] == 1)),
        ("trigger-status-notification-all", script.trigger_all_statuses),
        ("trigger-meter-values", script.trigger_meter_values),
        ("trigger-diagnostics-status", lambda: script.trigger("DiagnosticsStatusNotification", fits=idle)),
        ("trigger-firmware-status", lambda: script.trigger("FirmwareStatusNotification", fits=idle)),
        ("trigger-unknown-connector", script.trigger_refused),
        ("data-transfer-unknown-vendor", lambda: script.data_transfer("UnknownVendorId", "com.example", "Hello")),
        ("data-transfer-unknown-message", lambda: script.data_transfer("UnknownMessageId", "com.se.cost", "Hello")),
        ("unlock", lambda: script.unlock(1)),
        ("unlock-unknown-connector", lambda: script.unlock(UNKNOWN_CONNECTOR)),
        ("clear-cache", script.clear_cache),
        ("remote-start-connector-0", remote_start(0)),
        ("remote-start-unknown-connector", remote_start(UNKNOWN_CONNECTOR)),
        ("plug", script.plugs_in),
        ("remote-start", script.starts),
        ("remote-start-busy", remote_start(1)),
        ("meter-values", script.samples),
        ("trigger-meter-values-charging", script.trigger_meter_values),
        ("availability-scheduled", script.availability_in_a_transaction),
        ("data-transfer-cost", script.cost),
        ("reserve-charging", lambda: script.answered("Occupied", reserve(11, 1))),
        ("unlock-charging", lambda: script.unlock(1)),
        ("remote-stop-unknown", lambda: script.answered("Rejected", call.RemoteStopTransaction(transaction_id=4711))),
        ("remote-stop", script.stops),
        ("unplug", script.unplugs),
        ("local-list-off", script.list_is_off),
        ("local-list-on", script.list_is_switched_on),
        ("local-list-empty", script.list_is_emptied),
        ("local-list-full", script.list_is_replaced),
        ("local-list-differential", script.list_is_changed),
        ("local-list-mismatch", script.list_mismatches),
        ("local-list-failed", script.list_fails),
        ("reserve", script.reserves),
        ("reserve-replaced", script.replaces),
        ("reserve-cancelled", script.cancels),
        ("reserve-connector-0", script.reserves_the_station),
        ("reserve-expired", script.lets_expire),
        ("reserve-refused", script.reserves_nothing),
        ("reserve-plug", script.reserves_for_a_charge),
        ("reserve-start", script.starts_reserved),
        ("reserve-stop", script.stops),
        ("reserve-unplug", script.unplugs),
    ]
    for name, deed in steps:
        if station.gone:
            return
        await script.step(name, deed)
