"""Decodes the frames of the station, one JSON object per line, until its input closes.

usage: listener.py HOST PORT
"""

import json
import struct
import sys
import threading

import can

COMMANDS = {
    0x01: "read-total",
    0x02: "count",
    0x03: "read-output",
    0x04: "read-status",
    0x06: "read-mains",
    0x0A: "read-ratings",
    0x0B: "read-barcode",
    0x0C: "read-available",
    0x13: "walk-in",
    0x14: "blink",
    0x16: "set-group",
    0x1A: "switch",
    0x1B: "set-total",
    0x1C: "set-module",
    0x1F: "address-mode",
}


def module_frame(message):
    """A frame on the bus of the modules: who orders whom to do what."""
    number = message.arbitration_id
    device, command = (number >> 22) & 0xF, (number >> 16) & 0x3F
    to, sender = (number >> 8) & 0xFF, number & 0xFF
    found = {
        "error": (number >> 26) & 7,
        "device": {0xA: "module", 0xB: "group"}.get(device, device),
        "command": COMMANDS.get(command, command),
        "to": to,
        "from": sender,
        "length": len(message.data),
    }
    if not 0xF0 <= sender <= 0xF8:
        if command == 0x03 and len(message.data) == 8:
            found["volts"], found["amperes"] = struct.unpack(">ff", message.data)
        return found
    if command == 0x1A:
        found["on"] = message.data[0] == 0
    if command in (0x1B, 0x1C):
        found["millivolts"], found["milliamperes"] = struct.unpack(">II", message.data)
    return found


def board_frame(message):
    """A frame between the station and a SECC board."""
    connector, number = message.arbitration_id >> 24, message.arbitration_id & 0xFFFFFF
    data = bytes(message.data)
    found = {"connector": connector, "id": f"{number:05X}", "length": len(data)}
    if number == 0x063000:
        volts, amperes, module, cabinet, enable, insulation = struct.unpack("<HhBBBB", data)
        found.update(
            volts=volts / 10,
            amperes=amperes / 10,
            module_celsius=module - 40,
            cabinet_celsius=cabinet - 40,
            enable=enable == 1,
            insulation_kilohms=insulation * 2,
        )
    elif number == 0x063001:
        found["volts_limit"], found["amperes_limit"] = (value / 10 for value in struct.unpack_from("<HH", data))
    elif number == 0x063002:
        first, second, third = data[:3]
        found.update(start=bool(first & 1), authorised=second & 3 == 3, parameters=bool(second & 4), stop=bool(third & 1))
    elif number == 0x06B000:
        found["status"] = data[0]
    elif number == 0x06B003:
        volts, amperes = struct.unpack_from("<Hh", data)
        found.update(volts=volts / 10, amperes=amperes / 10, function=data[6] & 0xF, contactors=bool(data[6] & 0x40))
    return found


def main(host, port):
    lock = threading.Lock()

    def listen(name, decode):
        with can.Bus(interface="socketcand", host=host, port=port, channel=name) as bus:
            with lock:
                print(json.dumps({"bus": name, "joined": True}), flush=True)
            for message in bus:
                found = {"bus": name, "extended": message.is_extended_id, **decode(message)}
                with lock:
                    print(json.dumps(found), flush=True)

    for name, decode in (("modules", module_frame), ("vehicles", board_frame)):
        threading.Thread(target=listen, args=(name, decode), daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
