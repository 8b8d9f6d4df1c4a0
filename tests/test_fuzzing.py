"""Any bytes at all, to every reader: the right data, or one of the package's errors."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reliability import fuzz_layers, fuzz_target, fuzzing
from reliability.fuzz_layers import Tree

SECONDS = 20
SEED = 1  # recorded runs take others; a change is not to fail by chance


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for all inputs, and the package as the fuzzer has it."""
    with pytest.MonkeyPatch.context() as patch:
        fuzz_target.prepare(patch.setattr)
        yield tmp_path_factory.mktemp("fuzzed")


@pytest.mark.slow
@pytest.mark.skipif(fuzzing.missing() is not None, reason=str(fuzzing.missing()))
@pytest.mark.parametrize("reader", fuzzing.cases())
def test_readers_under_a_fuzzer(reader: str, tmp_path: Path) -> None:
    """Twenty seconds of a fuzzer that follows what its inputs reach find nothing."""
    trials = fuzzing.run(reader, 0, SEED, tmp_path, seconds=SECONDS)
    assert not trials.failures
    assert trials.outcomes["read"] and trials.tried > 20


@pytest.mark.slow
@pytest.mark.parametrize("reader", fuzzing.cases())
def test_readers_under_hypothesis(reader: str, scratch: Path) -> None:
    """Valid inputs with changes here and there, and bytes that are nothing, are read or refused."""
    attempts = fuzz_target.Attempts(reader, scratch / reader)
    seeds = fuzz_target.write_seeds(attempts, scratch / reader / "corpus")
    trees = [fuzz_layers.decoded(seed, "x") for seed in seeds]
    names = [name for tree in trees for name, _ in tree.files]

    @settings(max_examples=100, deadline=None, database=None, suppress_health_check=[*HealthCheck])
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        if data.draw(st.integers(0, 9)) == 0:
            name = data.draw(st.sampled_from(names))
            tree = Tree(name.rpartition("/")[2], ((name, data.draw(st.binary(max_size=200))),))
        else:
            tree = data.draw(st.sampled_from(trees))
            chance = random.Random(data.draw(st.integers(0, 1 << 32)))
            for _ in range(data.draw(st.integers(1, 3))):
                tree = fuzz_layers.mutated(tree, chance, lambda raw: edited(data, raw), names, [])
        assert attempts.attempt(tree.encoded()) in fuzz_target.ALLOWED

    try:
        check()
    finally:
        attempts.close()


def edited(data: st.DataObject, raw: bytes) -> bytes:
    """The bytes with some of them replaced, left out or put in."""
    start = data.draw(st.integers(0, len(raw)))
    length = data.draw(st.integers(0, 8))
    return raw[:start] + data.draw(st.binary(max_size=8)) + raw[start + length :]
