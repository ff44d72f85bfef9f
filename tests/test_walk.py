"""walk: every value of a message, with the member and type it belongs to."""

from typing import Any

import pytest

from livews.core import protocol
from livews.walk import walk


def visits(sender: Any, message: Any, items: int | None = None) -> list[tuple[str, str, str]]:
    """(path, member or "-", type or "-") of each visit."""
    return [
        (one.path, one.member.name if one.member else "-", one.type.name if one.type else "-")
        for one in walk(sender, message, items)
    ]


def test_a_message_as_sent_is_visited_in_both_spellings_with_its_types() -> None:
    message = {
        "setup": {"model": "m", "generation_config": {"responseModalities": "AUDIO"}, "odd": {"a": 1}},
        "news": 1,
    }
    assert visits("client", message) == [
        ("/setup", "setup", "BidiGenerateContentSetup"),
        ("/setup/model", "model", "-"),
        ("/setup/generation_config", "generationConfig", "GenerationConfig"),
        ("/setup/generation_config/responseModalities", "responseModalities", "Modality"),
        ("/setup/odd", "-", "-"),
        ("/news", "-", "-"),
    ]
    config = next(one for one in walk("client", message) if one.key == "generation_config")
    assert (config.canonical_path, config.depth) == ("/setup/generationConfig", 1)


def test_items_of_lists_and_maps_are_visited_and_structs_are_not_entered() -> None:
    message = {
        "toolCall": {"functionCalls": [{"args": {"a/b": {"deep": 1}}}, {"name": "f"}, {"name": "g"}]},
        "setupComplete": None,
    }
    assert visits("server", message, items=2) == [
        ("/toolCall", "toolCall", "BidiGenerateContentToolCall"),
        ("/toolCall/functionCalls", "functionCalls", "FunctionCall"),
        ("/toolCall/functionCalls/0", "functionCalls", "FunctionCall"),
        ("/toolCall/functionCalls/0/args", "args", "Struct"),
        ("/toolCall/functionCalls/1", "functionCalls", "FunctionCall"),
        ("/toolCall/functionCalls/1/name", "name", "-"),
        ("/setupComplete", "setupComplete", "BidiGenerateContentSetupComplete"),
    ]


def test_map_keys_are_escaped_in_paths() -> None:
    tool = {"functionDeclarations": [{"parameters": {"properties": {"a/b": {"type": "STRING"}}}}]}
    paths = [path for path, _, _ in visits("client", {"setup": {"tools": [tool]}})]
    assert paths[-2:] == [
        "/setup/tools/0/functionDeclarations/0/parameters/properties/a~1b",
        "/setup/tools/0/functionDeclarations/0/parameters/properties/a~1b/type",
    ]


@pytest.mark.parametrize("sender", ["client", "server"])
def test_every_vector_is_walked_whatever_its_values_are(sender: Any) -> None:
    for group in protocol.load(f"vectors/messages/{sender}.json"):
        for test in group["tests"]:
            paths = [one.path for one in walk(sender, test["message"])]
            assert len(paths) == len(set(paths)), test["id"]
