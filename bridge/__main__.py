"""`python -m bridge` is `ltp-bridge`."""

import signal


def main() -> None:
    """Run the command line. While its modules are imported, Ctrl-C ends the process at once and prints no traceback."""
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_default:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from bridge.cli import main as run_command_line  # noqa: PLC0415 - the imports take a second

    if is_default:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run_command_line()


if __name__ == "__main__":
    main()
