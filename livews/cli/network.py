"""Where a command connects: the settings that its options and the environment give, or the built-in stand-in."""

import argparse
import contextlib

from livews import endpoint, google_credentials
from livews.cli.console import Console
from livews.endpoint import Settings
from livews.errors import BadRequest
from livews.listening import report_descriptors_once


def settings_of(options: argparse.Namespace, console: Console) -> Settings:
    """What the options, as far as the command has them, and the environment say; an option wins."""
    given = vars(options)
    arguments = Settings(
        url=given.get("url", "") or given.get("upstream", ""),
        token=given.get("token", ""),
        vertex=options.vertex,
        project=given.get("project", ""),
        location=options.location,
        version=given.get("api_version", ""),
        insecure=given.get("insecure", False),
        url_from="--upstream" if given.get("upstream") else "--to" if given.get("to") else "--url",
    )
    settings = endpoint.from_environment(console.environment.variables, arguments)
    if settings.version not in ("", *endpoint.VERSIONS):
        known = ", ".join(endpoint.VERSIONS)
        console.warn(f"the service has no API version {settings.version} that livews knows of: {known}")
    return settings


async def connection_settings(
    options: argparse.Namespace, console: Console, stack: contextlib.AsyncExitStack, notes: tuple[str, str]
) -> Settings:
    """The settings with all credentials, or those of a stand-in; `stack` and `notes` are those of `offline_settings`."""
    settings = settings_of(options, console)
    if offline := await offline_settings(settings, options, console, stack, notes):
        return offline
    if settings.url and settings.url_from.isupper():
        console.note(f"livews: connecting to the server that {settings.url_from} names")
    if settings.both_keys and settings.api_key:
        console.warn("GOOGLE_API_KEY and GEMINI_API_KEY are both set; GOOGLE_API_KEY is used")
    return await google_credentials.with_bearer(settings)


async def offline_settings(
    settings: Settings,
    options: argparse.Namespace,
    console: Console,
    stack: contextlib.AsyncExitStack,
    notes: tuple[str, str],
) -> Settings | None:
    """Those of a stand-in that `stack` ends, with --offline and without a key, which the two notes say; else None."""
    if settings.has_credentials and not options.offline:
        if options.lenient:
            raise BadRequest(
                "--lenient is about the stand-in, and a key is set", where="--lenient", fix="add --offline"
            )
        return None
    console.note(f"livews: {notes[0] if options.offline else notes[1]}")
    report_descriptors_once(console.warn)
    return await built_in(stack, lenient=options.lenient)


async def built_in(stack: contextlib.AsyncExitStack, *, lenient: bool) -> Settings:
    """Start a stand-in that `stack` ends; unless it is `lenient`, it refuses what the service refuses today."""
    from livews.server.server import StandInConfig, serve_stand_in

    server = await stack.enter_async_context(serve_stand_in(config=StandInConfig(lenient=lenient)))
    return Settings(url=server.url)
