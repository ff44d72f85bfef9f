"""What a program that imports livews can rely on, printed as JSON. Run by the Python of the version under test:

python library.py PART URL GIVEN
"""

import asyncio
import inspect
import json
import sys
from typing import Any

import livews

MODEL = "models/test"


def _public(thing: Any) -> dict[str, Any]:
    """Names without an underscore; more of them are no difference."""
    return {"atLeast": sorted(name for name in dir(thing) if not name.startswith("_"))}


def _parameters(thing: Any) -> list[str]:
    """Names, kinds and defaults; annotations are free to change."""
    out = []
    for one in inspect.signature(thing).parameters.values():
        default = "" if one.default is one.empty else f" = {one.default}"
        out.append(f"{one.kind.description} {one.name}{default}")
    return out


async def names(url: str, given: Any) -> Any:
    """`livews.__all__`, the attributes of the classes, the signatures of what a caller calls."""
    names = [name for name in livews.__all__ if not name.startswith("__")]
    public = {name: getattr(livews, name) for name in names}
    classes = {name: thing for name, thing in public.items() if inspect.isclass(thing)}
    methods = {
        f"Session.{name}": _parameters(getattr(livews.Session, name))
        for name in dir(livews.Session)
        if not name.startswith("_") and callable(getattr(livews.Session, name))
    }
    called = ("connect", "check", "explain", "tool", "Conversation")
    return {
        "all": {"atLeast": sorted(livews.__all__)},
        "attributes": {name: _public(thing) for name, thing in classes.items()},
        "order of fields": {
            name: list(thing.__match_args__) for name, thing in classes.items() if issubclass(thing, livews.Event)
        },
        "bases of exceptions": {
            name: [base.__name__ for base in thing.__mro__ if base.__module__.startswith("livews")]
            for name, thing in classes.items()
            if issubclass(thing, Exception)
        },
        "exit codes": {
            name: int(thing.exit_code) for name, thing in classes.items() if issubclass(thing, livews.LivewsError)
        },
        "parameters": {name: _parameters(public[name]) for name in called} | {"Session": methods},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return value if isinstance(value, (str, int, float, bool, type(None), list, dict)) else type(value).__name__


def _event(event: Any) -> dict[str, Any]:
    fields = {name: _plain(getattr(event, name)) for name in type(event).__match_args__}
    return {"type": type(event).__name__, "message": sorted(event.message), "kind": event.step.kind, **fields}


async def turn(url: str, given: Any) -> Any:
    """A turn's events, and what a session has."""
    async with livews.connect(MODEL, url=url, reconnect=None, voice="Puck", system="Be brief.") as session:
        await session.say("Hello")
        events = [_event(event) async for event in session.turn()]
        attributes = _public(session)
        conversation = _public(session.conversation)
        about = {"handle": session.conversation.handle, "states": session.conversation.states}
    return {"events": events, "session": attributes, "conversation": conversation, **about}


async def senders(url: str, given: Any) -> Any:
    """Each sending method once; the server keeps the bytes."""
    off = {"realtimeInputConfig": {"automaticActivityDetection": {"disabled": True}}}
    async with livews.connect(MODEL, url=url, reconnect=None, setup=off, tools=[add]) as session:
        await session.send_turns([{"role": "user", "parts": [{"text": "earlier"}]}], turn_complete=False)
        await session.activity_start()
        await session.send_audio(bytes(640))
        await session.send_image(b"\xff\xd8\xff\xd9")
        await session.activity_end()
        await session.audio_end()
        await session.send_text("typed")
        await session.respond("call-1", "unknown", {"ok": True})
        await session.update_context(system="Be loud.", tools=[])
        await session.send_raw({"clientContent": {"turnComplete": True}})
        problems: list[dict[str, Any]] = []
        try:
            await session.send_audio(bytes(1280), rate=24000)
        except livews.LivewsError as problem:
            problems.append(_problem(problem))
        wrong: dict[str, Any]
        for wrong in ({"clientContent": {"turnComplete": 1}}, {"clientContnt": {}}, {"setup": {"model": MODEL}}):
            try:
                await session.send_raw(wrong)
            except livews.LivewsError as problem:
                problems.append(_problem(problem))
        seconds = await session.ping()
    return {"problems": problems, "ping": isinstance(seconds, float)}


def _problem(problem: livews.LivewsError) -> dict[str, Any]:
    row: dict[str, Any] = {"type": type(problem).__name__, "exit": int(problem.exit_code)}
    for name in ("code", "reason", "during"):
        if hasattr(problem, name):
            row[name] = getattr(problem, name)
    if isinstance(problem, livews.LocalProtocolError):
        row["findings"] = [[one.rule, one.path, one.level] for one in problem.findings]
    return row


async def closes(url: str, given: Any) -> Any:
    """How each row of closes.json ends a session: the exception, its exit code, and the row that explains it.

    `given` are [code, reason, whether setupComplete came before]; the server at `url` closes its N-th client so.
    """
    out = []
    for code, reason, ready in given:
        advice = livews.explain(code, reason)
        row = {
            "id": advice.id,
            "retry": advice.retry,
            "kind": advice.kind,
            "values": advice.values,
            "known": advice.known,
        }
        try:
            async with livews.connect(
                MODEL, url=f"{url}/{code}/{ready}/x{reason.encode().hex()}", reconnect=None
            ) as session:
                await session.wait_closed()
            row["ended"] = "without an exception"
        except livews.LivewsError as problem:
            row["ended"] = _problem(problem)
        out.append(row)
    return out


async def tools(url: str, given: Any) -> Any:
    """Functions that are called: their declarations, arguments, answers."""
    runs: list[livews.ToolRun] = []
    async with livews.connect(
        MODEL,
        url=url,
        tools=[add, livews.tool(fails, blocking=False)],
        on_tool=runs.append,
        reconnect=None,
    ) as session:
        await session.say("add")
        events = [_event(event) async for event in session.turn()]
    done = [[run.call_id, run.name, run.args, run.result, bool(run.error), run.cancelled] for run in runs if run.done]
    return {"events": events, "runs": sorted(done, key=str)}


def add(a: int, b: float = 1.5, *, how: str = "plain") -> dict:  # type: ignore[type-arg]
    """Add two numbers.

    Args:
        a: The first.
        b: The second.
    """
    return {"sum": a + b, "how": how}


async def fails(text: list[str]) -> None:
    """Fails always."""
    raise ValueError("as it should")


async def offline(url: str, given: Any) -> Any:
    """check, explain and Conversation, without a socket."""
    conversation = livews.Conversation(inspect=True, surface="gemini", version="v1beta")
    frames: list[Any] = [
        ("client", {"setup": {"model": MODEL}}),
        ("server", {"setupComplete": {}}),
        ("client", {"client_content": {"turns": {"parts": {"text": "hi"}}, "turn_complete": True}}),
        (
            "server",
            {"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm", "data": "AAAA"}}]}}},
        ),
        ("server", {"serverContent": {"turnComplete": True}, "new": 1}),
        ("client", {"setup": {"model": MODEL}}),
    ]
    steps = []
    for sender, message in frames:
        step = conversation.step(sender, json.dumps(message).encode())
        steps.append(
            {
                "kind": step.kind,
                "signals": list(step.signals),
                "effects": list(step.effects),
                "states": step.states,
                "audio": [[kind, len(pcm)] for kind, pcm in step.audio],
                "faults": [one.rule for one in step.faults],
                "notes": [one.rule for one in step.notes],
                "body": step.body,
            }
        )
    found = livews.check("client", {"setup": {"model": 5, "tools": [{"functionDeclarations": [{"nam": "f"}]}]}})
    declared = [
        livews.tool(add).declaration,
        livews.tool(fails, name="f", scheduling="SILENT", blocking=False).declaration,
    ]
    return {
        "steps": steps,
        "check": [[one.level, one.rule, one.path, one.sender, one.close] for one in found],
        "explain": vars_of(livews.explain(1007, "API key not valid. Please pass a valid API key.")),
        "tools": declared,
    }


def vars_of(advice: livews.Advice) -> dict[str, Any]:
    return {name: getattr(advice, name) for name in ("code", "reason", "id", "retry", "kind", "values", "known")}


if __name__ == "__main__":
    part, url, data = sys.argv[1:4]
    print(json.dumps(asyncio.run(globals()[part](url, json.loads(data))), default=str))
