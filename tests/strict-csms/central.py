"""A strict OCPP 1.6J central system: another people's implementation of the standard looks at every word of a station.

It prints its address as {"url": ...}, waits for one station, drives the script of script.py and ends. Each finding is one
line {"step": ..., "ok": ..., "detail": ...}; {"ask": ...} lines say what a driver has to do. The JSON schemas of the
package `ocpp` judge every request and every answer; what they do not cover (times, message ids, the order of things) is
judged here.
"""

import argparse
import asyncio
import json
import logging
from datetime import datetime, timezone

from ocpp.exceptions import OCPPError
from ocpp.messages import MessageType, unpack
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.enums import Action
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

import script

SUBPROTOCOL = "ocpp1.6"
# OCPP-J 1.6, 4.2.1 and 4.2.3.
LONGEST_MESSAGE_ID = 36
ERROR_CODES = {
    "NotImplemented", "NotSupported", "InternalError", "ProtocolError", "SecurityError", "FormationViolation",
    "PropertyConstraintViolation", "OccurenceConstraintViolation", "TypeConstraintViolation", "GenericError",
}


def say(line):
    """Prints one line for whoever started this program."""
    print(json.dumps(line, default=str), flush=True)


def report(step, ok, detail=""):
    """Prints one finding."""
    say({"step": step, "ok": bool(ok), "detail": detail})


def now():
    """The present time as OCPP writes it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Objections(logging.Handler):
    """Makes a finding of everything that the package complains about."""

    def emit(self, record):
        fault = record.exc_info[1] if record.exc_info else None
        detail = record.getMessage()
        if isinstance(fault, OCPPError):
            detail = f"{type(fault).__name__}: {fault.description} {fault.details} in {detail}"
        elif fault is not None:
            detail = f"{type(fault).__name__}: {fault} in {detail}"
        report("schema", False, detail)


class Station(ChargePoint):
    """The station as this central system sees it."""

    def __init__(self, identity, connection):
        super().__init__(identity, connection, response_timeout=script.DEADLINE)
        self.heard = []
        self.news = asyncio.Condition()
        self.transactions = 0
        self.message_ids = set()
        self.gone = False

    async def route_message(self, raw):
        """Judges what no schema covers, then hands the text to the package."""
        for objection in self.objections(raw):
            report("wire", False, f"{objection}: {raw!r:.300}")
        await super().route_message(raw)
        try:
            message = unpack(raw)
        except (OCPPError, TypeError):
            return
        if message.message_type_id == MessageType.Call:
            async with self.news:
                self.heard.append((message.action, message.payload))
                self.news.notify_all()

    def objections(self, raw):
        """What is wrong with a text, apart from its payload."""
        if not isinstance(raw, str):
            return ["a binary frame"]
        try:
            parts = json.loads(raw)
        except ValueError:
            return ["not JSON"]
        if not isinstance(parts, list) or not parts:
            return ["not a message"]
        found = []
        kind, message_id = parts[0], parts[1] if len(parts) > 1 else None
        if len(parts) != {2: 4, 3: 3, 4: 5}.get(kind):
            found.append("not the elements of its kind")
        if not isinstance(message_id, str) or not 0 < len(message_id) <= LONGEST_MESSAGE_ID:
            found.append("not a message id")
        if kind == MessageType.Call:
            # Every request is answered here, so none has to be repeated.
            if message_id in self.message_ids:
                found.append("a message id that was used before")
            self.message_ids.add(message_id)
            if not self.heard and parts[2:3] != ["BootNotification"]:
                found.append("a request before BootNotification")
            found += [f"not a time: {time}" for time in times(parts[-1]) if not is_time(time)]
        if kind == MessageType.CallError and parts[2:3] and parts[2] not in ERROR_CODES:
            found.append("not an error code")
        return found

    async def wait(self, action, since, fits=lambda _: True, deadline=script.DEADLINE):
        """The first request of this name after `since` that fits."""
        async with asyncio.timeout(deadline), self.news:
            looked = since
            while True:
                for heard, payload in self.heard[looked:]:
                    if heard == action and fits(payload):
                        return payload
                looked = len(self.heard)
                if self.gone:
                    raise ConnectionError("the station's link has ended")
                await self.news.wait()

    async def leaves(self):
        """Tells whoever waits that nothing will come any more."""
        async with self.news:
            self.gone = True
            self.news.notify_all()

    @on(Action.boot_notification)
    def boot(self, **_):
        return call_result.BootNotification(current_time=now(), interval=300, status="Accepted")

    @on(Action.heartbeat)
    def heartbeat(self):
        return call_result.Heartbeat(current_time=now())

    @on(Action.status_notification)
    def status(self, **_):
        return call_result.StatusNotification()

    @on(Action.authorize)
    def authorize(self, **_):
        return call_result.Authorize(id_tag_info={"status": "Accepted"})

    @on(Action.start_transaction)
    def start_transaction(self, **_):
        self.transactions += 1
        return call_result.StartTransaction(transaction_id=self.transactions, id_tag_info={"status": "Accepted"})

    @on(Action.stop_transaction)
    def stop_transaction(self, **_):
        return call_result.StopTransaction()

    @on(Action.meter_values)
    def meter_values(self, **_):
        return call_result.MeterValues()

    @on(Action.data_transfer)
    def data_transfer(self, **_):
        return call_result.DataTransfer(status="Accepted")

    @on(Action.firmware_status_notification)
    def firmware_status(self, **_):
        return call_result.FirmwareStatusNotification()

    @on(Action.diagnostics_status_notification)
    def diagnostics_status(self, **_):
        return call_result.DiagnosticsStatusNotification()

    @on(Action.security_event_notification)
    def security_event(self, **_):
        return call_result.SecurityEventNotification()


def times(payload):
    """Every time that a payload holds, at any depth."""
    if isinstance(payload, dict):
        for name, value in payload.items():
            if name in ("timestamp", "currentTime"):
                yield value
            yield from times(value)
    elif isinstance(payload, list):
        for value in payload:
            yield from times(value)


def is_time(text):
    """Whether a text is an RFC 3339 time that says its zone."""
    try:
        return "T" in text and datetime.fromisoformat(text).tzinfo is not None
    except (TypeError, ValueError):
        return False


async def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    arguments.add_argument("--identity", default="BENCH", help="identity of the station that is expected")
    arguments.add_argument("--patience", type=float, default=60, help="seconds to wait for the station")
    arguments = arguments.parse_args()

    logger = logging.getLogger("ocpp")
    logger.addHandler(Objections(level=logging.ERROR))
    logger.propagate = False
    arrived = asyncio.get_running_loop().create_future()

    async def receive(connection):
        path = connection.request.path
        report("path", path == f"/ocpp/{arguments.identity}", path)
        report("subprotocol", connection.subprotocol == SUBPROTOCOL, connection.subprotocol)
        if arrived.done():
            report("link", False, "the station connected a second time")
            return
        station = Station(arguments.identity, connection)
        arrived.set_result(station)
        try:
            await station.start()
        except ConnectionClosed as fault:
            # Where the script has ended, nobody hears this any more.
            report("link", False, f"the station's link ended: {fault}")
            await station.leaves()

    async with serve(receive, "127.0.0.1", arguments.port, subprotocols=[SUBPROTOCOL]) as server:
        port = server.sockets[0].getsockname()[1]
        say({"url": f"ws://127.0.0.1:{port}/ocpp"})
        try:
            station = await asyncio.wait_for(arrived, arguments.patience)
        except asyncio.TimeoutError:
            report("link", False, f"no station came within {arguments.patience} s")
        else:
            await script.run(station, report, say)
        report("end", True)


if __name__ == "__main__":
    asyncio.run(main())
