"""Tests of the delays and the log messages for wrong access tokens."""

import asyncio
import logging
import time
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from kadr.serve import Service, create_app
from kadr.serve.access import SESSION_COOKIE
from kadr.serve.wrong_tokens import MAX_CLIENTS, WrongTokens

MakeService = Callable[..., Service]
TOKEN = "0123456789abcdef"


def test_the_delay_doubles_up_to_a_limit_and_is_forgotten() -> None:
    now = [0.0]
    tokens = WrongTokens(lambda: now[0])
    delays = [tokens.count("10.0.0.1") for _ in range(40)]
    assert delays[:8] == [0, 0, 0, 0, 0, 0.1, 0.2, 0.4]
    assert max(delays) == delays[-1] == 5
    assert tokens.count("10.0.0.2") == 0
    now[0] = 1000
    assert tokens.count("10.0.0.1") == 0


def test_the_log_stays_short_and_contains_no_token(
    make_service: MakeService, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WrongTokens, "count", lambda self, address: 0.0 * count(self, address))
    client = TestClient(create_app(make_service(), TOKEN), base_url="http://photos.example", client=("10.0.0.9", 1))
    for number in range(40):
        assert client.get("/metrics", headers={"Authorization": f"Bearer secret{number}"}).status_code == 401
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 6
    assert "Wrong access token from 10.0.0.9 (32 in total)" in caplog.text
    assert "secret" not in caplog.text


count = WrongTokens.count


def test_addresses_need_bounded_memory_and_one_ipv6_network_is_one_client() -> None:
    tokens = WrongTokens()
    for number in range(MAX_CLIENTS + 500):
        tokens.count(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(tokens) == MAX_CLIENTS
    delays = [tokens.count(f"2001:db8::{number:x}") for number in range(1, 8)]
    assert delays[-1] > 0
    assert tokens.count("no address") == 0


def test_many_delayed_responses_do_not_wait_at_the_same_time() -> None:
    async def guess() -> float:
        tokens = WrongTokens()
        for _ in range(30):
            tokens.count("10.0.0.1")
        waiting = [asyncio.create_task(tokens.delay("10.0.0.1")) for _ in range(64)]
        await asyncio.sleep(0)
        start = time.monotonic()
        await tokens.delay("10.0.0.1")
        for task in waiting:
            task.cancel()
        return time.monotonic() - start

    assert asyncio.run(guess()) < 4  # the delay is 5 s


@pytest.mark.parametrize("cookie", [False, True])
def test_only_wrong_tokens_are_delayed(
    make_service: MakeService, monkeypatch: pytest.MonkeyPatch, cookie: bool
) -> None:
    delayed = []

    async def delay(_tokens: WrongTokens, address: str) -> None:
        delayed.append(address)

    monkeypatch.setattr(WrongTokens, "delay", delay)
    client = TestClient(create_app(make_service(), TOKEN), base_url="http://photos.example", client=("10.0.0.9", 1))
    wrong = {"Cookie": f"{SESSION_COOKIE}=x"} if cookie else {"Authorization": "Bearer wrong"}
    assert client.get("/metrics", headers=wrong).status_code == 401
    assert client.get("/metrics", headers=wrong).status_code == 401
    assert delayed == ["10.0.0.9"] * 2
    assert client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert client.get("/metrics").status_code == 401  # a request without a token is not a guess
    assert delayed == ["10.0.0.9"] * 2


def test_a_delayed_response_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async def guess() -> None:
        tokens = WrongTokens()
        for _ in range(7):
            await tokens.delay("10.0.0.1")

    monkeypatch.setattr("kadr.serve.wrong_tokens.sleep", sleep)
    asyncio.run(guess())
    assert waited == [0.1, 0.2]
