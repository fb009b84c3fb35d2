from __future__ import annotations

import pytest

from pipeline.beam.options import separate_beam_options
from pipeline.errors import SetupError


@pytest.mark.parametrize(
    ("words", "logs", "options"),
    [
        ("a.log b.log", "a.log b.log", ""),
        ("a.log --runner=FlinkRunner", "a.log", "--runner=FlinkRunner"),
        ("--runner FlinkRunner a.log", "a.log", "--runner FlinkRunner"),
        ("a.log --direct_num_workers 2 b.log", "a.log b.log", "--direct_num_workers 2"),
        ("--streaming a.log", "a.log", "--streaming"),
        ("a.log --experiments=x --experiments y", "a.log", "--experiments=x --experiments y"),
        ("2 --direct_num_workers 2 2", "2 2", "--direct_num_workers 2"),
        ("--job_name a --streaming a", "a", "--job_name a --streaming"),
        ("a --job_name a --streaming a", "a a", "--job_name a --streaming"),
        ("--job_name a --no_auth a a", "a a", "--job_name a --no_auth"),
        ("a.log --labels k=v --labels k=w", "a.log", "--labels k=v --labels k=w"),
        ("a.log --job_name=", "a.log", "--job_name="),
        ("", "", ""),
    ],
)
def test_beams_options_are_taken_with_their_values(words: str, logs: str, options: str) -> None:
    assert separate_beam_options(words.split()) == (logs.split(), options.split())


def test_words_may_hold_blanks() -> None:
    words = ["--job_name", "a job", "a log.gz"]
    assert separate_beam_options(words) == (["a log.gz"], ["--job_name", "a job"])


@pytest.mark.parametrize("word", ["--workerz=2", "--formt", "-x", "--runne=Flink", "-"])
def test_an_option_that_nobody_knows_is_refused(word: str) -> None:
    with pytest.raises(SetupError, match="There is no option") as raised:
        separate_beam_options(["a.log", word])
    assert word.partition("=")[0] in str(raised.value)


@pytest.mark.parametrize(
    "words",
    ["a.log --direct_num_workers=two", "a.log --direct_running_mode nope", "a.log --job_name"],
)
def test_a_wrong_value_is_refused_in_one_sentence(words: str) -> None:
    with pytest.raises(SetupError, match="A Beam option is wrong: argument --") as raised:
        separate_beam_options(words.split())
    assert "\n" not in str(raised.value)
