"""Write docs/results.md from records: ``python docs/make_results.py [SECTION=FOLDER]...``.

Of the sections ``suite`` holds the records of nas360, ``openml`` and ``pdebench`` those of these suites, ``controls`` those of all three,
``transfer`` those of naive fine-tuning and from_scratch on nas360, ``official`` those of nas360 on published files, ``optimism`` those of nas360 in
both tracks, ``benefit`` those at 200 training examples; sections without a folder stay as they are. The page says how all are made.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pare_bench.cli.output import markdown_table
from pare_bench.comparison.compare import Comparison, compare
from pare_bench.comparison.lead import oriented
from pare_bench.comparison.parts import parts
from pare_bench.comparison.printed import printed_numbers
from pare_bench.comparison.printed_parts import printed_parts
from pare_bench.comparison.table_parts import Table, cell_text, ends, points_between, signed_points
from pare_bench.comparison.tables import markdown
from pare_bench.comparison.task_rows import TaskRow
from pare_bench.comparison.task_rows import seed_difference as seed_difference_of
from pare_bench.config.settings import field_of
from pare_bench.errors import PareBenchError, UsageError
from pare_bench.records.record import RunRecord
from pare_bench.records.store import Store
from pare_bench.records.variants import Division, division_of, label_of, label_records, method_name, settings_of
from pare_bench.registry.names import Registry
from pare_bench.statistics import mean, sample_sd, seed_difference
from pare_bench.statistics.estimates import welch

PAGE = Path(__file__).parent / "results.md"
SUITES = ("nas360", "pdebench", "openml")
SECTIONS = ("suite", "pdebench", "openml", "controls", "transfer", "official", "optimism", "benefit")
CONTROLS = ("full_finetune", "from_scratch", "frozen_random", "linear_probe")
BENEFIT_TASKS = ("cifar100", "spherical", "ninapro", "fsd50k", "darcy_flow", "ecg", "satellite", "deepsea")


def suite_section(records: list[RunRecord], suite: str, methods: tuple[str, ...], tasks: tuple[str, ...]) -> str:
    """Return the comparison of the methods that have all tasks, the intervals, and what runs cost.

    Numbers and sentences are those of ``pare-bench compare --stats all``: of the pairs those with PaRe, corrected for all as on the site.
    """
    records, scored = _of_suite(records, suite)
    present = _complete(scored, methods, tasks)
    comparison = compare(records, present, suite, suite_tasks=tasks, stats="all")
    # With this many methods the differences per task and all pairs fill pages: the site and JSON have them.
    short = parts(replace(comparison, pairs=tuple(pair for pair in comparison.pairs if "pare" in (pair.first, pair.second))))
    shown = [part for part in short if not (isinstance(part, Table) and part.columns[0] == "difference")]
    sections = [markdown(shown), "95% intervals of the means over seeds (Student):", _intervals(comparison)]
    partial = [f"`{method}` ({len(done)} of {len(tasks)} tasks)" for method, done in sorted(scored.items()) if done != set(tasks)]
    if partial:
        sections.append(f"Not compared, because tasks have no score: {', '.join(partial)}.")
    return "\n\n".join([*sections, "What the suite cost, one thread of a busy machine:", _costs(records, present)])


def _of_suite(records: list[RunRecord], suite: str) -> tuple[list[RunRecord], dict[str, set[str]]]:
    """Return the records of a suite, and the tasks on which each method has a score."""
    records = [record for record in records if record.suite == suite and record.track == "clean" and record.preset == "cpu"]
    scored: dict[str, set[str]] = {}
    for record in records:
        if record.status == "ok":
            scored.setdefault(record.method.name, set()).add(record.task.name)
    return records, scored


def _complete(scored: dict[str, set[str]], methods: tuple[str, ...], tasks: tuple[str, ...]) -> list[str]:
    """Return the methods with all tasks, without the one that is the floor itself: those that the leaderboard's page tests."""
    return [method for method in methods if scored.get(method) == set(tasks) and method != "constant"]


def controls_section(records: list[RunRecord], registry: Registry) -> str:
    """Return the controls against naive fine-tuning on each suite, corrected with all pairs of the suite's methods: the page's verdicts."""
    rows = []
    for suite in SUITES:
        tasks = registry.spec("suite", suite).tasks
        own, scored = _of_suite(records, suite)
        found = compare(own, _complete(scored, registry.names("method"), tasks), suite, suite_tasks=tasks)
        pairs = {pair.second: pair for pair in oriented(found.pairs, CONTROLS[0])}
        for control in CONTROLS[1:]:
            pair = pairs[control]
            effect = (signed_points(pair.effect.mean), points_between(pair.effect.interval)) if pair.effect else ("-", "-")
            rows.append((suite, control, *effect, *map(str, pair.result), f"{pair.p:.3g}", f"{pair.p_holm:.3g} ({pair.family})", pair.verdict))
    columns = ("suite", "full_finetune vs", "effect", "95% interval", "wins", "ties", "losses", "p", "p (Holm, pairs)", "verdict")
    return markdown_table(columns, rows)


def optimism_section(records: list[RunRecord], suite: str, methods: tuple[str, ...], tasks: tuple[str, ...]) -> str:
    """Return how much better the protocol of track ``paper`` makes the methods look that have been run in both tracks."""
    released = {record.method.name for record in records if record.suite == suite and record.preset == "cpu" and record.track == "paper"}
    comparison = compare(records, [method for method in methods if method in released], suite, preset="cpu", suite_tasks=tasks)
    return markdown([part for part in parts(comparison) if isinstance(part, Table) and part.columns[-1] == "optimism gap"])


def _costs(records: list[RunRecord], methods: list[str]) -> str:
    rows = []
    for method in methods:
        runs = [record for record in records if record.method.name == method and record.status == "ok"]
        seconds: dict[int, float] = defaultdict(float)
        for record in runs:
            seconds[record.seed] += sum(record.seconds.values())
        revisions = sorted({(record.environment.revision or "not recorded")[:12] for record in runs})
        rows.append((method, str(len(seconds)), _minutes(seconds.values()), _peak(runs), ", ".join(revisions)))
    return markdown_table(("method", "seeds", "minutes per seed", "peak MB", "commit"), rows)


def _minutes(seconds: Iterable[float]) -> str:
    minutes = [value / 60 for value in seconds]
    return f"{min(minutes):.1f} to {max(minutes):.1f}"


def _peak(runs: list[RunRecord]) -> str:
    return f"{max(run.peak_memory_mb or 0 for run in runs):.0f}"


def _intervals(comparison: Comparison) -> str:
    rows = []
    for row in comparison.tasks:
        cells = [row.cells[method].interval for method in comparison.methods]
        rows.append((row.task, *("-" if cell is None else f"{cell[0]:.4f} to {cell[1]:.4f}" for cell in cells)))
    return markdown_table(("task", *comparison.methods), rows)


def benefit_section(records: list[RunRecord]) -> str:
    """Return pretrained against from scratch: means over seeds, difference and its standard error (Welch: variances add)."""
    groups: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    floors, metrics = {}, {}
    for record in records:
        if record.status == "ok" and record.task.sizes["train"] <= 200:
            name = "xavier" if record.method.params.get("init") == "xavier" else record.method.name
            groups[record.task.name, name][record.seed] = record.primary.value
            floors[record.task.name], metrics[record.task.name] = record.floor, record.primary.name
    rows = []
    for task in BENEFIT_TASKS:
        cells = {name: list(groups[task, name].values()) for name in ("full_finetune", "from_scratch", "xavier")}
        if not cells["full_finetune"] or not cells["from_scratch"]:
            continue
        row = [task, metrics[task], f"{floors[task]:.3f}", *(_cell(values) for values in cells.values())]
        rows.append((*row, *(_gain(cells["full_finetune"], cells[name]) for name in ("from_scratch", "xavier"))))
    columns = (
        "task",
        "metric (lower is better)",
        "floor",
        "pretrained",
        "from scratch",
        "from scratch, Xavier",
        "gain / SE",
        "gain / SE over Xavier",
    )
    return markdown_table(columns, rows)


def transfer_section(records: list[RunRecord], tasks: tuple[str, ...]) -> str:
    """Return what pretraining gains on each task of nas360: fine-tuning against the same network from scratch, in both kinds of standard errors."""
    scores: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    records, _ = _of_suite(records, "nas360")
    known = {record.task.name: record for record in records}
    for record in records:
        if record.status == "ok":
            scores[record.task.name, record.method.name][record.seed] = record.primary.value
    rows, clear = [], {"pairs": 0, "unpaired": 0}
    for task in tasks:
        pretrained, scratch = (scores[task, method] for method in ("full_finetune", "from_scratch"))
        values = list(pretrained.values()), list(scratch.values())
        pairs = seed_difference(scratch, pretrained)
        errors = {"pairs": pairs.error or 0.0, "unpaired": _unpaired_error(*values)}
        for kind, error in errors.items():
            clear[kind] += pairs.value > 4 * error
        cells = (*map(_cell, values), *(_ratio(pairs.value, error) for error in errors.values()))
        rows.append((task, known[task].primary.name, f"{known[task].floor:.3f}", *cells))
    columns = ("task", "metric (lower is better)", "floor", "pretrained", "from scratch", "gain / SE, pairs of seeds", "gain / SE, unpaired")
    total = f"of {len(tasks)} tasks"
    return (
        f"{markdown_table(columns, rows)}\n\n"
        f"More than four standard errors on {clear['pairs']} {total} in pairs of seeds, on {clear['unpaired']} unpaired."
    )


def official_section(records: list[RunRecord], suite: str) -> str:
    """Return the scores on published files with what training took, the differences to naive fine-tuning, and the printed numbers beside them."""
    official = Division(suite, "official", "clean", "cpu")
    own = label_records(record for record in records if division_of(record) == official)
    comparison = compare(
        [run for runs in own.values() for run in runs], list(own), suite, tier=official.tier, preset=official.preset, published=printed_numbers()
    )
    sections = [_official_task(row, own) for row in comparison.tasks]
    return "\n\n".join([*sections, markdown(list(printed_parts(comparison)))])


def _official_task(row: TaskRow, own: dict[str, list[RunRecord]]) -> str:
    """Return the methods of a task, the best first; settings that are none of the budget stand behind the name."""
    by_label = {label: [run for run in runs if run.task.name == row.task and run.status == "ok"] for label, runs in own.items()}
    base = next(label for label in row.cells if _without_budget(label) == CONTROLS[0])
    rows = []
    for label in sorted(row.cells, key=lambda label: row.ranks[label]):
        cell, runs = row.cells[label], by_label[label]
        difference = seed_difference_of(row.cells[base], cell) if label != base else None
        rows.append(
            (
                _without_budget(label),
                cell_text(cell),
                ends(cell.interval),
                "-" if difference is None else f"{difference.value:+.4f} ({ends(difference.interval)})",
                cell.budget or "nothing trained",
                _minutes(sum(run.seconds.values()) for run in runs),
                _peak(runs),
            )
        )
    sizes = next(iter(by_label.values()))[0].task.sizes
    columns = (row.task, f"{row.metric}, {row.direction_text}", "95% interval", f"ahead of {CONTROLS[0]}", "training", "minutes", "peak MB")
    examples = ", ".join(f"{sizes[split]:,} {name}" for split, name in (("train", "to train"), ("val", "to validate"), ("test", "to test")))
    return f"`{row.task}`: {examples}; floor {row.floor:.4f}.\n\n{markdown_table(columns, rows)}"


def _without_budget(label: str) -> str:
    return label_of(method_name(label), [setting for setting in settings_of(label) if field_of(setting) != "budget"])


def _cell(values: list[float]) -> str:
    return f"{mean(values):.3f} ± {sample_sd(values) or 0:.3f} (n = {len(values)})" if values else "-"


def _gain(pretrained: list[float], control: list[float]) -> str:
    if len(pretrained) < 2 or len(control) < 2:
        return "-"
    return _ratio(mean(control) - mean(pretrained), _unpaired_error(pretrained, control))


def _ratio(gain: float, error: float) -> str:
    return f"{gain:+.3f} / {error:.3f} = {gain / error:+.1f}" if error else f"{gain:+.3f}"


def _unpaired_error(pretrained: list[float], control: list[float]) -> float:
    found = welch(pretrained, control)
    return found[0] if found else 0.0


def with_sections(text: str, folders: dict[str, Path]) -> str:
    """Return the page ``text`` with the marked places filled for which there are records."""
    registry = Registry.from_environment()
    for name, folder in folders.items():
        section = _section(name, list(Store(folder).records()), registry)
        before, start, rest = text.partition(f"<!-- {name} -->")
        _, end, after = rest.partition(f"<!-- end {name} -->")
        if not start or not end:
            raise UsageError(f"'{PAGE}' has no place '<!-- {name} -->'", hint=f"sections: {', '.join(SECTIONS)}")
        text = f"{before}{start}\n\n{section}\n\n{end}{after}"
    return text


def _section(name: str, records: list[RunRecord], registry: Registry) -> str:
    if name == "official":
        return official_section(records, "nas360")
    # All other sections are of embedded data.
    records = [record for record in records if record.task.tier != "official"]
    if name == "benefit":
        return benefit_section(records)
    if name == "controls":
        return controls_section(records, registry)
    if name == "transfer":
        return transfer_section(records, registry.spec("suite", "nas360").tasks)
    suite = {"suite": "nas360", "optimism": "nas360"}.get(name, name)
    write = optimism_section if name == "optimism" else suite_section
    return write(records, suite, registry.names("method"), registry.spec("suite", suite).tasks)


if __name__ == "__main__":
    try:
        asked = {name: Path(folder) for name, _, folder in (argument.partition("=") for argument in sys.argv[1:])}
        PAGE.write_text(with_sections(PAGE.read_text("utf-8"), asked), "utf-8")
    except PareBenchError as error:
        sys.exit(f"{error}\n{__doc__}")
