"""What is wrong with a setting, a topic, a grant or a broker, and what to do about it."""

from msgspec import Struct


class Problem(Struct, frozen=True):
    """One thing that is wrong. `id` is stable, `subject` is the topic, file, group or setting that it is about.

    `found` says what was found, and `remedy` what to do: where there is a command for it, the command stands last.
    """

    id: str
    subject: str
    found: str
    remedy: str

    @property
    def sentence(self) -> str:
        """The whole problem in one line of a log or an error."""
        return f"{self.subject}: {self.found}; {self.remedy}"
