"""Tables as CSV: text stays text in a spreadsheet, numbers stay numbers."""

from __future__ import annotations

import io

import pandas as pd
import pytest

from simlab.report.save import to_csv
from simlab.report.tables import save_table


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "@SUM(A1)", "-2+3", "\t=1", "-"])
def test_text_that_a_spreadsheet_would_run_is_made_harmless(text, tmp_path):
    table = pd.DataFrame({"token": [text, "a"], "x": [-1.5, 2.0], text: [1, -2]})
    for content in (to_csv(table), save_table(tmp_path, "a", table)[0].read_bytes()):
        read = pd.read_csv(io.BytesIO(content))
        assert list(read.columns) == ["token", "x", f"'{text}"]
        assert list(read["token"]) == [f"'{text}", "a"]
        assert list(read["x"]) == [-1.5, 2.0] and list(read[f"'{text}"]) == [1, -2]


def test_numbers_and_what_is_not_there_stay_as_they_are():
    table = pd.DataFrame({"a": [-1, None, "-2", "-inf", "x"]}, dtype=object)
    assert to_csv(table) == b'a\n-1\n""\n-2\n-inf\nx\n'
    assert table["a"].tolist()[2:] == ["-2", "-inf", "x"]


def test_two_columns_of_one_name_stay_two():
    table = pd.DataFrame([["=a", 1], ["b", 2]], columns=["x", "x"])
    assert to_csv(table) == b"x,x\n'=a,1\nb,2\n"
