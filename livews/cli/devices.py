"""`livews devices`: list the audio devices.

- One device a line on stdout, marked as `python -m sounddevice` marks it.
- Without a list the command fails (exit 6) and names what could play without PortAudio.
"""

import argparse
from typing import Any

from livews.audio import external_player, portaudio
from livews.audio.portaudio import AudioUnavailable
from livews.cli.console import Console
from livews.exit_codes import Exit
from livews.terminal_text import one_line


def run(options: argparse.Namespace, console: Console) -> int:
    try:
        rows = device_rows()
    except AudioUnavailable as problem:
        problem.what, problem.where = "no sound devices", "PortAudio"
        if players := [player.name for player in external_player.installed_players()]:
            problem.fix += f"\nwithout it livews tries {', '.join(players)} on the system's own default device"
        raise
    marks = {(True, True): "*", (True, False): ">", (False, True): "<", (False, False): " "}
    for row in rows:
        mark = marks[row["defaultIn"], row["defaultOut"]]
        about = f"({row['in']} in, {row['out']} out), {row['rate']} Hz"
        console.row(row, f"{mark} {row['index']:>2} {one_line(row['name'])}, {one_line(row['host'])} {about}")
    if not options.json:
        console.note("livews: > default input, < default output, * both; --device takes a number or a part of a name")
    return Exit.OK


def device_rows() -> list[dict[str, Any]]:
    """Each device once, by number, with both directions. AudioUnavailable if there are none."""
    outputs = {device.index: device for device in portaudio.OUTPUT.devices()}
    inputs = {device.index: device for device in portaudio.INPUT.devices()}
    # only if there are some: the failure for an empty list of outputs is the right one for a machine without devices
    default_out = portaudio.OUTPUT.device().index if outputs or not inputs else None
    default_in = portaudio.INPUT.device().index if inputs else None
    return [
        {
            "index": index,
            "name": device.name,
            "host": device.host,
            "in": inputs[index].channels if index in inputs else 0,
            "out": outputs[index].channels if index in outputs else 0,
            "rate": device.rate,
            "defaultIn": index == default_in,
            "defaultOut": index == default_out,
        }
        for index, device in sorted({**inputs, **outputs}.items())
    ]
