"""The version of livews, as pyproject.toml has it; a module of its own so that nothing has to import the package."""

__version__ = "0.2.0"
