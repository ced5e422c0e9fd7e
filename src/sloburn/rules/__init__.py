"""From SLOs to what others run: Prometheus recording and alerting rules, and Grafana dashboards on top of them.

conditions → selectors (`matching`) → events (`sources`) → steps and windows (`recordings`) → alerts (`alerting`)
→ text (`document`). The same input gives the same bytes.
"""

from sloburn.rules.compiler import Compiled, Settings, compile_slos
from sloburn.rules.document import operator_text, prometheus_text

__all__ = ["Compiled", "Settings", "compile_slos", "operator_text", "prometheus_text"]
