"""Log lines without a reader do not stop the daemon."""

import io
import os
import threading

from bridge.admin.log_writer import NonBlockingWriter


def test_a_pipe_without_a_reader_does_not_block_the_writer() -> None:
    """`write` returns at once; lines that do not fit are dropped and counted, and a late reader gets the others."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as out, os.fdopen(reading) as read:
        writer = NonBlockingWriter(out, lines_max=100)
        for number in range(20_000):
            writer.write(f"{number} {'x' * 100}\n")
        writer.drain(0.01)
        found: list[str] = []
        reader = threading.Thread(target=lambda: found.extend(read), daemon=True)
        reader.start()
        writer.drain(5)
        writer.write("last\n")
        writer.drain(5)
        out.close()
        reader.join(5)
    assert found[0].startswith("0 ")
    assert "last\n" in found
    assert any("log.dropped" in line for line in found)
    assert len(found) < 20_000


def test_a_broken_pipe_does_not_stop_the_writer() -> None:
    """Lines after the end of the reader are dropped without an error."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering=1) as out:
        writer = NonBlockingWriter(out)
        writer.write("one\n")
        writer.write("two\n")
        writer.drain(5)
        assert writer._queue.unfinished_tasks == 0
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)  # what is left in its buffer goes nowhere


def test_a_line_that_the_stream_cannot_hold_is_escaped() -> None:
    """Lines are written in groups, and one of them may hold a character that the stream's encoding has not."""
    held = io.BytesIO()
    out = io.TextIOWrapper(held, encoding="ascii", newline="\n")
    writer = NonBlockingWriter(out)
    for line in ("before\n", "币安\n", "after\n"):
        writer.write(line)
    writer.drain(10)
    assert held.getvalue() == b"before\n\\u5e01\\u5b89\nafter\n"


def test_a_quiet_log_reports_too() -> None:
    """What is to be told now and then is told within seconds, also while nothing else is logged."""
    reported, ends = threading.Event(), list[bool]()

    def report(*, at_end: bool) -> None:
        ends.append(at_end)
        reported.set()

    NonBlockingWriter(io.StringIO(), report=report)
    assert reported.wait(20)
    assert not ends[0]
