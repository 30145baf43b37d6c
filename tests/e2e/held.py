"""What a page asks of the app, kept back for a while, so that answers come late."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page, Request, Route

from tests.e2e.conftest import MINUTES, App


def sent(request: Request) -> dict[str, Any]:
    """What a request sends, if it is an event of the page."""
    event: dict[str, Any] = request.post_data_json if "queue/join" in request.url else {}
    return event


@dataclass
class Held:
    """Events that are kept back; after the first ones are there, what comes goes on."""

    routes: list[Route] = field(default_factory=list)
    is_holding: bool = True


def hold(page: Page, is_one: Callable[[dict[str, Any]], bool]) -> Held:
    """Keep the events back that are such, as they come; the others go on."""
    held = Held()

    def look(route: Route) -> None:
        if held.is_holding and is_one(sent(route.request)):
            held.routes.append(route)
        else:
            route.fallback()

    page.route("**/queue/join*", look)
    return held


def answers_go_to(app: App, element: str) -> Callable[[dict[str, Any]], bool]:
    """Whether an event is one whose answer goes to this element."""
    with urllib.request.urlopen(app.url + "config") as answer:
        config = json.load(answer)
    (wanted,) = (each["id"] for each in config["components"] if each["props"].get("elem_id") == element)
    events = {each["id"] for each in config["dependencies"] if wanted in each["outputs"]}
    return lambda event: event.get("fn_index") in events


def until_held(page: Page, held: Held) -> None:
    """Wait until an event has come that is kept back; what comes later goes on."""
    for _ in range(MINUTES // 50):
        if held.routes:
            held.is_holding = False
            return
        page.wait_for_timeout(50)
    raise AssertionError("the event never came")


def let_go(page: Page, held: Held) -> None:
    """Let them go on, and wait for their answers."""
    with page.expect_response("**/queue/join*"):
        for each in held.routes:
            each.continue_()
    page.wait_for_timeout(1_000)  # the answer comes over a stream that leaves nothing to wait for
