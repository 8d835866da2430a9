"""The alarms for topics that are lost and grants that are missing, from their start to their end."""

import asyncio

from bridge.core.account import Account
from bridge.flow.ports import Clock, TopicWatch

_LOOK_S = 1.0


class TopicAlarms:
    """Has the account tell what is wrong with its topics, and tell again what was lost with one."""

    def __init__(self, instance: str, account: Account, topics: TopicWatch, clock: Clock) -> None:
        self._instance = instance
        self._losses = account.topic_losses
        self._topics = topics
        self._clock = clock

    async def run(self) -> None:
        """Look every second until cancelled."""
        while True:
            self.look_at_topics()
            await asyncio.sleep(_LOOK_S)

    def look_at_topics(self) -> None:
        """Raise or clear the alarm of each topic by what is known of it now."""
        now = self._clock()
        for topic in self._losses.tell_losses(self._topics.lost_topics(), self._instance, now):
            self._topics.mark_reported(topic)
        self._losses.tell_grants(self._topics.missing_grants(), now)
