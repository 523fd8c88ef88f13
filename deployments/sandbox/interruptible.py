"""Run a module whose SIGINT works, wherever it is started from.

A shell without job control starts its background programs, and so all that they start, with
SIGINT ignored. A Prefect worker stops itself by that signal, and would then never stop.
"""

import runpy
import signal
import sys


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
