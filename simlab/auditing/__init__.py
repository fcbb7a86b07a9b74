"""AUDITS somebody else's verifier: is its output still the target's distribution?

`simlab.audit(verifier)` plays a verifier on rows from harmless to nasty and tests the joint distribution of
what it emits. The distributions that it is held against are its own exact code: neither the samplers nor the
theory of simlab is asked. `simlab.check_policy(rule)` says whether a rule for how much is verified can bias.
"""

from simlab.auditing.audit import audit
from simlab.auditing.instances import Instance, make_instances
from simlab.auditing.report import AuditReport, InstanceReport
from simlab.auditing.stopping import PolicyReport, check_policy

__all__ = [
    "AuditReport",
    "Instance",
    "InstanceReport",
    "PolicyReport",
    "audit",
    "check_policy",
    "make_instances",
]
