"""`make outage`: packets to a real broker are dropped for 40 s, and the last record of each key is the truth.

The broker and the publisher run in network namespaces of their own, with a router between them. While it drops all
packets, an order opens, a command falls into doubt and a gap is opened; when it passes them on again, the order is
filled, the command answered and the gap closed. Once more with the owner killed in the outage, and another one after
it. A kernel may go on for two minutes with what a socket held that was given up, and that would stand last; so the run
waits until none does. Exit code 1 says that a topic ends in something else than the truth; 2 that this machine cannot
make network namespaces, and why.
"""

import subprocess
import sys

from bridge.sandbox.broker.jars import fetch_jars
from tests.outage.network import NoNamespaces, network
from tests.witness.console import say


def main() -> int:
    """Make the network, and run the scenes in the broker's part of it."""
    try:
        fetch_jars(say)  # there is no way out of a namespace
        with network() as made:
            inside = ["ip", "netns", "exec", made.broker, sys.executable, "-m", "tests.outage.scenes", str(made.run)]
            return subprocess.run(inside, check=False).returncode  # noqa: S603 - of our own making
    except NoNamespaces as error:
        sys.stderr.write(f"make outage needs network namespaces: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
