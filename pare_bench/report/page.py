"""The page: content and charts put into the template. Every text of a record is escaped, and the page's own policy forbids all other scripts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from pare_bench.comparison.contrasts import ROPE
from pare_bench.comparison.printed import Printed
from pare_bench.comparison.table_parts import ends, p_text, points_between, signed_points
from pare_bench.errors import EnvironmentFault
from pare_bench.records.record import ComponentRecord, EnvironmentRecord, RunRecord
from pare_bench.records.variants import short_names
from pare_bench.registry.versions import __version__
from pare_bench.report import MAX_RUNS, charts
from pare_bench.report.beside import beside
from pare_bench.report.content import UNKNOWN_VERSIONS, Row, Section, Versions, sections
from pare_bench.report.drawing import svg
from pare_bench.report.numbers import count, duration, number
from pare_bench.report.ranking import Overview, overview, pareto_front
from pare_bench.report.runs import RunGroup
from pare_bench.statistics import smallest_seen

Drawn = list[tuple[str, str]]


@dataclass
class _Charts:
    """Charts of a division as (SVG, caption); ``shortened``: names in them leave out settings that all runs of a method share."""

    shortened: bool = False
    overview: Drawn = field(default_factory=list)
    tasks: dict[str, Drawn] = field(default_factory=dict)
    runs: dict[tuple[str, str], Drawn] = field(default_factory=dict)


def page(
    records: Iterable[RunRecord],
    *,
    summaries: Mapping[str, str],
    pictures: Mapping[str, Path],
    printed: Sequence[Printed] = (),
    title: str = "pare-bench leaderboard",
    max_runs: int = MAX_RUNS,
    versions: Versions = UNKNOWN_VERSIONS,
    progress: Callable[[str], None] = lambda _: None,
) -> str:
    """Return the leaderboard of ``records`` as one HTML document that loads nothing.

    ``summaries`` says in a line what each task is, ``pictures`` has a PNG file of examples for some tasks, ``printed`` are published numbers to
    show beside the scores; at most ``max_runs`` runs get an entry of their own; runs of an earlier version of a method or task than ``versions`` are
    named. ``progress`` is told each division.

    Raises:
        EnvironmentFault: Jinja or the renderer of charts is not installed.
    """
    try:
        import jinja2
        from markupsafe import Markup
    except ImportError as error:
        raise EnvironmentFault("the site needs the package 'jinja2'", hint="pip install 'pare-bench[report]'") from error
    shown = sections(records, summaries, max_runs=max_runs, versions=versions)
    overviews = {section.anchor: overview(section) for section in shown}
    drawn = {}
    for section in shown:
        progress(section.title)
        drawn[section.anchor] = _draw(section, overviews[section.anchor], Markup)
    style, script = _part("style.css"), _part("behaviour.js")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {
        "number": number, "duration": duration, "count": count, "summed": _sizes, "stages": _stages, "memory": _memory, "software": _software,
        "components": _components, "ends": ends, "p_text": p_text, "points_between": points_between, "signed_points": signed_points,
        "smallest_seen": smallest_seen,
    }  # fmt: skip
    text: str = environment.from_string(_part("page.html").lstrip()).render(
        title=title,
        version=__version__,
        sections=shown,
        charts=drawn,
        overviews=overviews,
        rope=ROPE,
        beside={section.anchor: beside(section, printed) for section in shown},
        pictures={task: _data_url(path) for task, path in pictures.items() if any(task == own.name for section in shown for own in section.tasks)},
        shown={run.run_id for section in shown for group in section.groups for run in group.runs},
        num_runs=sum(len(group.runs) for section in shown for group in section.groups) + sum(section.left_out for section in shown),
        num_methods=len({row.label for section in shown for row in (*section.ranked, *section.partial)}),
        num_tasks=len({task.name for section in shown for task in section.tasks}),
        # The page's own files are the only texts that are not escaped.
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        style_hash=_policy_hash(style),
        script_hash=_policy_hash(script),
    )
    return text.lstrip()


def _draw(section: Section, seen: Overview, safe: Callable[[str], str]) -> _Charts:
    names = short_names(row.label for row in (*section.ranked, *section.partial))
    names = {label: name for label, name in names.items() if label != name}
    drawn = _Charts(bool(names))

    def add(place: Drawn, spec: charts.Spec, caption: str) -> None:
        place.append((safe(svg(charts.renamed(spec, names), f"{caption} ({section.title})")), caption))

    if len(section.ranked) > 1:
        _draw_overview(section, seen, lambda spec, caption: add(drawn.overview, spec, caption))
    for task in section.tasks:
        place = drawn.tasks.setdefault(task.name, [])
        rows = section.rows_with(task.name)
        if rows and task.metric:
            add(place, charts.task_scores(task, rows), f"Scores on {task.name}: means, 95% intervals and single seeds; dashed: floor")
        if task.fractions:
            add(place, charts.fractions(task), f"Scores on {task.name} over the number of training examples")
    for group in section.groups:
        drawn.runs[group.task, group.label] = place = []
        for stage, curve, words in _curves(group):
            add(place, charts.training(group, stage, curve, words), f"{group.label} on {group.task}, stage {stage}: {words}")
    return drawn


def _draw_overview(section: Section, seen: Overview, add: Callable[[charts.Spec, str], None]) -> None:
    add(charts.ranks(section.ranked, seen.intervals), "Mean ranks" + (" with 95% bootstrap intervals" if seen.intervals else ""))
    if seen.ahead:
        nearest = seen.ahead[0]
        words = "each task with its 95% interval over seeds, last the mean over tasks with its own"
        add(charts.forest(nearest), f"Gain of {nearest.first} over {nearest.second}: {words}")
    if seen.critical is not None:
        add(charts.critical_difference(seen.critical.mean_ranks, seen.critical.groups, seen.critical.difference), seen.critical.caption)
    if seen.profiles:
        add(charts.profiles(seen.profiles, seen.profile_axis, "share of tasks"), seen.profile_caption)
    costs: list[tuple[str, str, Callable[[Row], float | None]]] = [
        ("time", "seconds, all tasks (log)", lambda row: row.seconds),
        ("trained weights", "trained weights, mean over tasks (log)", lambda row: row.parameters),
    ]
    for words, axis, value in costs:
        points = {row.label: (spent, row.mean_rank) for row in section.ranked if (spent := value(row)) and row.mean_rank is not None}
        if len(points) > 1:
            add(charts.cost(points, pareto_front(points), axis, "mean rank"), f"Mean rank over {words}; joined: methods that no other beats in both")


def _curves(group: RunGroup) -> list[tuple[str, str, str]]:
    """Return stage, field and words of each curve. In stages before the last one (alignment) the two fields are the same distance."""
    stages = sorted({stage for run in group.runs for stage, done in run.training.items() if len(done.curve) > 1})
    curves = [(stage, "train_loss", "training loss") for stage in stages]
    return curves + [("train", "validation", "primary metric on validation")] * ("train" in stages)


def _part(name: str) -> str:
    return (files("pare_bench") / "data" / "site" / name).read_text("utf-8")


def _policy_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _data_url(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _sizes(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{sizes[split]} {split}" for split in ("train", "val", "test") if split in sizes)


def _stages(seconds: Mapping[str, float]) -> str:
    return ", ".join(f"{stage} {duration(seconds[stage])}" for stage in sorted(seconds))


def _memory(value: float | None) -> str | None:
    return None if value is None else f"{value:.0f} MiB"


def _software(environment: EnvironmentRecord) -> str:
    parts = [f"pare-bench {environment.pare_bench}", f"Python {environment.python}"]
    return ", ".join([*parts, *(f"{name} {version}" for name, version in sorted(environment.libraries.items()))])


def _components(slots: Mapping[str, ComponentRecord]) -> str:
    return ", ".join(f"{slot} {slots[slot].name}" for slot in sorted(slots))


def known_pictures() -> dict[str, Path]:
    """Return the pictures of examples that come with the package, or stand in its checkout, by task."""
    folder = Path(str(files("pare_bench") / "data" / "pictures"))
    if not folder.is_dir():
        folder = Path(str(files("pare_bench"))).parent / "docs" / "suites" / "pictures"
    return {path.stem: path for path in sorted(folder.glob("*.png"))}
