"""Where a command connects: the settings that its options and the environment give, or the built-in stand-in."""

import argparse
import contextlib

from livews import endpoint, google_credentials
from livews.cli.console import Console
from livews.core import protocol
from livews.endpoint import Settings


def settings_of(options: argparse.Namespace, console: Console) -> Settings:
    """What the options and the environment say; an option wins."""
    return endpoint.from_environment(
        console.environment.variables,
        url=options.url,
        token=options.token,
        vertex=options.vertex,
        project=options.project,
        location=options.location,
        version=options.api_version,
    )


async def connection_settings(
    options: argparse.Namespace, console: Console, stack: contextlib.AsyncExitStack, *, offline: str, no_key: str
) -> Settings:
    """The settings with all credentials, or those of a stand-in that `stack` ends.

    `offline` and `no_key` are the notes that say so, with --offline and without a key.
    """
    settings = settings_of(options, console)
    if options.offline or not settings.has_credentials:
        stand_in = await built_in(stack)
        console.note(f"livews: {offline if options.offline else no_key}")
        return stand_in
    if settings.both_keys and settings.api_key:
        console.warn("GOOGLE_API_KEY and GEMINI_API_KEY are both set; GOOGLE_API_KEY is used")
    return await google_credentials.with_bearer(settings)


async def built_in(stack: contextlib.AsyncExitStack) -> Settings:
    """Start a stand-in that `stack` ends; it refuses what the service refuses today."""
    from livews.server.server import StandInConfig, stand_in

    config = StandInConfig(as_of=protocol.models()["asOf"])
    return Settings(url=await stack.enter_async_context(stand_in(config=config)))
