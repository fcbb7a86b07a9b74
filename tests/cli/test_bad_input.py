"""Every mistake a user can make on the command line: one clear line, exit code 2, no traceback."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest

from simlab.cli.main import main
from simlab.pairs import paper


@pytest.fixture
def complaint(capsys, tmp_path, monkeypatch):
    """Run a command line in an empty folder; returns the one line it complains with."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        code = main(list(words))
        error = capsys.readouterr().err
        assert code == 2, error
        # A slow machine shows progress before a sampler is refused.
        lines = [line for line in error.strip().splitlines() if not line.startswith("0/1 tasks, 0/")]
        assert len(lines) == 1 and lines[0].startswith("simlab: "), error
        return lines[0]

    return run


@pytest.mark.commands
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pair=papr"], "no pair 'papr': known are bernoulli, corpus, dirichlet, "),
        (
            ["decoder=beam"],
            "no decoder 'beam': known are adaptive, autoregressive, batch, biased, block, ",
        ),
        (["pair.sates=3"], "no setting pair.sates: pair paper has horizon, states, seed"),
        (["pair.temperature=2"], "of every pair there is pair.processing.temperature"),
        (["pair.processing.temprature=2"], "pair.processing has temperature, top_k, top_p, draft_temp"),
        (["pair.processing=2"], "processing = 2: expected a mapping with temperature, top_k, top_p"),
        (
            ["pair.processing.temperature=-1"],
            "processing.temperature = -1 is not valid; expected a finite number >= 0",
        ),
        (
            ["pair.processing.top_k=0"],
            "processing.top_k = 0 is not valid; expected a whole number of at least 1",
        ),
        (
            ["pair=mixture", "pair.processing.draft_top_p=2"],
            "processing.draft_top_p = 2 is not valid; expected a finite",
        ),
        (["decoder.drafts=3"], "it is a setting of decoder=batch"),
        (["reproduce={a: 1}"], "Error merging override reproduce={a: 1}: Cannot merge"),
        (["grid=3"], "grid = 3 is not a grid; expected lists of values by setting"),
        (["grid=${nope}"], "Interpolation key 'nope' not found"),
        (["decoder.name=[]"], "no decoder []: known are "),
        (["colour=red"], "no setting colour: the configuration has seed, trajectories"),
        (["run=ray"], "no run 'ray': known are dask, loky, serial, slurm"),
        (["tier=huge"], "no tier 'huge': known are paper, smoke"),
        (["paper"], "cannot read 'paper': give key=value"),
        (["pair.horizon=0"], "horizon = 0 is not valid; expected a whole number of at least 1"),
        (["pair.horizon=many"], "horizon = 'many'"),
        (["pair.horizon=2.5"], "horizon = 2.5"),
        (
            ["decoder=batch", "decoder.drafts=0"],
            "drafts = 0 is not valid; expected a whole number of at least 1",
        ),
        (["decoder=batch", "decoder.drafts=-3"], "drafts = -3"),
        (["decoder=batch", "decoder.drafts=several"], "drafts = 'several'"),
        (["decoder.epsilon=0.1"], "it is a setting of decoder=biased"),
        (["decoder=biased", "decoder.drafts=2"], "decoder biased has epsilon, replacement"),
        (["decoder=tree", "decoder.drafts=2"], "decoder tree has capacity, drafted_by, shape"),
        (["decoder.capacity=2"], "it is a setting of decoder=tree"),
        (["pair=file"], "needs pair.path"),
        (["pair=file", "pair.path=absent.npz"], "no file absent.npz"),
        (["pair=corpus", "pair.path=absent.txt"], "no text absent.txt"),
        (["pair=corpus", "pair.draft_model=trigram"], "expected one of bigram, unigram"),
        (["pair=corpus", "pair.path=/dev/zero"], "is not a regular file"),
        (["pair=corpus", "pair.path=true"], "path = True is not valid; expected a path"),
        (["pair=null"], "Got NoneType"),
        (["decoder="], "no decoder ''"),
        (["pair.horizon=interval(1,2)"], "a grid takes listed values"),
        (["pair.horizon=2", "pair.horizon=3"], "pair.horizon is given twice"),
        (["pair.path=é b"], "quote the value"),
        (["trajectories=0"], "trajectories = 0"),
        (["seed=-1"], "seed = -1"),
        (["pair=file", "pair.path=a,b.npz"], "no file a"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_mistakes_in_settings(complaint, words, said):
    assert said in complaint("predict", *words)


@pytest.mark.commands
@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("judging.miss=2", "judging.miss = 2 is not valid; expected a probability < 1, at least 1e-100"),
        (
            "judging.false_alarm=never",
            "judging.false_alarm = 'never' is not valid; expected a finite number > 0",
        ),
        (
            "judging.cell_resolution=0",
            "judging.cell_resolution = 0 is not valid; expected a finite number > 0",
        ),
        ("judging.resolution=1", "no setting judging.resolution: judging has false_alarm, miss, mean_res"),
        ("judging=3", "judging = 3: expected a mapping with false_alarm, miss, mean_resolution"),
    ],
)
def test_levels_of_verdicts_that_make_no_sense(complaint, word, said):
    assert said in complaint("run", word)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pair=papr"], "no pair 'papr': known are bernoulli, corpus, dirichlet, "),
        (["decoder.drafts=3"], "it is a setting of decoder=batch"),
        (["tier=huge"], "no tier 'huge': known are paper, smoke"),
        (["pair.horizon=many"], "horizon = 'many'"),
        (["pair=file", "pair.path=absent.npz"], "no file absent.npz"),
        (["pair.horizon=2", "pair.horizon=3"], "pair.horizon is given twice"),
        (
            ["decoder=biased", "decoder.epsilon=nan"],
            "epsilon = nan is not valid; expected a finite number >= 0",
        ),
        (["decoder=biased", "decoder.replacement=foo"], "no replacement 'foo': known are optimal, target"),
        (["decoder=tree", "decoder.shape=ring"], "shape = 'ring' is not valid; expected one of tree, chain"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_run_reads_settings_as_predict_does(complaint, words, said):
    """A mistake of each kind: a choice, a setting, a size, a value, a file, a word said twice."""
    assert said in complaint("run", *words)


@pytest.mark.commands
@pytest.mark.parametrize(
    ("word", "said"), [("pair=papr", "no pair 'papr'"), ("pair.horizon=many", "horizon = 'many'")]
)
def test_reproduce_reads_settings_as_predict_does(complaint, word, said):
    assert said in complaint("reproduce", word)


@pytest.mark.commands
@pytest.mark.parametrize(
    ("word", "shown"),
    [("-1", "-1"), ("-1e-9", "-1e-09"), ("nan", "nan"), ("inf", "inf"), ("abc", "'abc'"), ("null", "None")],
)
def test_epsilons_that_are_none(complaint, word, shown):
    line = complaint("predict", "decoder=biased", f"decoder.epsilon={word}")
    assert f"epsilon = {shown} is not valid; expected a finite number >= 0" in line


@pytest.mark.commands
@pytest.mark.parametrize(
    ("word", "shown"), [("foo", "'foo'"), ("OPTIMAL", "'OPTIMAL'"), ("", "''"), ("null", "None"), ("3", "3")]
)
def test_replacements_that_are_none(complaint, word, shown):
    line = complaint("predict", "decoder=biased", f"decoder.replacement={word}")
    assert f"no replacement {shown}: known are optimal, target, draft, residual" in line


@pytest.mark.commands
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["experiment=fig99"], "no experiment 'fig99': known are audit, bias, ceiling, correctness, "),
        (["trajectories=0"], "trajectories = 0"),
        (["trajectories=1.5"], "trajectories = 1.5"),
        (["seed=-1"], "seed = -1"),
        (["batch_size=0"], "batch_size = 0"),
        (["half_width=0"], "half_width = 0"),
        (["half_width=-1"], "half_width = -1"),
        (["confidence=1"], "confidence = 1"),
        (["confidence=0"], "confidence = 0"),
        (["run.workers=0"], "workers = 0"),
        (["decoder=batch", "decoder.drafts=inf"], "finite"),
        (["experiment=fig2", "pair.seed=1,2"], "fig2 draws one point and the grid has 2"),
        (["output=''"], "expected a folder"),
        (["output=one,two"], "a grid takes one output"),
        (["grid=foo"], "grid = 'foo' is not a grid"),
        (["grid=3"], "grid = 3 is not a grid"),
        (["grid=${nope}"], "nope"),
        (["~pair"], "give pair=NAME"),
        (["seed=99999999999999999999"], "at most"),
        (["trajectories=1e30"], "at most"),
        (["batch_size=1e30"], "at most"),
        (["tier.running_average=150"], "a multiple of 100"),
        (["run=dask", "run.address=garbage"], "expected a scheduler's"),
        (["--nosuch"], "--nosuch"),
        (["--cfg", "nosuch"], "nosuch"),
        (["figures=png,pdf"], "figures=png,pdf: a grid takes one figures; give a list in brackets"),
        (["trajectories=10", "--multirun", "pair=paper"], "give flags such as --multirun first"),
        (["--multirun", "pair.horizon=0,2"], "horizon = 0"),
        (["--cfg", "job", "pair=papr"], "papr"),
        (["--multirun", "pair=papr,paper"], "papr"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_mistakes_in_a_run(complaint, words, said):
    assert said in complaint("run", *words)


@pytest.mark.commands
@pytest.mark.parametrize("words", [["reproduce=[]"], ["reproduce=fig2"], ["reproduce=[fig2]"]], ids=str)
def test_lists_of_experiments_that_are_none(complaint, words):
    assert "reproduce" in complaint("reproduce", *words)


def test_unknown_commands(complaint):
    assert "no option --jsno: known are --json, --help" in complaint("predict", "--jsno")
    assert "no command 'prdict': known are predict, plan, record, run, " in complaint("prdict")


@pytest.mark.commands
@pytest.mark.parametrize(
    ("draft", "said"),
    [
        ([[0.5, 0.4], [1.0, 0.0]], "draft[t=0, x=0] sums to 0.9"),
        ([[0.5, 0.5], [np.nan, 1.0]], "draft[t=0, x=1, y=0] = nan"),
        ([[1.5, -0.5], [1.0, 0.0]], "draft[t=0, x=0, y=1] = -0.5"),
        ([[1.0, 0.0, 0.0]], "draft has shape"),
        ([[0.9, 0.5], [0.1, 0.5]], "draft looks transposed: its columns sum to 1 and its rows do not"),
        ([[-1.0, 2.0], [0.5, 0.5]], "if these are logits, take their softmax first"),
    ],
)
def test_pairs_that_are_none(complaint, tmp_path, draft, said):
    np.savez(tmp_path / "pair.npz", draft=[draft], target=np.eye(2)[None], initial=[1, 0])
    for command in ("predict", "run"):
        line = complaint(command, "pair=file", "pair.path=pair.npz")
        assert said in line and "pair.npz" in line


@pytest.mark.commands
def test_texts_that_are_none(complaint, tmp_path):
    (tmp_path / "short.txt").write_text("too short")
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)) * 10)
    assert "has 9 characters" in complaint("predict", "pair=corpus", "pair.path=short.txt")
    assert "is binary" in complaint("run", "pair=corpus", "pair.path=binary.txt")


@pytest.mark.commands
def test_a_file_pair_cannot_be_longer_than_it_is(complaint, tmp_path):
    paper(5, 3).save(tmp_path / "pair.npz")
    assert "at most 5" in complaint("run", "pair=file", "pair.path=pair.npz", "pair.horizon=6")


@pytest.mark.commands
def test_ledgers_that_are_none(complaint, tmp_path):
    (tmp_path / "results").mkdir()
    ledger = tmp_path / "results" / "ledger.sqlite"
    ledger.write_bytes(b"this is no database, whatever its name says " * 100)
    for command in ("run", "status"):
        assert "ledger.sqlite" in complaint(command)
    assert ledger.read_bytes().startswith(b"this is no database")
    ledger.unlink()
    with sqlite3.connect(ledger) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    for command in ("run", "status"):
        assert "ledger.sqlite" in complaint(command)


@pytest.mark.commands
def test_folders_that_cannot_be_written(complaint, tmp_path):
    (tmp_path / "plain").write_text("a file")
    for folder in ("plain", "plain/below", "/proc/simlab"):
        line = complaint("run", f"output={folder}")
        assert folder in line and "output=FOLDER" in line


def test_status_without_results(complaint):
    assert "simlab run" in complaint("status")


@pytest.mark.commands
@pytest.mark.parametrize(
    ("command", "decoder", "window"),
    [
        *(("predict", "speculative", window) for window in ("0", "-1", "2.5", "inf", "many", "true")),
        *(("predict", decoder, "0") for decoder in ("block", "confidence")),
        ("run", "speculative", "0"),
    ],
)
def test_windows_that_are_none(complaint, command, decoder, window):
    line = complaint(command, f"decoder={decoder}", f"decoder.window={window}")
    assert "window = " in line and "; expected a whole number of at least 1" in line


@pytest.mark.commands
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["decoder.bonus=1"], "bonus = 1 is not valid; expected true or false"),
        (["decoder.bonus=null"], "bonus = None is not valid; expected true or false"),
        (
            ["decoder=block", "decoder.bonus=true"],
            "decoder block has window (it is a setting of decoder=adaptive",
        ),
        (
            ["decoder=confidence", "decoder.threshold=1.5"],
            "threshold = 1.5 is not valid; expected a finite number >= 0 and <= 1",
        ),
        (["decoder=confidence", "decoder.threshold=nan"], "threshold = nan"),
        (
            ["decoder=adaptive", "decoder.policy=best"],
            "policy = 'best' is not valid; expected optimal, or a file",
        ),
        (
            ["decoder=adaptive", "decoder.policy=null"],
            "policy = None is not valid; expected optimal, or a file",
        ),
        (["decoder=adaptive", "decoder.policy=absent.npy"], "no file absent.npy"),
        (
            ["decoder=adaptive", "decoder.longest=0"],
            "longest = 0 is not valid; expected a whole number of at least 1",
        ),
        (["decoder=adaptive", "decoder.bonus=7"], "bonus = 7 is not valid; expected true or false"),
        (["decoder=adaptive", "decoder.window=4"], "decoder adaptive has policy, bonus, longest"),
        (["cost=3"], "cost = 3 is not valid; expected cost.draft and cost.target"),
        (["cost.verify=1"], "cost.verify"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_mistakes_in_the_settings_of_windows(complaint, words, said):
    assert said in complaint("predict", *words)


@pytest.mark.commands
@pytest.mark.parametrize(
    ("command", "word", "shown"),
    [
        ("predict", "cost.draft=0", "0"),
        ("predict", "cost.draft=-1", "-1"),
        ("predict", "cost.target=nan", "nan"),
        ("predict", "cost.target=inf", "inf"),
        ("predict", "cost.draft=free", "'free'"),
        ("run", "cost.target=0", "0"),
        ("run", "cost.draft=null", "None"),
    ],
)
def test_costs_that_are_none(complaint, command, word, shown):
    name = word.partition("=")[0]
    assert f"{name} = {shown} is not valid; expected a finite number > 0" in complaint(command, word)


@pytest.mark.commands
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2\n3,x\n", "mine.csv: line 2 has 'x': give whole numbers"),
        ("1,2\n3\n", "mine.csv: policy: its rows differ in length"),
        ("1,2\n3,-4\n", "windows[1, 1] = -4 is not valid; expected a whole number of at least 0"),
        ("", "give a table (T, V)"),
        ("1,2\n3,4\n", "the policy is for (T, V) = (2, 2), the pair has (50, 7)"),
        ("\ufeff1.0,2e0\r\n\r\n , \r\n3,4\r\n", "the policy is for (T, V) = (2, 2), the pair has (50, 7)"),
        ("1,2.5\n", "line 1 has '2.5': give whole numbers"),
        ("1,99999999999\n", "line 1 has '99999999999': give whole numbers of at most 2147483647"),
        ("1,inf\n", "line 1 has 'inf': give whole numbers"),
    ],
    ids=[
        "text",
        "ragged",
        "negative",
        "empty",
        "another pair",
        "by a spreadsheet",
        "half",
        "large",
        "infinite",
    ],
)
def test_policies_that_are_none(complaint, tmp_path, text, said):
    (tmp_path / "mine.csv").write_text(text, encoding="utf-8", newline="")
    assert said in complaint("predict", "decoder=adaptive", "decoder.policy=mine.csv")


@pytest.mark.commands
def test_policies_that_cannot_be_read(complaint, tmp_path):
    (tmp_path / "mine.npy").write_text("no array")
    (tmp_path / "mine.csv").write_text("1,2\n")
    assert "mine.npy cannot be read" in complaint("predict", "decoder=adaptive", "decoder.policy=mine.npy")
    line = complaint("run", "decoder=adaptive", "decoder.policy=mine.csv", "decoder.longest=3")
    assert "longest = 3: it limits policy=optimal" in line


@pytest.mark.commands
@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("capacity=0", "capacity = 0 is not valid; expected a whole number of at least 1"),
        ("capacity=2.5", "capacity = 2.5 is not valid; expected a whole number"),
        ("capacity=inf", "capacity = inf is not valid; expected a whole number"),
        ("drafted_by=oracle", "drafted_by = 'oracle' is not valid; expected one of target, draft"),
        ("shape=ring", "shape = 'ring' is not valid; expected one of tree, chain"),
    ],
)
def test_mistakes_in_the_settings_of_trees(complaint, setting, said):
    assert said in complaint("predict", "decoder=tree", f"decoder.{setting}")


@pytest.mark.commands
@pytest.mark.parametrize("command", ["predict", "run"])
def test_trees_beyond_the_memory(complaint, command):
    line = complaint(command, "decoder=tree", "decoder.capacity=1e13", "trajectories=10")
    assert "GiB" in line and "smaller capacity" in line


@pytest.mark.commands
@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("csv=.", "csv=. is a folder; expected a file, e.g. csv=table.csv"),
        ("csv=a.csv,b.csv", "csv=a.csv,b.csv: expected one file"),
        ("csv=", "csv = '' is not valid; expected the path of a file"),
        ("csv=/dev/null/a.csv", "cannot write /dev/null/a.csv"),
        ("decoder.drafts=range(4,1)", "decoder.drafts=range(4,1) has no values"),
        (
            "decoder.drafts=range(1,3,0)",
            "decoder.drafts=range(1,3,0) cannot be listed; expected e.g. range(1,5)",
        ),
        ("decoder.drafts=range(nan,3)", "decoder.drafts=range(nan,3) cannot be listed"),
        ("decoder.drafts=range(1,1e12)", "decoder.drafts=range(1,1e12) has more than 100,000 values"),
        ("decoder.drafts=interval(1,3)", "a grid takes listed values, 1,2,4, or range(1,5)"),
        ("decoder.drafts=glob(*)", "a grid takes listed values, 1,2,4, or range(1,5)"),
        ("grid={decoder.drafts: []}", "grid = {decoder.drafts: []} has no values"),
        ("decoder.drafts=${pair.nothing}", "Interpolation key 'pair.nothing' not found"),
        ("decoder.drafts=${decoder.drafts}", "Recursive interpolation detected"),
    ],
)
def test_predict_refuses_files_and_grids_that_cannot_be(complaint, word, said):
    assert said in complaint("predict", "decoder=batch", word)


@pytest.mark.commands
def test_slurm_without_its_commands_says_what_was_looked_for(complaint, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    said = complaint("run", "--multirun", "hydra/launcher=submitit_slurm", "pair=paper,mixture")
    assert "hydra/launcher=submitit_slurm: no sbatch and no srun on the PATH" in said
    srun = tmp_path / "srun"
    srun.write_text("")
    srun.chmod(0o755)
    said = complaint("run", "-m", "+hydra/launcher=submitit_slurm", "pair=paper,mixture")
    assert "no sbatch on the PATH" in said and "srun on" not in said


@pytest.mark.commands
@pytest.mark.parametrize("command", ["run", "plan", "show"])
@pytest.mark.parametrize("given", ["eps", "[pdf,eps]"])
def test_an_unknown_format_of_figures_is_told_before_anything_is_done(complaint, tmp_path, command, given):
    words = ["acceptance=0.8"] if command == "plan" else []
    said = "figures = 'eps' is not a format; expected pdf, beside the png and svg of every figure"
    assert said in complaint(command, *words, f"figures={given}")
    assert not (tmp_path / "results").exists()
