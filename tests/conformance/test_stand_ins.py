"""The stand-ins with which components are checked conform themselves."""

import pytest
from problems import assert_found

from pare_bench.conformance import check_backbone, check_task
from pare_bench.conformance.doubles import DenseField, ImageBody, ImageClasses, SequenceLabels, TextBody


@pytest.mark.parametrize("task", [ImageClasses, DenseField, SequenceLabels])
def test_the_stand_in_tasks_conform_themselves(task):
    assert check_task(task) == []


def test_the_stand_in_bodies_conform_themselves():
    assert check_backbone(ImageBody, modality="image") == []
    assert check_backbone(TextBody, modality="sequence") == []


def test_a_tokenizer_has_a_name():
    class Numbered(TextBody):
        @classmethod
        def tokenizer(cls, params):
            return 7

    assert_found(check_backbone(Numbered, modality="sequence"), "tokenizer is 7")
