"""The alarms for topics that are lost and grants that are missing, from their start to their end."""

from bridge.core.account import Account
from bridge.flow.ports import Clock, TopicWatch


class TopicAlarms:
    """Has the account publish what is wrong with its topics, and publish again what was lost with one."""

    def __init__(self, instance: str, account: Account, topics: TopicWatch, clock: Clock) -> None:
        self._instance = instance
        self._account = account
        self._topics = topics
        self._clock = clock

    def check_topics(self) -> None:
        """Raise or clear the alarm of each topic by what is known of it now."""
        lost, missing = self._topics.lost_topics(), self._topics.missing_grants()
        for topic in self._account.topics_checked(lost, missing, self._instance, self._clock()):
            self._topics.mark_reported(topic)
