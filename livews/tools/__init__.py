"""Functions that a model may call: Python's own, and programs of the command line.

- A function that cannot be declared is refused before dialling, by the name of its parameter and with a cure.
- Every call is answered once, or withdrawn: nothing a function does leaves the model waiting (TOOL-3, TOOL-4).
- What a model sends is checked before a function sees it; what a function says is bounded before the model does.
- Nothing here opens a socket: a session hands in its calls, and a way to answer them.
"""

from livews.tools.command_tool import command, commands
from livews.tools.function import Scheduling, Tool, tool
from livews.tools.runner import ToolRun

__all__ = ["Scheduling", "Tool", "ToolRun", "command", "commands", "tool"]
