"""``-o path=value`` reaches every field, and a configuration survives being written and read."""

import json

import hypothesis.strategies as st
import pytest
from factories import run_identity
from hypothesis import given, settings

from pare_bench.config.resolution import Request, resolve
from pare_bench.config.run_config import SLOTS, Budget, Recipe, RunConfig, Size, apply_override, parse_overrides, validated
from pare_bench.errors import UsageError
from pare_bench.registry.names import Registry

EXAMPLES = settings(max_examples=60, deadline=None)
REGISTRY = Registry.from_environment()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
WORD = st.text("abcdefgh_", min_size=1, max_size=6)
FIELDS = {
    "recipe.learning_rate": st.floats(1e-8, 10),
    "recipe.weight_decay": st.floats(0, 1),
    "recipe.batch_size": st.integers(1, 4096),
    "recipe.optimiser": st.sampled_from(["adamw", "adam", "sgd"]),
    "recipe.clip_norm": st.none() | st.floats(1e-3, 100),
    "recipe.schedule": st.sampled_from(["cosine", "linear", "constant"]),
    "budget.epochs": st.integers(1, 1000),
    "budget.epoch_steps": st.none() | st.integers(1, 10**6),
    "budget.max_steps": st.none() | st.integers(1, 10**6),
    "budget.patience": st.none() | st.integers(1, 100),
    "size.train": st.integers(2, 10**6),
    "data_seed": st.integers(0, 2**31),
    "precision": st.sampled_from(["float32", "bfloat16", "float16"]),
}


def nested_values():
    return {
        "suite": "nas360",
        "preset": "cpu",
        "task": {"name": "ecg", "params": {}},
        "method": {"name": "pare", "params": {}},
        "selector": {"name": "gate_topk", "params": {"temperature": 0.5}},
        "size": {"train": 600, "val": 200, "test": 400},
    }


def as_option(path, value):
    return f"{path}={value if isinstance(value, str) else json.dumps(value)}"


def read(config, path):
    for part in path.split("."):
        config = getattr(config, part)
    return config


@EXAMPLES
@given(st.lists(WORD, min_size=1, max_size=3), JSON)
def test_any_json_value_comes_through(path, value):
    assert parse_overrides([f"{'.'.join(path)}={json.dumps(value)}"]) == [(tuple(path), value)]


@EXAMPLES
@given(st.text(max_size=20).filter(lambda text: "=" not in text))
def test_an_option_without_a_value(text):
    with pytest.raises(UsageError, match="path=value"):
        parse_overrides([text])


def test_text_that_is_no_json_is_text_and_later_equals_signs_belong_to_it():
    assert parse_overrides(["selector=random", "a.b=x=y", "c="]) == [(("selector",), "random"), (("a", "b"), "x=y"), (("c",), "")]


@EXAMPLES
@given(
    st.dictionaries(st.sampled_from(sorted(FIELDS)), st.none(), min_size=1).flatmap(
        lambda keys: st.fixed_dictionaries({key: FIELDS[key] for key in keys})
    )
)
def test_options_reach_their_fields_and_nothing_else(chosen):
    values = nested_values()
    for path, value in parse_overrides(as_option(*item) for item in chosen.items()):
        apply_override(values, path, value, ("selector",))
    config, plain = validated(values), validated(nested_values())
    for path in FIELDS:
        assert read(config, path) == (chosen[path] if path in chosen else read(plain, path))


@EXAMPLES
@given(st.fixed_dictionaries(FIELDS))
def test_a_configuration_survives_writing_and_reading(chosen):
    values = nested_values()
    for path, value in chosen.items():
        apply_override(values, tuple(path.split(".")), value, ("selector",))
    config = validated(values)
    again = RunConfig.model_validate_json(config.model_dump_json())
    assert again == config
    assert again.canonical() == config.canonical()
    assert RunConfig.model_validate(json.loads(config.canonical())).canonical() == config.canonical()


@EXAMPLES
@given(st.fixed_dictionaries(FIELDS), st.sampled_from(sorted(FIELDS)))
def test_the_identity_changes_with_any_field_and_with_nothing_else(chosen, path):
    values, other = nested_values(), nested_values()
    for each, value in chosen.items():
        apply_override(values, tuple(each.split(".")), value, ("selector",))
    for each, value in reversed(chosen.items()):
        apply_override(other, tuple(each.split(".")), value, ("selector",))
    first = run_identity(validated(values), "code", "data")
    assert run_identity(validated(other), "code", "data") == first
    apply_override(
        other, tuple(path.split(".")), {"recipe.optimiser": "sgd", "recipe.schedule": "linear", "precision": "float16"}.get(path, 7), ("selector",)
    )
    changed = read(validated(other), path) != read(validated(values), path)
    assert (run_identity(validated(other), "code", "data") != first) == changed
    assert run_identity(validated(values), "code2", "data") != first
    assert run_identity(validated(values), "code", "data2") != first


@EXAMPLES
@given(WORD, st.integers())
def test_parameters_of_a_component_are_added_and_a_new_component_starts_clean(name, value):
    values = nested_values()
    apply_override(values, ("selector", name), value, ("selector",))
    assert values["selector"] == {"name": "gate_topk", "params": {"temperature": 0.5, name: value}} or name == "name"
    apply_override(values, ("selector",), "random", ("selector",))
    assert values["selector"] == {"name": "random", "params": {}}


def test_naming_the_same_component_keeps_its_parameters():
    values = nested_values()
    apply_override(values, ("selector",), "gate_topk", ("selector",))
    assert values["selector"]["params"] == {"temperature": 0.5}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("recipe.learning_rte", "did you mean 'recipe.learning_rate'"),
        ("recipe", "unknown path 'recipe'"),
        ("recipee.batch_size", "did you mean 'recipe.batch_size'"),
        ("seed.deep", "unknown path 'seed.deep'"),
        ("selector.params.a.b", "unknown path 'selector.params.a.b'"),
        ("aligner", "method 'pare' has no aligner"),
        ("selector.a.b", "unknown path 'selector.a.b'"),
    ],
)
def test_paths_that_do_not_exist(path, message):
    with pytest.raises(UsageError, match=message) as caught:
        apply_override(nested_values(), tuple(path.split(".")), 1, ("selector",))
    assert caught.value.hint


@pytest.mark.parametrize("field", ["suite", "preset", "task", "method", "tier", "track", "seed", "device", "task.name", "method.name"])
def test_what_has_an_option_of_its_own_is_set_with_it(field):
    """``-o method=orca`` would keep the slots of the other method, ``-o seed=3`` would make every seed the same run."""
    with pytest.raises(UsageError, match=f"unknown path '{field}': it has an option of its own") as caught:
        apply_override(nested_values(), tuple(field.split(".")), "x", ())
    assert caught.value.hint in (f"use --{field.partition('.')[0]} x", "use --seeds x")


@EXAMPLES
@given(st.sampled_from(["recipe.learning_rate", "recipe.batch_size", "budget.epochs", "size.train", "data_seed"]), st.sampled_from([-1, "many", [1]]))
def test_a_value_that_does_not_fit_names_its_path(path, value):
    values = nested_values()
    apply_override(values, tuple(path.split(".")), value, ())
    with pytest.raises(UsageError, match=f"'{path}' cannot be") as caught:
        validated(values)
    assert caught.value.hint == f"change it with -o {path}=VALUE"


def test_every_field_of_a_run_can_be_reached():
    """The properties above draw from FIELDS; every other number or word of a run must at least be settable."""
    for group, model in {"recipe": Recipe, "budget": Budget, "size": Size, "source_size": Size}.items():
        for name, field in model.model_fields.items():
            values = nested_values()
            apply_override(values, (group, name), field.default, tuple(SLOTS))
            assert values[group][name] == field.default


@pytest.mark.parametrize("method", REGISTRY.names("method"))
def test_resolution_is_a_function_of_the_request_and_its_result_can_be_resolved_again(method):
    request = Request(method=method, suite="nas360", tasks=("ecg",), overrides=("recipe.batch_size=8", "size.train=20"))
    (config,) = resolve(REGISTRY, request)
    assert resolve(REGISTRY, request) == [config]
    assert (config.recipe.batch_size, config.size.train) == (8, 20)
    assert set(config.slots()) == set(REGISTRY.spec("method", method).slots)
    explicit = tuple(as_option(f"{slot}.{name}", value) for slot, part in config.slots().items() for name, value in part.params.items())
    (again,) = resolve(REGISTRY, Request(method=method, suite="nas360", tasks=("ecg",), overrides=(*request.overrides, *explicit)))
    assert again.canonical() == config.canonical()
