"""The screen of the demo writes only lines that have changed."""

import io

from rich.text import Text

from bridge.sandbox.demo.screen import Screen
from bridge.terminal import EscapingConsole


def test_an_unchanged_line_is_not_written_again() -> None:
    """What somebody has selected in it stays selected; a line of another style has changed."""
    out = io.StringIO()
    console = EscapingConsole(file=out, force_terminal=True, width=40, height=3, soft_wrap=True)
    with Screen(console) as screen:
        screen.draw([Text("a command to copy"), Text("1"), Text("a"), Text("below the screen")])
        assert "below" not in out.getvalue()
        written = len(out.getvalue())
        screen.draw([Text("a command to copy"), Text("2"), Text("a", style="red")])
        changed = out.getvalue()[written:]
    assert "command" not in changed
    assert "2" in changed
    assert "\x1b[31m" in changed
    assert out.getvalue().endswith("\x1b[?25h\x1b[?1049l")
