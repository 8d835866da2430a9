"""`python -m bridge` is `ltp-bridge`."""

from bridge.cli import main

main()
