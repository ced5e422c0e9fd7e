"""``python -m sloburn.cli`` is ``sloburn``."""

import sys

from sloburn.cli import main

sys.exit(main())
