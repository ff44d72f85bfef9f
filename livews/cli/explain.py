"""`livews explain`: explain a close, an error, a rule or anything that protocol/ defines. Offline.

- The argument is read in this order: a JSON message; a rule id; a number (close code or HTTP status); one word that is
  a name or a path; anything else is a line of a log (`explainer.close_parser`) or the reason of a close.
- A trace, as a file or on stdin: its closes, each with the finding about an earlier message that is its cause.
- Of a log of many lines the first cause is explained, with its line; what came later is listed.
- A code without a reason gets the table of its reasons. What fits no close may be a symptom in somebody's own words.
- One unknown word fails with the closest names, and exit 2.
- The argument may come from the wire: it is never shown raw.
"""

import argparse
import json
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from livews import document
from livews.advice import closes
from livews.cli.console import Console
from livews.core import protocol
from livews.core.codec import WireError, parse_any
from livews.core.schema import SURFACES, Sender, kind_of
from livews.errors import BadRequest
from livews.explainer import CONFIDENCE, RETRY, close_parser, code_table, library_errors
from livews.explainer.close_parser import LoggedClose
from livews.terminal_text import columns, one_line, paragraph

_LIST = re.compile(r"""\[\s*[\[{"\]]""")
"""How a JSON list begins that can have a message in it."""
_NOT_KNOWN = "it is not known whether that helps"
_ELSE = (
    "`livews explain symptoms` lists what goes wrong as users see it; `livews doctor` tests network, key and model"
)
_MOST_MIB = 64
"""Of stdin, which holds one message."""


def run(options: argparse.Namespace, console: Console) -> int:
    return _Explanation(options, console).run()


class _Explanation:
    """One run of the command."""

    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        self._options = options
        self._console = console

    def run(self) -> int:
        given, reason = (_decoded(text) for text in (self._options.what, " ".join(self._options.reason)))
        if self._options.what == "-":
            given = self._stdin()
        what, reason = given.strip(), reason.strip()
        whole = f"{what} {reason}".strip()
        if re.match(r'\{\s*"trace"\s*:\s*"livews"', what):
            self._trace(line.encode() for line in what.splitlines(keepends=True))
            return 0
        if what.endswith(".jsonl") and Path(what).is_file():
            self._trace(Path(what))
            return 0
        if what.startswith(("{", "[")) and self._message(whole):
            return 0
        if re.fullmatch(r"[A-Z]+-\d+", what.upper()) and what.upper() in protocol.rules():
            self._rule(what.upper())
        elif re.fullmatch(r"[A-Z]+-\d+", whole):
            raise BadRequest(f"there is no rule {what}", fix="protocol/rules.json lists the rules")
        elif ("://" in what or "/" in what[:1]) and not re.search(r"\s", what) and self._address(what):
            pass
        elif what[:1].isdigit() or re.search(r"\s", whole) or not self._name(whole):
            logged, *later = close_parser.parse_log(f"{given.rstrip()} {reason}".rstrip()) or [LoggedClose(0, whole)]
            if not logged.found and self._symptom(whole):
                return 0
            is_word = logged.reason == whole and not re.search(r"\s", whole)
            self._close(logged, may_be_name=not logged.found and is_word, is_number=whole.isdigit(), later=later)
            if not close_parser.is_read_whole(given):
                self._console.note("this text is long: only its beginning and its end were read")
        return 0

    def _stdin(self) -> str:
        raw = self._console.environment.stdin.buffer.read((_MOST_MIB << 20) + 1)
        if len(raw) > _MOST_MIB << 20:
            fix = "give one message; `livews trace show` reads traces of any size"
            raise BadRequest(f"stdin holds more than {_MOST_MIB} MiB", where="stdin", fix=fix)
        return raw.decode(errors="backslashreplace").removeprefix("\ufeff")

    # Closes and rules

    def _close(
        self,
        logged: LoggedClose,
        may_be_name: bool = False,
        is_number: bool = False,
        later: Sequence[LoggedClose] = (),
    ) -> None:
        """Explain a close, or why there was no connection.

        Args:
            logged: what was found.
            may_be_name: an unknown reason is reported as an unknown name.
            is_number: nothing but a code was given.
            later: what else a log has, after it.
        """
        code, reason, by = logged.code, logged.reason, logged.by
        if code and not (200 <= code < 600 or 1000 <= code < 5000):
            fix = "close codes are from 1000 to 4999, HTTP statuses from 200 to 599"
            raise BadRequest(f"{code} is neither a close code nor an HTTP status", fix=fix)
        if not code and not reason:
            fix = "give a close code, a reason, an HTTP status, a rule, a name or a message"
            raise BadRequest("there is nothing to explain", fix=fix)
        error, advice = library_errors.errors().get(logged.cause), self._advice(logged)
        reasons = [] if reason or logged.cause or by == "client" else code_table.reasons(code)
        if reasons and (is_number or not self._options.json):  # the row for an empty reason is only one of them
            advice = closes.of_code(code)
        if may_be_name and not advice.known:
            self._unknown(reason)
        near = [] if code or advice.known or logged.cause else self._near(reason)
        if self._options.json:
            tables = {"reasons": reasons, "statuses": code_table.statuses() if error and error.has_status else []}
            lists: dict[str, Any] = {name: [row.to_dict() for row in rows] for name, rows in tables.items() if rows}
            lists |= {"nearest": near} if near else {}
            if logged.number:
                lists |= {"line": logged.number, "later": [self._row(other) for other in later]}
            self._json(asdict(advice) | lists)
            return
        reason = one_line(advice.reason, 160) if logged.cause or not advice.known else advice.reason
        quoted = json.dumps(reason, ensure_ascii=False) if reason else ""
        is_own = by == "client" and not advice.known
        about = f"{advice.id}, {CONFIDENCE[advice.confidence]}"
        if not advice.known:
            about = "the client's own" if is_own else "an unknown reason" if reason else "in no log of the service"
        about = error.whose if error else "the network, not the service" if logged.cause else about
        about = f"{len(reasons)} reasons are known" if reasons else about
        about = f"{about}, line {logged.number}" if logged.number else about
        self._head(f"{advice.code or ''} {quoted}".strip(), about)
        for label, text in (("what", advice.meaning), ("why", advice.cause), *(("or", text) for text in advice.also)):
            if text:
                self._console.say(paragraph(label, text))
        for text in code_table.lines(reasons) if reasons else ():
            self._console.say(text)
        if (
            not reason and not error and by == "server" and code >= 1000 and code not in (1005, 1006, 1015)
        ):  # which never have one
            self._console.say(paragraph("ask", code_table.ask(code, has_table=bool(reasons))))
        self._console.say(paragraph("do", advice.do))
        for text in code_table.lines(code_table.statuses(), "status") if error and error.has_status else ():
            self._console.say(text)
        retry = RETRY[advice.retry] if advice.known or is_own or advice.retry != "no" else _NOT_KNOWN
        self._console.say(paragraph("again", retry))
        for i, row in enumerate(map(self._row, later)):
            shown = f"line {row['line']}: {row['code'] or ''} {one_line(row['reason'], 60)}".rstrip()
            self._console.say(paragraph("" if i else "later", f"{shown} ({row['id']})"))
        if near:
            self._console.say(
                paragraph("near", "the nearest symptoms: " + "; ".join(f"`livews explain {t}`" for t in near))
            )
        if not (advice.known or is_own):
            self._console.say(paragraph("else", _ELSE))

    def _advice(self, logged: LoggedClose) -> closes.Advice:
        code, reason = logged.code, logged.reason
        if logged.cause in library_errors.errors():
            return library_errors.explain(logged.cause, code, logged.line, reason)
        if logged.cause:
            from livews import connect_errors  # an explanation of a close needs no network

            return connect_errors.explain(cast(connect_errors.Cause, logged.cause), reason)
        return closes.explain_http(code) if 0 < code < 1000 else closes.explain(code, reason, by=logged.by)

    def _row(self, logged: LoggedClose) -> dict[str, Any]:
        """A later close of a log, in short."""
        advice = self._advice(logged)
        return {"line": logged.number, "code": logged.code, "reason": advice.reason, "id": advice.id}

    def _trace(self, source: Path | Iterable[bytes]) -> None:
        """The closes of recorded sessions, each with what was sent before it that led to it."""
        from livews.trace.ending import SessionEnding
        from livews.trace.session import follow

        seen = False
        for session in follow(source, "" if isinstance(source, Path) else "stdin", lenient=True):
            ending = SessionEnding()
            for record, step in session:
                close = ending.take(record, step)
                if close is None or close.is_fine:
                    continue
                seen = True
                if self._options.json:
                    cause = close.cause.to_dict() if close.cause else None
                    row = {"session": session.number, "line": record.number, **asdict(close.advice)}
                    self._json({**row, "because": close.because, "found": cause})
                    continue
                quoted = json.dumps(close.reason, ensure_ascii=False) if close.reason else ""
                self._head(f"{close.code} {quoted}".strip(), f"session {session.number}, line {record.number}")
                for label, text in close.texts().items():
                    if text:
                        self._console.say(paragraph(label, text))
        if not seen:
            self._console.note("no session of this trace ended with an error")

    def _rule(self, rule: str) -> None:
        row = protocol.rules()[rule]
        if self._options.json:
            self._json(row)
            return
        known = CONFIDENCE.get(row["confidence"], "documented")
        self._head(f"{rule}  {row['title']}", f"{row['level']}, {known}")
        self._console.say(paragraph("says", row["says"]))
        self._console.say(paragraph("do", row["do"]))
        if "close" in row:
            close = protocol.close_row(row["close"])
            self._console.say(paragraph("else", f'the service closes with {close["code"]} "{close["reason"]}"'))

    def _symptom(self, text: str) -> bool:
        """Whether a text describes a symptom, which is then explained."""
        from livews.explainer import symptoms  # an explanation of a close needs none

        if text.lower() == "symptoms":
            rows = symptoms.every()
            if self._options.json:
                self._json([symptom.to_dict() for symptom in rows])
            for symptom in () if self._options.json else rows:
                self._console.say(f"livews explain {symptom.title}")
            return True
        found = symptoms.find(text)
        if found is None:
            return False
        if self._options.json:
            self._json(found.to_dict())
            return True
        self._head(found.title, "a symptom")
        for label, words in (("likely", found.likely), *(("or", cause) for cause in found.causes)):
            self._console.say(paragraph(label, words))
        for i, proof in enumerate(found.proves):
            self._console.say(paragraph("" if i else "prove", f"`{proof.run}` shows {proof.shows}"))
        return True

    def _near(self, text: str) -> list[str]:
        """The titles of the symptoms that are nearest to a text without a close."""
        from livews.explainer import symptoms

        return [symptom.title for symptom in symptoms.nearest(text)]

    # Names

    def _address(self, url: str) -> bool:
        """Whether a URL or path is one of a WebSocket that is known, which is then explained."""
        from livews import endpoint_paths
        from livews.advice import judge, names
        from livews.core import models, rules

        path = re.sub(r"^\w+://[^/]*", "", url).partition("?")[0] or "/"  # what comes before and after may be secret
        other, (surface, version) = names.protocol_at(path), endpoint_paths.parse_endpoint_path(path)
        if not (other or surface or version):
            return False
        notes = []
        if surface and version:
            setup = {"setup": {"model": f"models/{models.default_model()}"}}
            found = judge.check("client", setup, rules.ApiTarget(surface, version)) if surface == "gemini" else []
            notes = [f"{note.complaint.removesuffix(f' at {note.path}')} ({note.rule}). {note.fix}" for note in found]
        if self._options.json:
            self._json({"path": path, "surface": surface, "version": version, "other": other, "notes": notes})
            return True
        where = SURFACES[surface] if surface else "Gemini API or Vertex AI, by the model's name"
        self._head(path, "another protocol" if other else f"BidiGenerateContent, {where}, {version or 'no version'}")
        for label, text in (("what", other), *(("note", note) for note in notes)):
            if text:
                self._console.say(paragraph(label, text))
        return True

    def _name(self, name: str) -> bool:
        """Whether protocol/ has this name, which is then explained."""
        from livews.explainer import index, render  # an explanation of a close needs no schema

        match = index.look_up(name)
        if match == index.NOTHING:
            return False
        if self._options.json:
            entries, places = ([entry.to_dict() for entry in rows] for rows in (match.entries, match.places))
            self._json({"asked": name, "found": entries, "places": places})
            return True
        for i, entry in enumerate(match.entries):
            if i:
                self._console.say("")
            self._head(entry.name.removeprefix("/") if entry.kind == "message" else entry.name, entry.about)
            for text in render.body(entry):
                self._console.say(text)
        if match.entries and match.places:
            self._console.say("")
        for text in render.places(one_line(name), match.places, bool(match.entries)):
            self._console.say(text)
        return True

    def _unknown(self, name: str) -> None:
        from livews.explainer import index

        near, ids = index.nearest(name), index.models_like(name)
        if self._options.json:
            self._json({"asked": name[: index.LONGEST], "found": [], "nearest": near or ids})
        fixes = [f"did you mean {' or '.join(near)}?"] if near else []
        fixes += [f"models known here: {', '.join(ids)}"] if ids else []
        raise BadRequest(
            f"{one_line(name, 80)} is not defined in protocol/",
            why="no known close reason starts with it either",
            fix=" ".join(fixes) or "give a name as protocol/ spells it, or a whole reason",
        )

    # Messages

    def _message(self, text: str) -> bool:
        """Explain a JSON message. False if the text is no message but a line of a log, as of a program that prints an
        object of its own, or a date in brackets."""
        from livews.cli.reader import is_message, sender_and_message
        from livews.explainer import annotate

        logged = close_parser.parse_close(text)
        try:
            value = parse_any(text.encode())
        except WireError as problem:
            if logged.found or (text.startswith("[") and not _LIST.match(text)):
                return False
            _, place = document.values(text.encode())
            fix = "give one whole message; `livews check` takes many, `livews trace show` a trace"
            why = f"{place.why} (line {place.line}, column {place.column})" if place else str(problem)
            raise BadRequest(
                "this is not a JSON message", why=one_line(why), fix=place.fix if place else fix
            ) from None
        if isinstance(value, dict) and "dir" in value and isinstance(value.get("close"), dict):  # a line of a trace
            code, reason = value["close"].get("code"), value["close"].get("reason", "")
            by: Sender = "client" if value["dir"] == "send" else "server"
            self._close(LoggedClose(code if type(code) is int else 1006, str(reason or ""), by))
            return True
        if (logged.found and not is_message(value)) or close_parser.is_buffer(value):
            return False
        sender, message = sender_and_message(value)
        if not isinstance(message, dict):
            fix = 'give one object such as {"setup": {...}}; `livews check` takes lists of them'
            raise BadRequest(f"a message is a JSON object, not {kind_of(message)[:40]}", fix=fix)
        members, findings, is_whole = annotate.annotate(sender, message)
        if self._options.json:
            about = {"findings": [annotate.finding(finding) for finding in findings], "whole": is_whole}
            self._json({"sender": sender, "members": [member.to_dict() for member in members], **about})
            return True
        self._head(f"a message of the {sender}", "empty, which is normal" if not message else "")
        for finding in findings:
            self._finding(finding, 0)
        for member in members:
            self._member(member)
        if not is_whole:
            self._console.say(f"  ... and more: only the first {len(members)} members were read")
        return True

    def _member(self, member: Any) -> None:
        """A member in one line: its name, its value, the beginning of its description."""
        name, value = one_line(member.name), one_line(member.value)
        start = f"  {'  ' * min(member.depth, 12)}{name}"
        about = one_line(member.says if member.known else "not in the schema")
        room = columns() - len(start) - len(value) - 4
        about = one_line(about, room) if room > 12 else ""
        style = "dim" if member.known else "warn"
        self._line(("bold", start), ("", f" {value}" if value else ""), (style, f"  {about}" if about else ""))
        for finding in member.findings:
            self._finding(finding, member.depth + 1)

    def _finding(self, finding: Any, depth: int) -> None:
        style = {"error": "error", "refused": "warn"}.get(finding.level, "dim")
        indent = f"  {'  ' * min(depth, 12)}"
        text = one_line(f"{finding.level}: {finding}") + (f"; {one_line(finding.fix)}" if finding.fix else "")
        room = max(columns() - len(indent) - 2, 30)
        for i, part in enumerate(textwrap.wrap(text, room, break_on_hyphens=False)):
            self._line((style, f"{indent}{'  ' if i else '! '}{part}"))

    # Output

    def _head(self, name: str, about: str) -> None:
        name, about = one_line(name), f"({one_line(about)})" if about else ""
        gap = "\n  " if name.startswith("/") and len(name) + len(about) + 2 > columns() else "  "
        self._line(("bold", name), ("dim", f"{gap}{about}" if about else ""))

    def _line(self, *parts: tuple[str, str]) -> None:
        """Write a line of (style, text), safe already."""
        self._console.write("".join(self._console.paint_result(style, text) for style, text in parts) + "\n")

    def _json(self, value: Any) -> None:
        self._console.data(json.dumps(value, ensure_ascii=False))


def _decoded(text: str) -> str:
    """An argument without the lone surrogates that stand for bytes which are not UTF-8."""
    return text.encode(errors="surrogatepass").decode(errors="backslashreplace")
