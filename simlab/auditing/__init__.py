"""AUDITS somebody else's verifier: is its output still the target's distribution?

`simlab.audit(verifier)` plays a verifier on rows from harmless to nasty and tests the joint distribution of
what it emits. The distributions that it is held against are its own exact code: neither the samplers nor the
theory of simlab is asked.
"""

from simlab.auditing.audit import audit
from simlab.auditing.instances import Instance, make_instances
from simlab.auditing.report import AuditReport, InstanceReport

__all__ = ["AuditReport", "Instance", "InstanceReport", "audit", "make_instances"]
