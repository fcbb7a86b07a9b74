"""Statistics of speculative decoding out of the logs of serving engines: `read_log`.

`stream` opens a log, `scan` hands its text in pieces of constant size to the formats of the table in
`formats`, each of which looks for literal words first. One module a family of formats; `positions` makes
counts of rounded rates, `reading` says what was read, `identities` what must hold of it.
"""

from simlab.planning.logs.reading import Reading
from simlab.planning.logs.scan import read_log

__all__ = ["Reading", "read_log"]
