"""Connect to the Live API: `connect` checks its arguments, resolves the endpoint, composes the setup, and opens a session."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livews import endpoint, google_credentials, setup_message, transport
from livews.core import models
from livews.core.rules import Finding
from livews.endpoint import Endpoint
from livews.errors import BadRequest, LocalProtocolError
from livews.recorder import Recorder
from livews.session.policy import ReconnectPolicy
from livews.session.session import Session
from livews.trace.writer import TraceFile

if TYPE_CHECKING:
    from livews.tools.function import Tool
    from livews.tools.runner import Toolbox, ToolRun

_POLICY = ReconnectPolicy()


def connect(
    model: str = "",
    *,
    voice: str = "",
    system: str = "",
    text: bool = False,
    setup: dict[str, Any] | None = None,
    tools: Sequence[Callable[..., Any] | Tool] = (),
    on_tool: Callable[[ToolRun], None] | None = None,
    url: str = "",
    api_key: str = "",
    token: str = "",
    vertex: bool | None = None,
    project: str = "",
    location: str = "",
    api_version: str = "",
    insecure: bool = False,
    trace: str | Path | None = None,
    recorders: Sequence[Callable[[Endpoint], Recorder]] = (),
    unchecked: bool = False,
    reconnect: ReconnectPolicy | None = _POLICY,
    handle: str = "",
    settings: endpoint.Settings | None = None,
    remark: Callable[[Finding], None] | None = None,
    open_timeout: float = 10.0,
    setup_timeout: float | None = None,
) -> Opening:
    """Connect to the Live API and set up a session.

    Use it as a context manager, `async with livews.connect() as session:`, or with `session = await livews.connect()`
    and close the session yourself. Without arguments it uses the default model of protocol/models.json and the key of
    GOOGLE_API_KEY or else GEMINI_API_KEY.

    Args:
        model: an ID, or a name with a prefix (models/ID, publishers/P/models/ID). Default: the newest Live model.
        voice: name of a prebuilt voice, as in "Puck". Default: the model's own.
        system: text of the system instruction. Default: none.
        text: ask for text only: the TEXT modality where the model has it, else the transcript of its speech.
        setup: members of the setup message, in camelCase or snake_case, merged into what livews composes; None as a
            value removes what livews would add.
        tools: functions the model may call, plain or async, with type hints; `livews.tool` gives them options. The
            session declares, runs and answers them; their ToolCall events still arrive. With tools, a call of an
            undeclared function is answered with an error; what `setup` or `update_context` declare is the caller's to
            answer.
        on_tool: called with each ToolRun when it starts and when it is over.
        url: base URL, ws, wss, http or https; a path prefix is kept. Default: the service, or GOOGLE_GEMINI_BASE_URL
            (GOOGLE_VERTEX_BASE_URL).
        api_key: API key. Default: the environment.
        token: ephemeral token (auth_tokens/...), or with `vertex` an OAuth bearer token. Default: for Vertex, the
            environment or Application Default Credentials.
        vertex: use Vertex AI. Default: GOOGLE_GENAI_USE_VERTEXAI or GOOGLE_GENAI_USE_ENTERPRISE.
        project: Google Cloud project, for Vertex. Default: GOOGLE_CLOUD_PROJECT.
        location: region, "us", "eu" or "global", for Vertex. Default: GOOGLE_CLOUD_LOCATION, or us-central1.
        api_version: as in "v1alpha". Default: v1beta; v1alpha with an ephemeral token; v1beta1 on Vertex.
        insecure: allow a credential to go without TLS to a host that is not loopback. Default: LIVEWS_INSECURE.
        trace: file to which the session's trace is appended. Default: none.
        recorders: each makes a recorder of all frames for an endpoint. Default: none.
        unchecked: skip client-side validation of what is sent, and send `setup` as it is written, with the model's name only.
        reconnect: how the session goes on when its connection ends; it asks for resumption in the setup then, where the
            model takes that. None: the session ends with its connection, and the setup is as the caller wants it.
        handle: `Session.handle` of an earlier session of the same model, to continue it.
        settings: where to connect, in the place of `url` to `insecure`.
        remark: called before dialling with each finding that is no error, but likely to be refused, and later with what
            is wrong with the audio that is sent. They are in `Session.remarks` too.
        open_timeout: seconds for the connection and the upgrade. Default: 10.
        setup_timeout: seconds for setupComplete. Default: the same as `open_timeout`.

    Raises:
        BadRequest: an argument cannot work, there are no credentials, or they would go to another host without TLS.
        LocalProtocolError: the service would refuse the setup message.
        Unreachable: the connection failed.
        Refused: the service refused the upgrade, or closed instead of sending setupComplete.
        Lost: the connection broke during the setup.
        RemoteProtocolError: no setupComplete in time, or an invalid frame.
        TraceFailed: the trace cannot be written.
    """
    if setup is not None and not isinstance(setup, dict):
        fix = 'pass members of the setup message, as in {"tools": [...]}'
        raise BadRequest("setup is not a dict", fix=fix)
    functions: list[Tool] = []
    if tools:
        from livews.tools.runner import as_tools

        functions = as_tools(tools)
    arguments = endpoint.Settings(
        url, api_key, token, vertex, project, location, version=api_version, insecure=insecure, url_from="url"
    )
    given = settings or endpoint.from_environment(os.environ, arguments)

    def checked(findings: list[Finding]) -> list[Finding]:
        errors = [finding for finding in findings if finding.level == "error"]
        if errors and not unchecked:
            raise LocalProtocolError(errors)
        return [finding for finding in findings if finding.level != "error"]

    async def start() -> Session:
        settings = await google_credentials.with_bearer(given)
        name = model or str(setup_message.bare(setup or {}).get("model") or "") or models.default_model()
        where = endpoint.resolve(settings, name)
        remarks = checked(setup_message.wire_findings(setup)) if setup else []
        toolbox: Toolbox | None = None
        if functions:
            from livews.tools.runner import Toolbox

            toolbox = Toolbox(functions, models.profile(where.model, where.surface), on_tool)
        declarations = toolbox.declarations if toolbox is not None else ()
        message = setup_message.compose(
            where.model, voice=voice, system=system, text=text, setup=setup, functions=declarations,
            resumption=reconnect is not None and not unchecked, handle=handle, literal=unchecked,
        )  # fmt: skip
        composed = not setup and toolbox is None
        found = setup_message.message_findings(message, where.surface, where.version, composed=composed)
        remarks += [finding for finding in checked(found) if finding not in remarks]
        if toolbox is not None:
            toolbox.declared(message["setup"])
            remarks += toolbox.remarks
        if remark is not None:
            for finding in remarks:
                remark(finding)
        kept = [make(where) for make in recorders]
        if trace is not None:
            kept.append(TraceFile.of(trace, where))
        session = Session(where, kept, unchecked=unchecked, remarks=remarks, tools=toolbox, remark=remark)

        async def refresh() -> Endpoint:
            return endpoint.resolve(await google_credentials.with_bearer(given), name)

        try:
            timeouts = open_timeout, open_timeout if setup_timeout is None else setup_timeout
            await session._start(message, timeouts, reconnect, refresh)
        except BaseException:
            await session._close(transport.LINGER)  # the caller waits for the reason
            raise
        return session

    return Opening(start)


class Opening:
    """What `connect` returns: a context manager of the session, and an awaitable that gives it."""

    def __init__(self, start: Callable[[], Coroutine[Any, Any, Session]]) -> None:
        self._start = start
        self._session: Session | None = None

    async def __aenter__(self) -> Session:
        self._session = await self._start()
        return self._session

    async def __aexit__(self, *error: object) -> None:
        if self._session is not None:
            await self._session.close()

    def __await__(self) -> Generator[Any, None, Session]:
        return self._start().__await__()
