"""JSON Schema (draft 2020-12) of records, generated from their model; ``leaderboard/schema/`` has one file per number."""

from __future__ import annotations

import json
from typing import Any

from pare_bench.records.migrations import NEWEST
from pare_bench.records.record import RunRecord

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def record_schema() -> dict[str, Any]:
    """Return the schema of the records that this version writes."""
    return {"$schema": DIALECT, "$id": f"urn:pare-bench:record:{NEWEST}", **RunRecord.model_json_schema(by_alias=True)}


def as_text(schema: dict[str, Any]) -> str:
    """Return a schema as its file has it: sorted keys, two-space indent, one final newline."""
    return json.dumps(schema, sort_keys=True, indent=2, allow_nan=False) + "\n"
