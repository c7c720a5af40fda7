"""The pages for plugin authors say what is true: their code runs, every hook stands there with its exact arguments, every link leads somewhere."""

import importlib
import inspect
import re
import tomllib
from pathlib import Path

import pytest

from pare_bench.cli import plugin_kit
from pare_bench.registry import hookspecs, specs
from pare_bench.registry.plugins import KINDS

ROOT = Path(__file__).parents[2]
#: Kind -> its page.
PAGE_OF = {kind: "docs/executors.md" if kind == "executor" else f"docs/add-a-{kind}.md" for kind in KINDS}
PAGES = ("docs/hooks.md", *PAGE_OF.values())
#: Pages that show the component of ``pare-bench plugins new`` as it is, under this name.
SHOWN = {"mixer": "stretch", "embedder": "levelled", "backbone": "tiny", "aligner": "coral", "suite": "quick"}
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


def test_the_observing_hooks_are_those_with_arguments():
    assert set(hookspecs.OBSERVING) == {hook for hook, function in HOOKS.items() if inspect.signature(function).parameters}


def test_every_page_is_linked_from_the_hooks():
    text = (ROOT / "docs/hooks.md").read_text()
    for kind, page in PAGE_OF.items():
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{KINDS[kind][0]}()`")]
        assert f"]({page.removeprefix('docs/')})" in row


def test_no_hook_is_documented_that_does_not_exist():
    assert set(re.findall(r"pare_bench_[a-z_]+(?=\()", (ROOT / "docs/hooks.md").read_text())) == set(HOOKS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_spec_is_documented_with_its_own_fields(kind):
    hook, spec_class = KINDS[kind]
    (row,) = [line for line in (ROOT / "docs/hooks.md").read_text().splitlines() if line.startswith(f"| `{hook}()`")]
    assert f"`{spec_class.__name__}`" in row
    for field in set(spec_class.__dataclass_fields__) - set(specs.Spec.__dataclass_fields__):
        assert f"`{field}`" in row, field


@pytest.mark.parametrize("kind", sorted(PAGE_OF))
def test_pages_begin_with_a_new_plugin_and_end_with_its_check(kind):
    text = (ROOT / PAGE_OF[kind]).read_text()
    (name,) = re.findall(rf"^pare-bench plugins new (\w+) --kind {kind}$", text, re.MULTILINE)
    made = plugin_kit.kit(kind, name)
    assert text.index("plugins new") < text.index("\n## The ") if "\n## The " in text else text.index("plugins new") < text.index("\n## ")
    assert f"\npip install -e ./{made.distribution}\npare-bench check {kind}:{name}\n" in text
    *_, check, _ = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert check == "Check it"
    assert "## What it promises" in text or kind == "executor"


@pytest.mark.parametrize("kind", sorted(SHOWN))
def test_pages_show_what_is_written(kind):
    """One source: the templates of the kit."""
    made, text = plugin_kit.kit(kind, SHOWN[kind]), (ROOT / PAGE_OF[kind]).read_text()
    shown = [text for path, text in made.texts.items() if path.startswith("pare_bench_") and not path.endswith("__init__.py")]
    assert len(shown) == (1 if kind == "suite" else 2)
    for source in shown:
        assert f"```python\n{source.rstrip()}\n```" in text


@pytest.mark.parametrize("kind", sorted(set(PAGE_OF) - {"suite"}))
def test_pages_have_the_exact_signatures_of_their_contract(kind):
    contract = getattr(importlib.import_module(f"pare_bench.contracts.{kind}"), kind.capitalize())
    rows = [line for line in (ROOT / PAGE_OF[kind]).read_text().splitlines() if line.startswith("| `")]
    for name, member in vars(contract).items():
        function = member.__func__ if isinstance(member, classmethod) else member
        if inspect.isfunction(function) and (name == "__init__" or not name.startswith("_")):
            assert any(line.startswith(f"| `{name}({arguments(function)})`") for line in rows), f"{name}({arguments(function)})"


def arguments(function):
    """``params, *, dim`` for ``(self, params: Params, *, dim: int)``."""
    listed, named = [], False
    for each in list(inspect.signature(function).parameters.values())[1:]:
        if each.kind is each.KEYWORD_ONLY and not named:
            listed.append("*")
            named = True
        listed.append(each.name if each.default is each.empty else f"{each.name}={each.default!r}")
    return ", ".join(listed)


@pytest.mark.parametrize("page", sorted(PAGE_OF.values()))
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
