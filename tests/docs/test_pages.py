"""The pages for plugin authors say what is true: their code runs, every hook stands there with its exact arguments, every link leads somewhere."""

import inspect
import re
import tomllib
from pathlib import Path

import pytest

from pare_bench.registry import hookspecs, specs
from pare_bench.registry.plugins import KINDS

ROOT = Path(__file__).parents[2]
PAGES = ("docs/hooks.md", "docs/add-a-task.md", "docs/add-a-selector.md", "docs/add-a-method.md")
HOOKS = {name: function for name, function in vars(hookspecs).items() if name.startswith("pare_bench_")}


def blocks(page, language):
    """Return (line, code) of every fenced block of ``language``."""
    text = (ROOT / page).read_text()
    return [
        (text[: match.start()].count("\n") + 2, match.group(1))
        for match in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]


@pytest.mark.parametrize("page", PAGES)
def test_the_code_runs(page):
    """The blocks of a page are one program, read from top to bottom."""
    found = blocks(page, "python")
    assert found
    namespace = {"__name__": "page"}
    for line, code in found:
        # Empty lines in front give errors the line number of the page.
        exec(compile("\n" * (line - 1) + code, page, "exec"), namespace)  # noqa: S102
    for hook in set(namespace) & set(HOOKS):
        if not inspect.signature(HOOKS[hook]).parameters:
            spec_class = dict(KINDS.values())[hook]
            assert all(isinstance(spec, spec_class) for spec in namespace[hook]())


@pytest.mark.parametrize("page", PAGES)
def test_entry_points_are_in_our_group(page):
    for _, code in blocks(page, "toml"):
        assert tomllib.loads(code)["project"]["entry-points"]["pare_bench"]


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_every_hook_is_documented_with_its_exact_arguments(hook):
    arguments = ", ".join(inspect.signature(HOOKS[hook]).parameters)
    assert f"`{hook}({arguments})`" in (ROOT / "docs/hooks.md").read_text()


def test_no_hook_is_documented_that_does_not_exist():
    assert set(re.findall(r"pare_bench_[a-z_]+(?=\()", (ROOT / "docs/hooks.md").read_text())) == set(HOOKS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_spec_is_documented_with_its_own_fields(kind):
    hook, spec_class = KINDS[kind]
    (row,) = [line for line in (ROOT / "docs/hooks.md").read_text().splitlines() if line.startswith(f"| `{hook}()`")]
    assert f"`{spec_class.__name__}`" in row
    for field in set(spec_class.__dataclass_fields__) - set(specs.Spec.__dataclass_fields__):
        assert f"`{field}`" in row, field


@pytest.mark.parametrize("page", [page for page in PAGES if "add-a" in page])
def test_pages_end_in_a_checklist(page):
    last = (ROOT / page).read_text().rstrip().rpartition("\n## ")[2]
    title, _, items = last.partition("\n")
    assert title == "Checklist"
    assert len(re.findall(r"^- \[ \] ", items, re.MULTILINE)) >= 5


@pytest.mark.parametrize("page", [*PAGES, "plugins/README.md", "README.md"])
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / page).read_text()):
        if "://" not in link:
            assert (ROOT / page).parent.joinpath(link).exists(), link


@pytest.mark.parametrize("page", [*PAGES, "plugins/README.md"])
def test_commands_of_the_pages_are_commands_of_ours(page):
    verbs = {"run", "compare", "list", "show", "plugins", "check"}
    for _, code in blocks(page, "console"):
        for line in code.splitlines():
            if line.startswith("pare-bench "):
                assert line.split()[1] in verbs, line
