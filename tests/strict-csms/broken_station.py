"""A station that gets everything wrong, to see that the strict central system notices. Its argument is the address."""

import asyncio
import json
import sys

from websockets.asyncio.client import connect

TIME = "2026-01-01T00:00:00Z"
TEXTS = [
    '[2,"1","Heartbeat",{}]',  # before BootNotification
    '[2,"2","BootNotification",{"chargePointModel":"M"}]',  # without its vendor
    '[2,"3","BootNotification",{"chargePointVendor":"V","chargePointModel":"M","colour":"red"}]',
    '[2,"4","BootNotification",{"chargePointVendor":"V","chargePointModel":5}]',
    '[2,"5","Sing",{}]',
    '[2,"6","Heartbeat"]',
    '[2,"6","Heartbeat",{}]',  # an id used before
    json.dumps([2, "x" * 37, "Heartbeat", {}]),
    json.dumps([2, "7", "StatusNotification",
                {"connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": "2026-01-01 00:00"}]),
    json.dumps([2, "8", "StatusNotification",
                {"connectorId": 1, "errorCode": "NoError", "status": "Occupied", "timestamp": TIME}]),
    json.dumps([2, "9", "StartTransaction", {"connectorId": 1, "idTag": "x" * 21, "meterStart": 0, "timestamp": TIME}]),
    "{[",
]


async def main():
    async with connect(f"{sys.argv[1]}/BENCH", subprotocols=["ocpp1.6"]) as socket:
        for text in TEXTS:
            await socket.send(text)
        # The central system asks for the configuration when it has heard all that.
        async for text in socket:
            kind, message_id, *rest = json.loads(text)
            if kind == 2 and rest[0] == "GetConfiguration":
                await socket.send(json.dumps([3, message_id, {"configurationKey": [{"key": "A"}]}]))
                await socket.send('[4,"nobody","Nonsense","",{}]')
                break


if __name__ == "__main__":
    asyncio.run(main())
