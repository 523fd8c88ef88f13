"""`python -m tests.peers`: install what is missing and say what this machine has."""

import os

from tests.peers.install import install_missing
from tests.peers.table import PEERS


def main() -> None:
    for name, sentence in install_missing(PEERS.values(), os.environ).items():
        print(f"peer {name}: {sentence}")


main()
