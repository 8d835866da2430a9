"""Log lines that nobody reads must not stop the daemon."""

import os
import threading

from bridge.admin.log_writer import NonBlockingWriter


def test_a_pipe_that_nobody_reads_stops_nobody() -> None:
    """Writers return at once; what does not fit is dropped and counted, and the rest is there when somebody reads."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as out, os.fdopen(reading) as read:
        lines = NonBlockingWriter(out, lines_max=100)
        for number in range(20_000):
            lines.write(f"{number} {'x' * 100}\n")
        lines.drain(0.01)
        found: list[str] = []
        reader = threading.Thread(target=lambda: found.extend(read), daemon=True)
        reader.start()
        lines.drain(5)
        lines.write("last\n")
        lines.drain(5)
        out.close()
        reader.join(5)
    assert found[0].startswith("0 ")
    assert "last\n" in found
    assert any("log.dropped" in line for line in found)
    assert len(found) < 20_000


def test_a_reader_that_has_gone_stops_nobody() -> None:
    """A broken pipe is no reason to end."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering=1) as out:
        lines = NonBlockingWriter(out)
        lines.write("one\n")
        lines.write("two\n")
        lines.drain(5)
        assert lines._held.unfinished_tasks == 0
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)  # what is left in its buffer goes nowhere
