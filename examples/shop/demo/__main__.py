"""Tell the story: ``python -m examples.shop.demo``, or ``make demo``.

Exit status 0 only if every step was observed, 1 if one was not, 130 after Ctrl-C, SIGTERM or SIGHUP.
"""

from __future__ import annotations

from examples.shop.demo.interrupt import Interrupt

if __name__ == "__main__":
    interrupt = Interrupt()
    interrupt.catch()  # before the slower imports: from here on, a Ctrl-C ends calmly

    from examples.shop.demo.command import main

    raise SystemExit(main(interrupt))
