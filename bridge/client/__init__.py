"""For programs that trade over the topics: place, replace and cancel, and await the one true answer.

It knows the contract and Kafka, and nothing of the bridge.
"""

from bridge.client.client import Client
from bridge.client.commands import BadCommand, cancel_order, cancel_orders, place_order, replace_order
from bridge.client.submitted import ClientError, CommandRefused, NotAnswered, NotSent, Submitted, Unreachable

__all__ = [
    "BadCommand",
    "Client",
    "ClientError",
    "CommandRefused",
    "NotAnswered",
    "NotSent",
    "Submitted",
    "Unreachable",
    "cancel_order",
    "cancel_orders",
    "place_order",
    "replace_order",
]
