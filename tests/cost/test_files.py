"""Tables of the time of a forward from files: one's own, and what llama.cpp's benchmarks print."""

from __future__ import annotations

import json

import pytest

from simlab import SimlabError
from simlab.cost import read_times

BATCHED = """main: n_kv_max = 20480, n_batch = 2048, n_ubatch = 2048

|    PP |     TG |    B |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |      T s |    S t/s |
|-------|--------|------|--------|----------|----------|----------|----------|----------|----------|
|   128 |    128 |    1 |    256 |    0.108 |  1186.64 |    3.079 |    41.57 |    3.187 |    80.32 |
|   128 |    128 |    8 |   2048 |    0.751 |  1363.27 |    7.344 |   139.43 |    8.095 |   252.99 |
"""
BENCH = """ggml_cuda_init: found 1 CUDA devices:
| model         |       size |  params | backend | ngl |  test |              t/s |
| ------------- | ---------: | ------: | ------- | --: | ----: | ---------------: |
| qwen2 7B Q8_0 |   7.54 GiB |  7.62 B | CUDA    |  99 |   pp1 |     40.00 ± 0.24 |
| qwen2 7B Q8_0 |   7.54 GiB |  7.62 B | CUDA    |  99 |   pp4 |    100.00 ± 1.93 |
| qwen2 7B Q8_0 |   7.54 GiB |  7.62 B | CUDA    |  99 | pp512 |   2048.00 ± 9.24 |
| qwen2 7B Q8_0 |   7.54 GiB |  7.62 B | CUDA    |  99 | tg128 |     50.00 ± 0.55 |
| qwen2 7B Q8_0 |   7.54 GiB |  7.62 B | CUDA    |  99 | pp64+tg16 | 60.00 ± 0.55 |

build: 8cf427ff (5163)
"""
ROWS = [
    {"n_prompt": 512, "n_gen": 0, "avg_ns": 250_000_000, "avg_ts": 2048.0, "samples_ns": [1, 2]},
    {"n_prompt": 4, "n_gen": 0, "avg_ns": 40_000_000, "avg_ts": 100.0, "samples_ns": []},
    {"n_prompt": 0, "n_gen": 128, "avg_ns": 2_560_000_000, "avg_ts": 50.0, "samples_ns": []},
]


def as_csv(rows: list[dict]) -> str:
    keys = ["n_prompt", "n_gen", "avg_ns", "avg_ts"]
    lines = [",".join(f'"{row[key]}"' for key in keys) for row in rows]
    return "\n".join([",".join(keys), *lines]) + "\n"


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("tokens,time\n1,30.75\n4,37.3\n\n8,75.7\n", {1: 30.75, 4: 37.3, 8: 75.7}),
        ("\ufefftime, tokens\n30.75, 1\n", {1: 30.75}),
        ("tokens,relative\n1,1\n2,.605\n16,.27\n", {1: 1.0, 2: 1.21, 16: 4.32}),
        ("[1, 1.25]", {1: 1.0, 2: 1.25}),
        ('{"1": 1, "8": 2}', {1: 1.0, 8: 2.0}),
        (BATCHED, {1: 1000 * 3.079 / 128, 8: 1000 * 7.344 / 128}),
        ('{"tg": 32, "pl": 2, "t_tg": 0.64}\n{"tg": 32, "pl": 1, "t_tg": 0.32}\n', {1: 10, 2: 20}),
        (BENCH, {1: 20.0, 4: 40.0, 512: 250.0}),
        (as_csv(ROWS), {1: 20.0, 4: 40.0, 512: 250.0}),
        (json.dumps(ROWS), {1: 20.0, 4: 40.0, 512: 250.0}),
        ("\n".join(map(json.dumps, ROWS)), {1: 20.0, 4: 40.0, 512: 250.0}),
    ],
)
def test_each_format_gives_its_times(tmp_path, text, table):
    path = tmp_path / "times"
    path.write_text(text, encoding="utf-8")
    found = read_times(path)
    assert found.tokens == tuple(table)
    assert found.times == pytest.approx(tuple(table.values()), rel=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; expected a CSV with the columns tokens,time"),
        ("tokens,time\n", "there are no rows below the header"),
        ("tokens,time\n4,1\n1,1\n", "1 tokens come after 4"),
        ("tokens,time\n1,1\n1,2\n", "two times for 1 token, 1 and 2"),
        ("tokens,time\n1,0\n", "of 1 token = 0.0 is not valid; expected a finite number > 0"),
        ("tokens,time\n1,nan\n", "of 1 token = nan"),
        ("tokens,time\n1,fast\n", "time = 'fast' is not valid; expected a number"),
        ("tokens,time\n1.5,1\n", "tokens = '1.5' is not valid; expected a whole number"),
        ("tokens,time\n1,2,3\n", "has 3 cells, the first has 2"),
        ("batch,ms\n1,2\n", "has the columns batch, ms; expected a CSV"),
        ("{broken", "is not JSON that can be read"),
        ("[]", "the table is empty"),
        (BATCHED + BATCHED.splitlines()[-1].replace("7.344", "7.400") + "\n", "two times for 8 tokens"),
        (BENCH.replace("2048.00", "0.00"), "t/s = 0 of pp512"),
    ],
)
def test_a_file_that_is_none_is_told_in_one_line(tmp_path, text, message):
    path = tmp_path / "times.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SimlabError) as caught:
        read_times(path, "cost.target")
    assert message in str(caught.value)
    assert "times.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_binary_file_and_a_folder_are_told(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF\xff\xfe\x00")
    for path, message in ((tmp_path / "model.gguf", "is not a text"), (tmp_path, "is not a regular file")):
        with pytest.raises(SimlabError, match=message):
            read_times(path)
