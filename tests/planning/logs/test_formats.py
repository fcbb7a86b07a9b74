"""Every format is read amid other lines, and known counts come back from what engines write of them."""

import itertools
import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.errors import SimlabError
from simlab.planning.logs import piece, read_log, scan
from tests.planning.logs import writers
from tests.planning.logs.writers import NOISE, PREFIXES
from tests.strategies import examples


@pytest.fixture
def read(tmp_path):
    """The readings of a log with this text."""

    def of(text: str | bytes):
        path = tmp_path / "engine.log"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_log(path)

    return of


@st.composite
def counted(draw, most=1000):
    """Calls, accepted by position, drafted with every draft full."""
    calls = draw(st.integers(1, most))
    accepted = draw(st.lists(st.integers(0, calls), min_size=1, max_size=7))
    return calls, sorted(accepted, reverse=True), calls * len(accepted)


def amid_others(lines: list[str], seed: int) -> str:
    """Lines with prefixes and colours, others between them, and a torn one last."""
    mixed = []
    for at, line in enumerate(lines, start=seed):
        mixed += [NOISE[at % len(NOISE)], PREFIXES[at % len(PREFIXES)] + line, NOISE[(at + 2) % len(NOISE)]]
    torn = lines[-1][: len(lines[-1]) // 2]
    return "\n".join([*mixed, torn])


def same(reading, records) -> None:
    assert reading.calls == sum(calls for calls, _, _ in records)
    assert reading.drafted == sum(drafted for *_, drafted in records)
    exact = np.sum([accepted for _, accepted, _ in records], axis=0)
    assert reading.accepted == exact.sum()
    assert (reading.low <= exact).all() and (exact <= reading.high).all()
    if max(calls for calls, _, _ in records) < 1000:
        assert reading.by_position.tolist() == exact.tolist()


@pytest.mark.parametrize("name", writers.ADDED)
@given(st.lists(counted(), min_size=1, max_size=5), st.integers(0, 9))
def test_known_counts_come_back_from_the_lines_of_an_engine(name, records, seed):
    positions = len(records[0][1])
    records = [record for record in records if len(record[1]) == positions]
    text = amid_others([writers.ADDED[name](*record) for record in records], seed)
    (reading,) = read_bytes(text)
    same(reading, records)
    assert all("holds" in line for line in reading.identities), reading.identities


def read_bytes(text: str, cuts=()):
    """The readings of a text that comes in these chunks; no file."""
    data = text.encode()
    ends = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    parts = [data[a:b] for a, b in itertools.pairwise(ends) if a < b]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "chunks", lambda name: iter(parts))
        return read_log("text")


@given(
    st.lists(counted(50_000), min_size=2, max_size=6),
    st.integers(0, 9),
    st.lists(st.integers(0), max_size=20),
)
def test_the_pieces_that_a_log_is_read_in_change_nothing(records, seed, cuts):
    """Colours, lines and objects are cut anywhere, and pieces overlap by less than they do."""
    lines = [write(*record) for record in records for write in writers.ADDED.values()]
    text = amid_others(lines, seed)
    with pytest.MonkeyPatch.context() as patch:
        for module in (scan, piece):
            patch.setattr(module, "MARGIN", 1500)
        in_pieces = read_bytes(text, cuts)
    for one, other in zip(in_pieces, read_bytes(text), strict=True):
        assert json.dumps(one.document()) == json.dumps(other.document())


@given(st.lists(counted(), min_size=1, max_size=4))
def test_cumulative_statistics_count_once_and_go_on_after_a_restart(records):
    """Each line of a process has all before it; a counter that falls is another process."""
    positions = len(records[0][1])
    records = [record for record in records if len(record[1]) == positions]
    lines = []
    for calls, accepted, drafted in records:
        lines += [writers.statistics(calls, accepted, drafted), writers.slot(calls, accepted, drafted)]
        lines.append(writers.statistics(calls, accepted, drafted))
    falling = sorted(records, key=lambda record: -record[0])
    lines = [writers.statistics(*record) for record in falling for _ in range(2)]
    (reading,) = read_bytes(amid_others(lines, 0))
    kept = [
        record
        for at, record in enumerate(falling)
        if at == len(falling) - 1 or falling[at + 1][0] < record[0]
    ]
    same(reading, kept)


@given(st.lists(counted(10**6), min_size=1, max_size=3), counted(10**6))
def test_series_of_engines_are_added_and_times_of_creation_are_not(records, restarted):
    positions = len(records[0][1])
    records = [record for record in records if len(record[1]) == positions]
    text = "\n".join(writers.prometheus(*record, engine=at) for at, record in enumerate(records))
    text += "\n"
    (reading,) = read_bytes(text + "another line\n" + text)  # scraped twice, the counters as they were
    assert reading.calls == sum(calls for calls, _, _ in records)
    assert reading.by_position.tolist() == np.sum([accepted for _, accepted, _ in records], axis=0).tolist()
    assert reading.engine == "vLLM"


def test_a_counter_that_falls_was_reset():
    text = writers.prometheus(100, [80, 60], 200) + "\n" + writers.prometheus(50, [30, 10], 100) + "\n"
    (reading,) = read_bytes(text)
    assert (reading.calls, reading.drafted) == (150, 300) and reading.by_position.tolist() == [110, 70]


@pytest.mark.parametrize("era", ["old", "new"])
@given(
    st.integers(2, 9), st.lists(st.tuples(st.integers(0, 100), st.integers(1, 64)), min_size=4, max_size=30)
)
def test_both_eras_of_sglang_are_told_apart_by_what_fits(era, tokens, shares):
    """At full and at no acceptance both formulas can fit: lines between decide."""
    shares = [*shares, (37, 1), (61, 1), (53, 2)]
    lines, total, weight = [], Fraction(0), 0
    for share, running in shares:
        length = round(1 + share / 100 * (tokens - 1), 2)
        rate = length / tokens if era == "old" else (length - 1) / (tokens - 1)
        lines.append(writers.sglang(length, rate, running))
        total, weight = total + Fraction(str(length)) * running, weight + running
    (reading,) = read_bytes(amid_others(lines, 1))
    assert reading.length == pytest.approx(float(total / weight), abs=1e-9)
    if reading.window is not None:
        assert reading.window == tokens - 1 and era in (
            "old" if "to spring" in reading.identities[0] else "new"
        )
    else:
        assert "so does" in reading.identities[0]


def test_the_lines_of_the_field(read):
    """Real lines, with the numbers that their engines printed."""
    (v1,) = read(
        "INFO 11-27 10:00:00 [metrics.py:100] SpecDecoding metrics: Mean acceptance length: 2.61, Accepted "
        "throughput: 766.65 tokens/s, Drafted throughput: 1432.10 tokens/s, Accepted: 7667 tokens, Drafted: "
        "14322 "
        "tokens, Per-position acceptance rate: 0.906, 0.497, 0.203, Avg Draft acceptance rate: 53.5%\n"
    )
    assert (v1.calls, v1.drafted, v1.accepted, v1.window) == (4774, 14322, 7667, 3)
    assert v1.by_position.sum() == 7667 and (v1.high - v1.low).tolist() == [4, 4, 4]
    (v0,) = read(
        "INFO 10-16 19:05:47 metrics.py:367] Speculative metrics: Draft acceptance rate: 0.642, System "
        "efficiency: "
        "0.598, Number of speculative tokens: 3, Number of accepted tokens: 8547, Number of draft tokens: "
        "13311, "
        "Number of emitted tokens: 10616.\n"
    )
    assert v0.calls == 4437 and v0.length == pytest.approx(10616 / 4437) and v0.window == 3
    (sglang,) = read(writers.sglang(2.17, 0.54) + "\n")
    assert (sglang.length, sglang.window) == (2.17, 3)
    (request,) = read('{"acceptance_histogram":[39,1,0,3],"num_spec_steps":43,"num_draft_tokens":129}')
    assert (request.calls, request.drafted, request.accepted) == (43, 129, 10)
    assert request.by_position.tolist() == [4, 3, 3]
    (slot,) = read(
        "slot print_timing: id  1 | task 0 | draft acceptance = 0.64479 (  167 accepted /   259 generated), "
        "mean "
        "acceptance length =  2.92, acceptance rate per position = (0.805, 0.632, 0.483)"
    )
    assert (slot.calls, slot.drafted) == (87, 259) and slot.by_position.tolist() == [70, 55, 42]
    assert "D = N k fails: 259 drafted, N k = 261" in slot.identities[-1]
    (heads,) = read("accepted_tokens: 162, rejected_tokens: 154, accepted_tokens_per_head: [79, 51, 23, 9]")
    assert (heads.calls, heads.drafted) == (79, 237) and heads.by_position.tolist() == [51, 23, 9]
    (oldest,) = read(
        "n_draft   = 16\nn_predict = 300\nn_drafted = 400\nn_accept  = 200\naccept    = 50.000%\n"
    )
    assert (oldest.calls, oldest.window, oldest.length) == (100, 16, 3.0)


def test_statistics_have_measured_costs(read):
    (reading,) = read(
        "prompt eval time =     300.11 ms /    20 tokens (   15.01 ms per token,    66.64 tokens per "
        "second)\n"
        "       eval time =    2296.72 ms /   256 tokens (    8.97 ms per token,   111.46 tokens per "
        "second)\n"
        + writers.statistics(87, [70, 55, 42], 259, "draft-eagle3", ", dur(b,g,a) = 0.005, 325.555, 0.114 ms")
        + "\n"
    )
    assert reading.engine == "llama.cpp (draft-eagle3)" and reading.calls == 87
    assert reading.costs["draft"] == pytest.approx(1.257, abs=5e-4)
    assert reading.costs["target"] == pytest.approx(22.66, abs=5e-3)


def test_statistics_of_older_eras(read):
    (one,) = read(
        "statistics ngram_simple: #calls = 15, #gen drafts = 5, #acc drafts = 5, #gen tokens = 187, #acc "
        "tokens = 73\n"
    )
    assert (one.calls, one.drafted, one.accepted) == (5, 187, 73) and one.length == pytest.approx(1 + 73 / 5)
    (two,) = read("draft acceptance rate = 0.57576 (  171 accepted /   297 generated)\n")
    assert (two.calls, two.drafted, two.accepted, two.window) == (None, 297, 171, None)


def test_positions_that_are_not_listed_are_said_to_be_missing(read):
    """A real line: 18 tokens a call, rates of the first two positions alone."""
    (reading,) = read(
        "statistics        ngram-mod: #calls(b,g,a) =    4    542     31, #gen drafts =     31, #acc drafts "
        "=    28, "
        "#gen tokens =    920, #acc tokens =   527, #mean acc len = 18.00, #acc rate/pos = (0.903, 0.806), "
        "dur(b,g,a) = 0.688, 0.851, 0.021 ms\n"
    )
    assert reading.calls == 31 and reading.by_position.tolist() == [28, 25]
    assert "A = sum of A_i fails" in reading.identities[0] and "not listed" in reading.identities[0]


def test_two_engines_interleaved_are_two_readings(read):
    text = "\n".join(
        [writers.vllm(10, [8, 6], 20), writers.sglang(2.4, 0.48), writers.vllm(20, [10, 5], 40), ""]
    )
    one, two = read(text)
    assert one.engine == "vLLM" and one.by_position.tolist() == [18, 11] and two.engine == "SGLang"


def test_pretty_printed_json_and_what_python_prints(read):
    document = {
        "out": [{"meta": {"x": {"y": 1}, "acceptance_histogram": [5, 2, 1], "num_draft_tokens": 16}}] * 3
    }
    (reading,) = read(json.dumps(document, indent=2))
    assert reading.lines == 3 and reading.calls == 24 and reading.drafted == 48
    (printed,) = read(repr(document))
    assert printed.calls == 24


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "nothing of interest\n",
            "no statistic of speculative decoding found. Looked for JSON with acceptance_hist",
        ),
        ("", "no statistic of speculative decoding found"),
        (
            writers.vllm(10, [8, 6], 20).replace("Accepted: 14", "Accepted: 41"),
            "accepted = 41 of drafted = 20",
        ),
        (
            writers.vllm(10, [8, 6], 20).replace("0.800, 0.600", "0.600, 0.800"),
            "fall from position to position",
        ),
        (writers.prometheus(10, [8, 9], 20) + "\n", "[10, 8, 9] rises"),
        (writers.prometheus(10, [8, 6], 12) + "\n", "accepted = 14 of drafted = 12"),
        (writers.fastdeploy(10, [8, 9], 20), "[10, 8, 9] rises"),
        (writers.request(10, [8, 6], 12), "accepted = 14 of drafted = 12"),
        (writers.slot(10, [8, 6], 12) + "\n", "accepted = 14 of drafted = 12"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "is not a text"),
    ],
    ids=lambda value: "",
)
def test_logs_that_cannot_be_read_are_one_line(read, text, told):
    with pytest.raises(SimlabError) as caught:
        read(text)
    assert told in str(caught.value) and "engine.log" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "write", [writers.vllm, writers.slot, writers.statistics, writers.request, writers.fastdeploy]
)
@given(st.data())
def test_a_line_that_is_torn_anywhere_spoils_nothing(write, data):
    """The statistics before it are as if it were not there, or it is whole but for what is not needed."""
    line = write(87, [70, 55, 42], 261)
    if write is writers.statistics:
        line += ", dur(b,g,a) = 0.005, 325.555, 0.114 ms"
    torn = write(174, [140, 110, 84], 522) + ", dur(b,g,a) = 0.005, 651.11, 0.228 ms" * (
        write is writers.statistics
    )
    cut = data.draw(st.integers(0, len(torn)))
    (reading,) = read_bytes(line + "\n" + torn[:cut])
    known = {87: [70, 55, 42], 174: [140, 110, 84], 261: [210, 165, 126]}
    assert reading.by_position.tolist() == known[reading.calls]


ALIKE = {
    "keys behind": '{{"m":{{"acceptance_histogram":{0},"num_spec_steps":{1},"num_draft_tokens":{2}}}}}',
    "keys before, behind braces": '{{"a":{{"b":1}},"num_spec_steps":{1},"x":"{3} y","num_draft_tokens":{2},'
    '"spec_x": [{3}],"acceptance_histogram":{0}}}',
    "keys on both sides": '{{"num_spec_steps":{1},"acceptance_histogram":{0},"n":-1.5e3,'
    '"num_draft_tokens":{2}}}',
    "no keys": "INFO {3} {{'acceptance_histogram': {0}}}",
}
OTHERS = (
    '{{"num_spec_steps":{1},"num_spec_tokens":3,"num_draft_tokens":{2},"acceptance_histogram":{0}}}',
    '{{"m":{{"acceptance_histogram":{0},"x":{{"y":1}},"num_spec_steps":{1},"num_draft_tokens":{2}}}}}',
    '{{"acceptance_histogram":{0},"acceptance_histogram":{0},"num_spec_steps":{1},"num_draft_tokens":{2}}}',
    "{{'num_draft_tokens': {2}, 'acceptance_histogram': {0}}}",
)


@pytest.mark.parametrize("written", ALIKE)
@examples(30)
@given(
    st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=1, max_size=60),
    st.dictionaries(st.integers(0, 59), st.sampled_from(OTHERS), max_size=3),
    st.lists(st.integers(0), max_size=20),
)
def test_requests_that_are_written_alike_and_others_among_them_are_all_counted(
    written, histograms, others, cuts
):
    """Wherever the text is cut: those alike are read by one pattern, a whole piece at once."""
    lines, used = [], [row for row in histograms if sum(row)]
    for at, row in enumerate(histograms):
        shown = json.dumps(row, separators=(",", ":"))
        lines.append(others.get(at, ALIKE[written]).format(shown, sum(row), 3 * sum(row), at) + "\n")
    text = "".join(lines)
    with pytest.MonkeyPatch.context() as patch:
        for module in (scan, piece):
            patch.setattr(module, "MARGIN", 200)
        if not used:
            with pytest.raises(SimlabError):
                read_bytes(text, cuts)
            return
        (reading,) = read_bytes(text, cuts)
    totals = [sum(column) for column in zip(*used, strict=True)]
    assert reading.lines == len(used) and reading.calls == sum(totals)
    assert reading.by_position.tolist() == [sum(totals[i:]) for i in (1, 2, 3)]
    if written != "no keys":
        assert reading.drafted == 3 * sum(totals)
    assert not reading.notes


def test_a_mean_length_without_rates_gives_the_calls(read):
    """Newer lines of llama-server may print it alone; N is next to A / (length - 1)."""
    line = (
        "slot print_timing: draft acceptance = 0.64479 (  167 accepted /   259 generated), mean len =  2.92\n"
    )
    (reading,) = read(line + line)
    assert (reading.calls, reading.window, reading.length) == (174, 3, 1 + 334 / 174)
    (unknown,) = read(line + line.replace("167", "0").replace("2.92", "1.00"))
    assert unknown.calls is None and unknown.drafted == 518


def test_fastdeploys_lines_in_another_order_are_read_as_in_its_own(read):
    usual = (
        "req_id: {0}, accepted_tokens: 162, rejected_tokens: 75, accept_ratio: 0.51, "
        "accepted_tokens_per_head: [79, 51, 23, 9]\n"
    )
    other = (
        '{{"rejected_tokens": 75, "accepted_tokens": 162, "accepted_tokens_per_head": [79, 51, 23, 9,]}}\n'
    )
    text = "".join(usual.format(at) for at in range(5))
    for lines in (text + usual.format(5), text + other.format()):
        (reading,) = read(lines)
        assert (reading.lines, reading.calls, reading.drafted) == (6, 6 * 79, 6 * 158)
        assert reading.by_position.tolist() == [6 * 51, 6 * 23, 6 * 9] and not reading.notes
