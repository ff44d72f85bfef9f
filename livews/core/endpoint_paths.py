"""The paths a session is dialled at, and what they tell: surface and API version.

- The one place that knows them. What a path does not tell is "", never a guess: whoever has a default names it.
- Any path or URL may come here, of a recording or of a stranger; a query is not looked at.
"""

from __future__ import annotations

import re
from typing import Final, Literal

GEMINI: Final = "/ws/google.ai.generativelanguage.{version}.GenerativeService.{method}"
VERTEX: Final = "/ws/google.cloud.aiplatform.{version}.LlmBidiService/BidiGenerateContent"
# Firebase has both services under names of its own, so what stands before the version does not count. A version comes
# back in reasons of closes, hence its length and its letters.
_VERSION = re.compile(r"\.(v[0-9]\w{0,15})\.(?:GenerativeService|LlmBidiService)\b", re.ASCII)


def parse_endpoint_path(path: str) -> tuple[Literal["gemini", "vertex", ""], str]:
    """Surface and API version of a path or URL, as in ("gemini", "v1alpha"); "" for what it does not tell.

    ("", "") is no session of the Live API, or one behind a gateway that calls it otherwise.
    """
    path = path.partition("?")[0]
    version = _VERSION.search(path)
    if "LlmBidiService" in path:
        surface: Literal["gemini", "vertex", ""] = "vertex"
    else:
        surface = "gemini" if "BidiGenerateContent" in path else ""
    return surface, version[1] if version else ""
