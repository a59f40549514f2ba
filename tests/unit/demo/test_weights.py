"""The vocabulary and the weights file: the same twice, and whole or absent."""

import pytest

from tracekit.demo.extra import DemoExtraError, optional
from tracekit.demo.vocabulary import CONTROL, printable_bytes, train


def test_merges_take_the_most_frequent_pair_first():
    vocabulary = train("aaab aaab aaab xyxy", 256 + 3 + len(CONTROL))
    assert vocabulary.merges[0] == ("a", "a")
    assert vocabulary.tokens[256:259] == ("aa", *("".join(pair) for pair in vocabulary.merges[1:]))
    assert vocabulary.tokens[-3:] == CONTROL


def test_every_byte_has_its_own_printable_stand_in():
    assert len(set(printable_bytes())) == 256
    assert all(character.isprintable() and not character.isspace() for character in printable_bytes())


def test_a_missing_package_is_named_with_what_to_install():
    with pytest.raises(DemoExtraError, match=r"no_such_package.*pip install 'tracekit-replay\[demo\]'"):
        optional("no_such_package")


@pytest.mark.demo
def test_the_same_text_gives_the_same_bytes(weights, tmp_path):
    from tracekit.demo.training import ensured_weights

    again = ensured_weights(tmp_path / "again.gguf")
    assert again.read_bytes() == weights.read_bytes()
    assert 6e6 < again.stat().st_size < 9e6


@pytest.mark.demo
def test_a_failed_write_leaves_nothing_behind(weights, tmp_path, monkeypatch):
    from tracekit.demo import weights as writing

    def failing(*_):
        yield from ()
        raise OSError("disk full")

    monkeypatch.setattr(writing, "tensors", failing)
    with pytest.raises(OSError, match="disk full"):
        writing.write_weights(tmp_path / "demo.gguf", "text")
    assert list(tmp_path.iterdir()) == []
