"""What the strict central system asks of a station, step by step, and what it expects to be told.

A step that fails is reported and the next one follows: one run shows everything that is wrong.
"""

import asyncio
import json
from dataclasses import asdict, is_dataclass

from ocpp.exceptions import OCPPError
from ocpp.v16 import call

# Everything here takes milliseconds; only a fault takes this long.
DEADLINE = 10
CONNECTORS = (1, 2)
UNKNOWN_CONNECTOR = 3
TAG = "STRICT-1"

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

    async def starts(self):
        since = self.mark
        await self.answered("Accepted", call.RemoteStartTransaction(id_tag=TAG, connector_id=1))
        authorize = await self.told("Authorize", since)
        expect(authorize == {"idTag": TAG}, authorize)
        start = await self.told("StartTransaction", since)
        expect((start["connectorId"], start["idTag"]) == (1, TAG), start)
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

    async def clear_cache(self):
        """A cache that can be switched on can be cleared; a station that has none cannot carry this out."""
        switched = await self.ask(call.ChangeConfiguration(key="AuthorizationCacheEnabled", value="true"))
        status = "Accepted" if switched["status"] == "Accepted" else "Rejected"
        await self.answered(status, call.ClearCache())
        return f"AuthorizationCacheEnabled: {switched['status']}, ClearCache: {status}"


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
        ("unlock-charging", lambda: script.unlock(1)),
        ("remote-stop-unknown", lambda: script.answered("Rejected", call.RemoteStopTransaction(transaction_id=4711))),
        ("remote-stop", script.stops),
        ("unplug", script.unplugs),
    ]
    for name, deed in steps:
        if station.gone:
            return
        await script.step(name, deed)
