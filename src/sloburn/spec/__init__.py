"""From SLO documents to `Slo`: strict, and every problem is reported at once with its file, line and YAML path.

files → syntax → cursor (nodes, places, problems) → values, conditions, indicators → documents.

A reader that finds something wrong notes it and returns a harmless stand-in, so that reading goes on to the next
problem; nothing leaves this package while there is a problem.
"""

from sloburn.spec.files import load_slos, parse_slos

__all__ = ["load_slos", "parse_slos"]
