"""Write the table of published files in docs/data.md from what the tasks declare: ``python docs/make_data_table.py``."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pare_bench.cli.output import markdown_table
from pare_bench.contracts.files import OfficialFile
from pare_bench.registry.names import Registry

PAGE = Path(__file__).parent / "data.md"
BEGIN, END = "<!-- made by docs/make_data_table.py -->", "<!-- end -->"


def table() -> str:
    """Return the table: a row for each published file of each task, in registration order."""
    registry = Registry.from_environment()
    own = {"builtin", "baselines"}
    rows = [
        (name, f"`{file.path}`", _size(file), _digest(file), _origin(file), ", ".join(f"`{member}`" for member in file.members), _need(file))
        for name in registry.names("task")
        if registry.entry("task", name).plugin.name in own
        for file in registry.component("task", name).official_files
    ]
    return markdown_table(("task", "file below `<root>/<task>/`", "size", "published digest", "from", "unpacks to", "needed"), rows)


def with_table(page: str) -> str:
    """Return the text of the page with the present table."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


def _size(file: OfficialFile) -> str:
    return f"{file.size / 1e6:.1f} MB" if file.size is not None else ""


def _digest(file: OfficialFile) -> str:
    return " ".join(f"{kind} `{value[:12]}`" for kind, value in (("sha256", file.sha256), ("md5", file.md5)) if value)


def _origin(file: OfficialFile) -> str:
    return ", ".join(urlsplit(url).netloc or url for url in file.urls) or "by hand"


def _need(file: OfficialFile) -> str:
    return "one way of several, or more" if file.optional else "yes"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
