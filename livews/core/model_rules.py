"""The rules about the model of a session: its name, and the members that it takes, by protocol/models.json.

- No model is named here: every fact is a row.
- What is not known is not refused: of an unknown model only the name is judged.
"""

import re
from collections.abc import Iterator
from typing import Any

from livews.core import close_rows, codec, machine, models, schema
from livews.core.findings import ApiTarget, Context, Finding, finding
from livews.core.reading import Reading

_MODALITIES = "/setup/generationConfig/responseModalities"


def limit(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    """A member that the session's model does not take so, by the rows of models.json and the checks of rules.json.

    Of the rows about one field of a profile the first that applies counts."""
    message, target = reading.message, context.target
    is_setup = isinstance(message.get("setup"), dict)
    profile = (_requested(reading, context) or models.profile("")) if is_setup else context.profile
    rows = [row for name in message for row in profile["limits"].get((rule, name), ())]
    if not rows:
        return
    setup = {"setup": message["setup"] if is_setup else context.setup}
    seen = set()
    for row in rows:
        is_off = ("with" in row and not _is_on(setup, row["with"])) or (
            "unless" in row and _is_on(setup, row["unless"])
        )
        if is_off or row.get("field") in seen or not models.holds(row, target.surface, target.as_of):
            continue
        for path, words, value in broken(row, message, profile["name"]):
            seen |= {row["field"]} if "field" in row else set()
            close = close_rows.frame_for(row["close"], voice=str(value)) if row.get("close") else None
            yield finding(rule, path, words, close=close, level=None if close else "note", fix=row.get("do", ""))


def _is_on(setup: dict[str, Any], path: str) -> bool:
    return any(value is True for _, value in machine.located(setup, path))


def broken(row: dict[str, Any], message: dict[str, Any], model: str) -> Iterator[tuple[str, str, Any]]:
    """Where a message breaks a row: path, complaint and value."""
    member = row["at"].rpartition("/")[2]
    if "missing" in row:
        list_path, _, rest = row["at"].rpartition("/*/")
        for path, item in machine.located(message, f"{list_path}/*") if list_path else [("", message)]:
            place = f"{path}/{rest.removeprefix('/')}"
            if all(_is_unset(value) for _, value in machine.located(item, f"/{rest.removeprefix('/')}")):
                yield place, f"{model} needs {member} at {place.rpartition('/')[0]}", None
        return
    given = [(path, value) for path, value in machine.located(message, row["at"]) if not _is_unset(value)]
    for path, value in given:
        if "among" in row:
            if isinstance(value, str) and value.lower() not in {name.lower() for name in row["among"]}:
                listed = " or ".join(row["among"]) if "field" in row else "a name of the list in models.json"
                yield path, f"expected {listed}, got {schema.short(value)} at {path}", value
        elif "within" in row:
            (low, high), number = row["within"], codec.whole(value)
            if number is not None and not low <= number <= high:
                yield path, f"expected {low} to {high}, got {value} at {path}", value
        elif "unlike" in row:
            if isinstance(value, str) and not re.search(row["unlike"], value):
                yield path, f"expected {row['form']}, got {schema.short(value)} at {path}", value
        elif "matching" in row:
            if isinstance(value, str) and re.search(row["matching"], value):
                yield path, f"{model} does not take {schema.short(value)} at {path}", value
        elif "is" not in row or value is row["is"]:
            shown = f" {str(value).lower()}" if "is" in row else ""
            yield path, f"{model} does not take {member}{shown} at {path}", value


def _is_unset(value: Any) -> bool:
    return value is None or (isinstance(value, str) and (not value or value.endswith("UNSPECIFIED")))


def unknown_model(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    profile = _requested(reading, context)
    if profile and not profile["known"] and not profile["retired"]:
        if models.other_kind(profile["id"]) or models.as_meant(setup_of(reading)["model"])[1]:
            return  # other rules
        yield finding(rule, "/setup/model", f"{profile['id']} is not in models.json at /setup/model", level="note")


def other_model(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    """A model that is no Live model, or was not out on the day that is asked for."""
    profile = _requested(reading, context)
    if not profile or profile["retired"]:
        return
    model, target = profile["id"], context.target
    if not profile["known"]:
        kind = models.other_kind(models.bare_id(models.as_meant(model)[0]))
        words = f"{model} is no Live model but {kind}" if kind else ""
    else:
        is_late = bool(target.as_of) and not models.is_out(model, target.as_of)
        words = f"{model} was not out yet in {target.as_of}" if is_late else ""
    if words:
        close = not_found(setup_of(reading)["model"], target)
        yield finding(rule, "/setup/model", f"{words} at /setup/model", close=close)


def retired_model(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    profile = _requested(reading, context)
    if profile and models.is_gone(profile, context.target.as_of):
        close = not_found(setup_of(reading)["model"], context.target)
        words = f"{profile['id']} is retired at /setup/model"
        yield finding(rule, "/setup/model", words, close=close)


def leaving_model(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    profile = _requested(reading, context)
    row = models.announced(profile["id"]) if profile else None
    # no shutdown is announced before there is a successor
    if profile and row and models.is_out(row["replacedBy"], context.target.as_of):
        seen = "; it was not seen to happen yet" if models.has_come(row["on"], context.target.as_of) else ""
        words = f"the shutdown of {profile['id']} is announced for {row['on']}, its successor is {row['replacedBy']}{seen} at /setup/model"
        yield finding(rule, "/setup/model", words, fix=f"Move to {row['replacedBy']}.")


def misnamed_model(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    name = setup_of(reading).get("model")
    if not isinstance(name, str) or not name:
        return
    right, wrong = models.as_meant(name)
    if models.other_kind(right) and not models.profile(right)["retired"]:
        return
    if wrong:
        words = f"{_shown(name)} has {' and '.join(wrong)} at /setup/model"
        yield finding(rule, "/setup/model", words, close=not_found(name, context.target))
        return
    row, close = misnamed(name, context.target)
    if row:
        fix = f"Write {row['form'].replace('{model}', models.bare_id(name))}."
        is_double = name.count("models/") > row["form"].count("models/")
        words = f"{_shown(name)} has {'one models/ too many' if is_double else 'another form'}: expected {row['form']} at /setup/model"
        yield finding(rule, "/setup/model", words, close=close, level=None if close else "note", fix=fix)


def _shown(name: str) -> str:
    return schema.short(without_project(name), 100)


def without_project(name: str) -> str:
    """Without the name of a project, which is not shown."""
    return re.sub("projects/[^/]*", "projects/...", name)


def misnamed(model: str, target: ApiTarget) -> tuple[dict[str, Any] | None, tuple[int, str] | None]:
    """For a model's name whose form is wrong on `target`: the row of its form, and code and reason of the close, None if the
    name is taken all the same."""
    rows = (row for row in models.profile("")["misnamed"] if models.holds(row, target.surface, target.as_of))
    row = next((row for row in rows if not re.search(row["unlike"], model)), None)
    if row is None or "close" not in row:
        return row, None
    return row, close_rows.frame_for(row["close"], model=model, version=target.version)


def foreign_model(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    profile, surface = _served(reading, context), context.target.surface
    if profile is None:
        return
    name, model_id, locations = str(setup_of(reading)["model"]), profile["id"], profile.get("locations", {})
    location = re.search("/locations/([^/]+)/", name)
    if surface not in profile["surfaces"]:
        others = " and ".join(schema.SURFACES[one] for one in profile["surfaces"])
        words = f"{model_id} is a model of {others}, not of {schema.SURFACES[surface]}"
        close = not_found(name, context.target)
        fix = f"Connect to {others}."
    elif location and location[1] in locations.get("notIn", ()):
        words, fix = f"{location[1]} does not serve {model_id}", f"Use {' or '.join(locations['servedIn'])}."
        close = close_rows.frame_for("publisher-model-not-found", model=name)
    else:
        return
    yield finding(rule, "/setup/model", f"{words} at /setup/model", close=close, fix=fix)


def not_found(model: str, target: ApiTarget) -> tuple[int, str]:
    """Code and reason of the close for a model that does not exist on `target`."""
    return _close_at(target, models.profile("")["notFound"], model=model, version=target.version)


def _close_at(target: ApiTarget, rows: list[dict[str, Any]], **values: str) -> tuple[int, str]:
    """Code and reason of the first of some rows of a profile that applies at `target`."""
    row = next(row for row in rows if models.holds(row, target.surface, target.as_of))
    return close_rows.frame_for(row["close"], **values)


def modalities(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    profile = _served(reading, context)
    listed = machine.values(setup_of(reading), ("generationConfig", "responseModalities", "*"))
    requested = [value for value in listed if isinstance(value, str) and value != "MODALITY_UNSPECIFIED"]
    if not profile or not requested or (len(requested) == 1 and requested[0] in profile["output"]):
        return
    output, name = profile["output"], profile["name"]
    words = f"{name} answers only in {' or '.join(output)}, not in {' and '.join(requested)} at {_MODALITIES}"
    fix = f"ask for {output[0]}"
    if "TEXT" in requested and "TEXT" not in output:
        fix += "; for text add outputAudioTranscription, the transcript of the voice (--text does it)"
    close = _close_at(
        context.target, profile["textRefused"], modalities=", ".join(requested), model=setup_of(reading)["model"],
        accepted="\n* ".join(output),
    )  # fmt: skip
    yield finding(rule, _MODALITIES, words, close=close, fix=fix)


def unserved_version(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    surface, version, _ = context.target
    served = models.profile("")["versions"].get(surface, [version])
    if version not in served:
        words = f"{version} is not known to serve Live sessions on {schema.SURFACES[surface]}, {' and '.join(served)} are at /setup"
        yield finding(rule, "/setup", words)


def setup_of(reading: Reading) -> dict[str, Any]:
    setup = reading.message.get("setup")
    return setup if isinstance(setup, dict) else {}


def _requested(reading: Reading, context: Context) -> models.Profile | None:
    """The profile of the model that a setup names."""
    model = setup_of(reading).get("model")
    return models.profile(model, context.target.surface) if model and isinstance(model, str) else None


def _served(reading: Reading, context: Context) -> models.Profile | None:
    """The same, if the model is known and not retired: else nothing is known to be refused."""
    profile = _requested(reading, context)
    return profile if profile and profile["known"] and not models.is_gone(profile, context.target.as_of) else None
