"""The one place where the versions stand: of the package, and of what plugins may count on."""

__version__ = "0.1.0"

#: Hooks, specs and contracts that plugins may count on. Raised by what docs/hooks.md says; a plugin states the one that it needs.
PLUGIN_API = 1
