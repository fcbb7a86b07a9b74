"""How many tokens to draft per target call, and what speed-up to expect: `simlab.plan`.

`sources` holds `plan` and the table of what can be planned from; each source is a module that makes a
`WindowPlan` of what is known: `acceptance`, `measured` (rates by position) and `exact` (a pair). `windows`
says which windows are looked at, `loads` joins plans at several loads, `rates` reads measurements, `text`
prints a plan.
"""

from simlab.planning.loads import LoadPlans
from simlab.planning.logs import Reading, read_log
from simlab.planning.rates import Rates, read_rates
from simlab.planning.sources import plan
from simlab.planning.window_plan import WindowPlan

__all__ = ["LoadPlans", "Rates", "Reading", "WindowPlan", "plan", "read_log", "read_rates"]
