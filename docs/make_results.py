"""Write docs/results.md from records: ``python docs/make_results.py SUITE_RESULTS BENEFIT_RESULTS``.

SUITE_RESULTS holds the records of the whole suite, BENEFIT_RESULTS those at 200 training examples; the page says how both are made.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from pathlib import Path

from pare_bench.cli.output import markdown_table
from pare_bench.comparison import compare
from pare_bench.errors import PareBenchError
from pare_bench.records import RunRecord
from pare_bench.registry import Registry
from pare_bench.statistics import mean, sample_sd
from pare_bench.store import Store
from pare_bench.tables import as_markdown

PAGE = Path(__file__).parent / "results.md"
BENEFIT_TASKS = ("cifar100", "spherical", "ninapro", "fsd50k", "darcy_flow", "ecg", "satellite", "deepsea")


def suite_section(records: list[RunRecord], methods: tuple[str, ...], tasks: tuple[str, ...]) -> str:
    """Return the comparison of the methods that have records, as the command line prints it, and what each run cost."""
    present = [method for method in methods if any(record.method.name == method and record.status == "ok" for record in records)]
    parts = []
    if len(present) > 1:
        covered = [
            task for task in tasks if all(any(r.method.name == m and r.task.name == task and r.status == "ok" for r in records) for m in present)
        ]
        parts.append(as_markdown(compare(records, present, "nas360", tasks=covered, suite_tasks=tasks)))
    rows = []
    for task in tasks:
        for record in sorted((r for r in records if r.task.name == task and r.status == "ok"), key=lambda r: (methods.index(r.method.name), r.seed)):
            seconds = sum(record.seconds.values())
            rows.append(
                (
                    task,
                    record.method.name,
                    str(record.seed),
                    f"{record.primary.value:.4f}",
                    f"{record.floor:.4f}",
                    f"{seconds:.0f}",
                    f"{record.peak_memory_mb:.0f}",
                    f"{record.training['train'].best_epoch}/{len(record.training['train'].curve)}" if "train" in record.training else "-",
                )
            )
    parts.append(markdown_table(("task", "method", "seed", "score", "floor", "seconds", "peak MB", "best epoch"), rows))
    return "\n\n".join(parts)


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


def _cell(values: list[float]) -> str:
    return f"{mean(values):.3f} ± {sample_sd(values) or 0:.3f} (n = {len(values)})" if values else "-"


def _gain(pretrained: list[float], control: list[float]) -> str:
    if len(pretrained) < 2 or len(control) < 2:
        return "-"
    gain = mean(control) - mean(pretrained)
    error = math.sqrt(sum((sample_sd(values) or 0) ** 2 / len(values) for values in (pretrained, control)))
    return f"{gain:+.3f} / {error:.3f} = {gain / error:+.1f}" if error else f"{gain:+.3f}"


def main(suite: str, benefit: str) -> None:
    """Fill the page's two marked places."""
    registry = Registry.from_environment()
    methods, tasks = registry.names("method"), registry.spec("suite", "nas360").tasks
    sections = {
        "suite": suite_section(list(Store(Path(suite)).records()), methods, tasks),
        "benefit": benefit_section(list(Store(Path(benefit)).records())),
    }
    text = PAGE.read_text("utf-8")
    for name, section in sections.items():
        before, _, rest = text.partition(f"<!-- {name} -->")
        _, _, after = rest.partition(f"<!-- end {name} -->")
        text = f"{before}<!-- {name} -->\n\n{section}\n\n<!-- end {name} -->{after}"
    PAGE.write_text(text, "utf-8")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (PareBenchError, TypeError) as error:
        sys.exit(f"{error}\n{__doc__}")
