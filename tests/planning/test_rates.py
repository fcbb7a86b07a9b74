"""CSVs of acceptance by position: what they say, and every row that cannot be."""

import numpy as np
import pytest

from simlab.errors import SimlabError
from simlab.planning.rates import read_rates


@pytest.fixture
def csv(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "rates.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_counts(csv):
    read = read_rates(csv("position,drafted,accepted\n1,200,150\n2,200,100\n3,180,0\n"))
    np.testing.assert_array_equal(read.rates, [0.75, 0.5, 0.0])
    np.testing.assert_array_equal(read.drafted, [200, 200, 180])
    np.testing.assert_array_equal(read.accepted, [150, 100, 0])


def test_rates_have_no_counts(csv):
    read = read_rates(csv("position,acceptance\n1,1\n2,0.5\n3,5e-1\n"))
    np.testing.assert_array_equal(read.rates, [1, 0.5, 0.5])
    assert read.drafted is None and read.accepted is None


def test_conditional_rates_are_multiplied(csv):
    read = read_rates(csv("position,conditional\n1,0.5\n2,0.9\n3,0\n"))
    np.testing.assert_allclose(read.rates, [0.5, 0.45, 0.0], rtol=1e-15)


@pytest.mark.parametrize(
    "text",
    [
        "accepted,position,drafted\r\n6,1,8\r\n4,2,8\r\n",
        "\ufeffposition,drafted,accepted\n1,8,6\n2,8,4",
        " position , drafted , accepted \n\n 1 , 8 , 6 \n\n,,\n 2 , 8 , 4 \n",
        '"position","drafted","accepted"\n"1","8","6"\n"2","8","4"\n',
        "position,drafted,accepted\n1,8.0,6.0\n2,8e0,4\n",
    ],
    ids=["other order", "byte order mark", "blanks", "quotes", "written as floats"],
)
def test_ways_to_write_the_same(csv, text):
    np.testing.assert_array_equal(read_rates(csv(text)).rates, [0.75, 0.5])


COUNTS = "position,drafted,accepted\n1,9,8\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("position,drafted,accepted\n", "no rows below the header"),
        ("1,9,8\n2,9,7\n", "line 1: no column '1', '9', '8'"),
        ("position;drafted;accepted\n1;9;8\n", "line 1: no column 'position;drafted;accepted'"),
        ("position,drafted,accepted,model\n1,9,8,x\n", "line 1: no column 'model'"),
        ("position,drafted\n1,9\n", "line 1: the columns position,drafted are none of"),
        ("position,acceptance,conditional\n1,1,1\n", "the columns position,acceptance,conditional are"),
        ("drafted,accepted\n9,8\n", "line 1: the columns drafted,accepted are none of"),
        ("position,acceptance,acceptance\n1,1,1\n", "line 1: a column is named twice"),
        (COUNTS + "2,9\n", "line 3: 2 cells, the header has 3"),
        (COUNTS + "2,9,7,6\n", "line 3: 4 cells, the header has 3"),
        (COUNTS + "\n,9,7\n", "line 4: position is missing"),
        (COUNTS + "2,,7\n", "line 3: drafted is missing"),
        (COUNTS + "2,nine,7\n", "line 3: drafted = 'nine' is not valid; expected a whole number"),
        (COUNTS + "2,9,6.5\n", "line 3: accepted = '6.5' is not valid; expected a whole number"),
        (COUNTS + "2,9,nan\n", "line 3: accepted = 'nan' is not valid; expected a whole number"),
        (COUNTS + "2,inf,1\n", "line 3: drafted = 'inf' is not valid; expected a whole number"),
        (COUNTS + "2,9,-1\n", "line 3: accepted = -1 is not valid; expected a whole number of at least 0"),
        (COUNTS + f"2,{2**62},1\n", "line 3: drafted = 4611686018427387904"),
        (COUNTS + "2,8,9\n", "line 3: accepted = 9 of drafted = 8"),
        (COUNTS + "2,0,0\n", "line 3: drafted = 0: leave positions out that no call reached"),
        (COUNTS + "2,10,8\n", "line 3: drafted rises from 9 to 10"),
        (COUNTS + "2,9,9\n", "line 3: accepted rises from 8 to 9"),
        (COUNTS + "3,9,7\n", "line 3: position 3 comes where 2 should"),
        (COUNTS + "2,9,7\n2,9,7\n", "line 4: position 2 is there twice"),
        ("position,acceptance\n0,0.9\n1,0.8\n", "line 2: position 0: positions count from 1"),
        ("position,acceptance\n2,0.9\n", "line 2: position 2 comes where 1 should"),
        (
            "position,acceptance\n1,1.01\n",
            "line 2: acceptance = 1.01 is not valid; expected a rate in [0, 1]",
        ),
        ("position,acceptance\n1,-0.1\n", "line 2: acceptance = -0.1 is not valid; expected a rate"),
        ("position,acceptance\n1,nan\n", "line 2: acceptance = nan is not valid; expected a rate"),
        ("position,acceptance\n1,80%\n", "line 2: acceptance = '80%' is not valid; expected a number"),
        ("position,acceptance\n1,0.5\n2,0.6\n", "line 3: acceptance rises from 0.5 to 0.6"),
        ("position,conditional\n1,0.5\n2,1.5\n", "line 3: conditional = 1.5 is not valid; expected a rate"),
        ('position,acceptance\n1,"0.5\n', "unexpected end of data"),
    ],
    ids=lambda text: "",
)
def test_rows_that_cannot_be_name_their_line(csv, text, told):
    with pytest.raises(SimlabError) as caught:
        read_rates(csv(text))
    assert told in str(caught.value) and "rates.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_file_of_text(csv, tmp_path):
    for path, told in [
        (tmp_path / "absent.csv", "no file"),
        (tmp_path, "is not a regular file"),
        (csv("position,acceptance\n1,0.5\n", encoding="utf-16"), "is not a text in UTF-8"),
    ]:
        with pytest.raises(SimlabError, match=told):
            read_rates(path)
