"""Where to dial: the flags of it, which several commands have, and what they and the environment come to."""

from __future__ import annotations

import argparse
import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livews.cli.console import Console
    from livews.endpoint import Settings


def add_flags(parser: argparse.ArgumentParser, timeout: str) -> None:
    """--url to --timeout; `timeout` says what waits that long."""
    add = parser.add_argument_group("where").add_argument
    add("--url", default="", help="another server: ws://, wss://, http:// or https://, a path prefix is kept")
    add("--offline", action="store_true", help="the built-in stand-in, also when a key is set")
    add("--token", default="", help="an ephemeral token (auth_tokens/...), or with --vertex an OAuth token")
    add("--vertex", action="store_true", default=None, help="Vertex AI instead of the Gemini API")
    add("--project", default="", metavar="ID", help="Google Cloud project, for --vertex")
    add("--location", default="", metavar="NAME", help="region, us, eu or global, for --vertex")
    add("--api-version", default="", metavar="V", help="v1beta, v1alpha, v1; on Vertex v1beta1, v1")
    add("--timeout", type=seconds, default=10.0, metavar="S", help=f"{timeout} (default 10)")


def check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.offline and (options.url or options.vertex or options.token):
        parser.error("--offline is the built-in stand-in: leave out --url, --vertex and --token")


def settings(options: argparse.Namespace) -> Settings:
    """What the flags and the environment say; a flag beats the environment."""
    from livews import endpoint

    return endpoint.from_environment(
        os.environ,
        url=options.url,
        token=options.token,
        vertex=options.vertex,
        project=options.project,
        location=options.location,
        version=options.api_version,
    )


async def settle(
    options: argparse.Namespace, console: Console, stack: contextlib.AsyncExitStack, *, offline: str, no_key: str
) -> Settings:
    """What to dial: the settings, or else a stand-in that `stack` ends, told in the words of `offline` or `no_key`."""
    from livews import google_credentials

    asked = settings(options)
    if options.offline or not asked.has_credentials:
        to = await built_in(stack)
        console.note(f"livews: {offline if options.offline else no_key}")
        return to
    if asked.both_keys and asked.api_key:
        console.warn("GOOGLE_API_KEY and GEMINI_API_KEY are both set; GOOGLE_API_KEY is used")
    return await google_credentials.with_bearer(asked)


async def built_in(stack: contextlib.AsyncExitStack) -> Settings:
    """A stand-in of our own that `stack` ends; it refuses what the service refuses today."""
    from livews import endpoint
    from livews.core import protocol
    from livews.server.server import StandInConfig, stand_in

    return endpoint.Settings(
        url=await stack.enter_async_context(stand_in(config=StandInConfig(as_of=protocol.models()["asOf"])))
    )


def seconds(text: str) -> float:
    """The type of a flag that waits."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is no time: seconds above 0, 3600 at most")
    return value
