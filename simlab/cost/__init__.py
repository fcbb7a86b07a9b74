"""What tokens cost: `model` what a call takes, `table` the time of a forward, `files` reads such tables."""

from simlab.cost.files import read_times
from simlab.cost.model import CostModel, check_cost
from simlab.cost.table import TimeTable

__all__ = ["CostModel", "TimeTable", "check_cost", "read_times"]
