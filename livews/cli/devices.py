"""`livews devices`: what sound can go out on and come in from.

- The list is on stdout, one device a line, marked as `python -m sounddevice` marks it; the rest is for people.
- A number or a part of a name in it is what --device takes.
- No list is a failure of its own (exit 6), which names what could play all the same.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from livews.cli.console import COLOR_HELP, Console
from livews.exit_codes import Exit


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="livews devices",
        description="List the sound devices: number, name, host, channels in and out, rate. "
        "> is the default input, < the default output, * both.",
        epilog="A number or a part of a name is what --device takes: livews --device 3, livews --device headset",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a device on stdout")
    parser.add_argument("--quiet", action="store_true", help="nothing on stderr but failures")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto", help=COLOR_HELP)
    return parser.parse_args(argv)


def run(options: argparse.Namespace, console: Console) -> int:
    from livews.audio.external_player import installed_players
    from livews.audio.portaudio import AudioUnavailable
    from livews.terminal_text import one_line

    try:
        rows = listed()
    except AudioUnavailable as problem:
        problem.what, problem.where = "no sound devices", "PortAudio"
        if players := [player.name for player in installed_players()]:
            problem.fix += f"\nwithout it livews tries {', '.join(players)} on the system's own default device"
        raise
    for row in rows:
        if options.json:
            console.data(json.dumps(row, ensure_ascii=False))
            continue
        mark = {(True, True): "*", (True, False): ">", (False, True): "<"}.get(
            (row["defaultIn"], row["defaultOut"]), " "
        )
        about = f"({row['in']} in, {row['out']} out), {row['rate']} Hz"
        console.say(f"{mark} {row['index']:>2} {one_line(row['name'])}, {one_line(row['host'])} {about}")
    if not options.json:
        console.note("livews: > default input, < default output, * both; --device takes a number or a part of a name")
    return Exit.OK


def listed() -> list[dict[str, Any]]:
    """Every device once, by number, its two directions together; NoSound where there is none."""
    from livews.audio import portaudio as sound

    outputs = {device.index: device for device in sound.output_devices()}
    inputs = {device.index: device for device in sound.input_devices()}
    # asked for only where there are some: the one of an empty list is a NoSound, and the right one of an empty machine
    default_out = sound.output_device().index if outputs or not inputs else None
    default_in = sound.input_device().index if inputs else None
    rows = []
    for index, device in sorted({**inputs, **outputs}.items()):
        rows.append(
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
        )
    return rows
