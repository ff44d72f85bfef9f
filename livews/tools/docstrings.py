"""Docstrings, parsed into a description and the description of each parameter.

- Google's `Args:`, Sphinx's `:param x:` and NumPy's underlined `Parameters` are read; any other text is description.
- The description is the text before the first section. A docstring in no known form is all description.
"""

import inspect
import re

_HEADING = re.compile(
    r"(Args|Arguments|Parameters|Params|Keyword Args|Keyword Arguments|Other Parameters|Attributes"
    r"|Returns?|Yields?|Raises|Examples?|Notes?|See Also|References|Warnings?|Todo)(:?)\s*"
)
_OF_PARAMETERS = ("Arg", "Param", "Keyword", "Other Param", "Attributes")
_GOOGLE = re.compile(r"(\s+)\*{0,2}(\w+)\s*(?:\(.*?\))?\s*:\s*(.*)")
_NUMPY = re.compile(r"\*{0,2}(\w+)\s*(?::.*)?")
_SPHINX = re.compile(r":(?:param|parameter|arg|argument|key|keyword)\s+(?:[^:]*\s)?\*{0,2}(\w+)\s*:\s*(.*)")
_FIELD = re.compile(r":\w+[^:]*:")


def described(doc: str | None) -> tuple[str, dict[str, str]]:
    """The description, and the description of each parameter by its name; both may be empty."""
    lines = inspect.cleandoc(doc or "").splitlines()
    before: list[str] = []
    words: dict[str, list[str]] = {}
    section = ""  # "", then "google", "numpy", "sphinx" or "other"
    at: list[str] | None = None
    indent = ""
    for i, line in enumerate(lines):
        under = lines[i + 1].strip() if i + 1 < len(lines) else ""
        heading = _HEADING.fullmatch(line)
        numpy = heading is not None and len(under) > 2 and not under.strip("-=")
        if heading is not None and (heading[2] or numpy):
            kind = "numpy" if numpy else "google"
            section = kind if heading[1].startswith(_OF_PARAMETERS) else "other"
            at, indent = None, ""
        elif match := _SPHINX.fullmatch(line):
            section, at = "sphinx", words.setdefault(match[1], [match[2]])
        elif _FIELD.match(line):
            section, at = "other", None
        elif not section:
            before.append(line)
        elif section == "google" and (match := _GOOGLE.fullmatch(line)) and indent in ("", match[1]):
            indent, at = match[1], words.setdefault(match[2], [match[3]])
        elif section == "numpy" and (match := _NUMPY.fullmatch(line)):
            at = words.setdefault(match[1], [])
        elif line[:1].strip():
            at = None  # a line without indentation belongs to no parameter
        elif at is not None:
            at.append(line.strip())
    return "\n".join(before).strip(), {name: " ".join(filter(None, text)) for name, text in words.items()}
