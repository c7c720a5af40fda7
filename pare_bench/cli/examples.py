"""Examples at the end of every ``--help``: commands that can be pasted; a test hands each to the parser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: Examples by the words of a verb; the empty one is ``pare-bench --help``.
EXAMPLES: Mapping[str, Sequence[str]] = {
    "": (
        "pare-bench run --method pare --suite nas360",
        "pare-bench compare pare orca",
        "pare-bench doctor",
    ),
    "run": (
        "pare-bench run -m pare -t ecg --seeds 0-4",
        "pare-bench run -m pare,orca -t 'n*' --jobs 2 --dry-run",
        "pare-bench run -m pare -t ecg -o recipe.learning_rate=0.0005 --log epochs.log",
        "pare-bench run --config sweep.toml --seeds 5-9",
    ),
    "compare": (
        "pare-bench compare pare orca",
        "pare-bench compare pare orca full_finetune --stats all --format md",
        "pare-bench compare pare orca -t ecg,satellite --fail-if 'worse(p=0.05, effect=0.01)'",
    ),
    "power": ("pare-bench power pare orca --seeds 3,5,8",),
    "status": ("pare-bench status --suite nas360", "pare-bench status -m pare -t ecg --format json"),
    "explain": ("pare-bench explain 9f3c", "pare-bench explain 9f3c --format json"),
    "reproduce": ("pare-bench reproduce 9f3c", "pare-bench reproduce 9f3c --device cpu --format json"),
    "rescore": ("pare-bench rescore --suite nas360 --dry-run", "pare-bench rescore 9f3c"),
    "inspect": (
        "pare-bench inspect ecg",
        "pare-bench inspect burgers -o points=64 --split test --index 5 --count 3 --to three.svg",
        "pare-bench inspect 9f3c --index 7",
    ),
    "probe": ("pare-bench probe --task fsd50k --source textures", "pare-bench probe -t satellite -s docstrings --format json"),
    "config": ("pare-bench config show -m pare -t ecg --origin",),
    "config show": (
        "pare-bench config show -m pare -t ecg --origin",
        "pare-bench config show --config sweep.toml --origin --format json",
    ),
    "list": (
        "pare-bench list methods",
        "pare-bench list task --suite nas360 --modality sequence",
        "pare-bench list --plugin baselines --format json",
    ),
    "show": ("pare-bench show pare", "pare-bench show selector gate_gumbel", "pare-bench show preset paper --task ecg"),
    "plugins": ("pare-bench plugins", "pare-bench plugins --format json"),
    "plugins new": ("pare-bench plugins new largest_norm --kind selector", "pare-bench plugins new my_task --kind task --to ../my-task"),
    "check": ("pare-bench check", "pare-bench check pare selector:gate_gumbel"),
    "doctor": ("pare-bench doctor", "pare-bench doctor --format json"),
    "data": ("pare-bench data status", "pare-bench data fetch ecg"),
    "data status": ("pare-bench data status", "pare-bench data status ecg --format json"),
    "data fetch": ("pare-bench data fetch ecg", "pare-bench data fetch --suite nas360 --dry-run", "pare-bench data fetch ecg --format json"),
    "data verify": ("pare-bench data verify", "pare-bench data verify ecg --accept"),
    "data export": ("pare-bench data export files.tar --task ecg",),
    "data import": ("pare-bench data import files.tar",),
    "data generate": ("pare-bench data generate ecg satellite", "pare-bench data generate --suite nas360 --preset smoke"),
    "data build-source": ("pare-bench data build-source --task docstrings", "pare-bench data build-source -b hf_text -o model=roberta-base"),
    "backbones": ("pare-bench backbones list", "pare-bench backbones fetch minilm"),
    "backbones list": ("pare-bench backbones list", "pare-bench backbones list --format json"),
    "backbones fetch": ("pare-bench backbones fetch minilm", "pare-bench backbones fetch minilm --from index"),
    "leaderboard": ("pare-bench leaderboard show", "pare-bench leaderboard validate"),
    "leaderboard validate": ("pare-bench leaderboard validate", "pare-bench leaderboard validate leaderboard/records --format github"),
    "leaderboard schema": ("pare-bench leaderboard schema",),
    "leaderboard build": ("pare-bench leaderboard build", "pare-bench leaderboard build --check --scores none"),
    "leaderboard show": ("pare-bench leaderboard show --suite nas360", "pare-bench leaderboard show --format csv"),
    "leaderboard site": ("pare-bench leaderboard site", "pare-bench leaderboard site --to page.html --no-pictures"),
    "leaderboard export": ("pare-bench leaderboard export csv --to -", "pare-bench leaderboard export hf --dataset me/{suite}"),
    "leaderboard bundle": ("pare-bench leaderboard bundle submission.zip --predictions",),
    "leaderboard verify": ("pare-bench leaderboard verify submission.zip", "pare-bench leaderboard verify submission.zip --rerun 2 --format json"),
    "leaderboard add": ("pare-bench leaderboard add submission.zip",),
}


def shown_examples(verb: str) -> str | None:
    """Return the last paragraph of a verb's help, one line for each example; None where there are none."""
    lines = EXAMPLES.get(verb)
    # The mark keeps the lines as they are, instead of filling them.
    return None if lines is None else "\b\n" + "\n".join(["Examples:", *(f"  {line}" for line in lines)])
