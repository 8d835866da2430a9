"""Fixtures: a venue with a manual clock, and a trader who is logged in to it."""

import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio

from bridge.sandbox.venue.venue import Venue
from tests.support.trader import Exchange, Trader


@pytest_asyncio.fixture
async def exchange() -> AsyncIterator[Exchange]:
    """Return the factory of venues and traders."""
    async with aiohttp.ClientSession() as session, contextlib.AsyncExitStack() as stack:
        yield Exchange(stack, session)


@pytest_asyncio.fixture
async def venue(exchange: Exchange) -> Venue:
    """Return a venue with the documented defaults."""
    return await exchange.open()


@pytest_asyncio.fixture
async def trader(exchange: Exchange, venue: Venue) -> Trader:
    """Return a trader who is logged in to it."""
    return await exchange.trader(venue)
