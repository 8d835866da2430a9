"""A client for programs that trade over the topics: place, replace and cancel, and wait for the result.

It imports the contract and a Kafka client, and nothing else of the bridge.
"""

from bridge.client.client import Client
from bridge.client.command_handle import ClientError, CommandHandle, CommandRefused, NotAnswered, NotSent, Unreachable
from bridge.client.commands import BadCommand, cancel_order, cancel_orders, place_order, replace_order

__all__ = [
    "BadCommand",
    "Client",
    "ClientError",
    "CommandHandle",
    "CommandRefused",
    "NotAnswered",
    "NotSent",
    "Unreachable",
    "cancel_order",
    "cancel_orders",
    "place_order",
    "replace_order",
]
