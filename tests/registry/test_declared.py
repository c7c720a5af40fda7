"""What a class says of itself, as registering from Python takes it and as a spec is held against it: one rule."""

from __future__ import annotations

import pytest

from pare_bench.contracts.task import Classes, Field, InputShape, PairMap
from pare_bench.registry.declared import contradictions, declared
from pare_bench.registry.specs import TaskSpec


class OwnField(Field):
    """A target that derives from one with a value for each place."""


class Grid:
    inputs = InputShape(1, (4, 4))
    target = Classes(2)


@pytest.mark.parametrize(("target", "dense"), [(Classes(2), False), (Field((4, 4)), True), (PairMap(4, 0, 16.0), True), (OwnField((4, 4)), True)])
def test_what_is_registered_from_the_class_contradicts_nothing(target, dense):
    task = type("Task", (Grid,), {"target": target})
    assert declared(task) == {"modality": "image", "dense": dense}
    assert list(contradictions(task, TaskSpec(name="own", summary="A task.", target="own:Task", **declared(task)))) == []
    other = TaskSpec(name="own", summary="A task.", target="own:Task", modality="sequence", dense=not dense)
    assert list(contradictions(task, other)) == [
        "a grid of (4, 4) is not of modality 'sequence'",
        f"dense is {not dense} in its spec, its target is {type(target).__name__}",
    ]


def test_a_class_that_says_nothing_leaves_the_modality_to_whoever_registers_it():
    assert declared(object) == {"dense": False}
