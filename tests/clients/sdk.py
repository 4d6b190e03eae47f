"""The real SDK, sync or async, called in one way, with every request that it sends on record."""

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor

from truefoundry_sdk import AsyncTrueFoundry, TrueFoundry
from truefoundry_sdk.core.pagination import AsyncPager

KINDS = {"sync": TrueFoundry, "async": AsyncTrueFoundry}


class Sdk:
    """Calls block in both kinds: `sdk.secrets.get(id)` is the answer. Lists give all items."""

    def __init__(self, kind, url, token, note=None, **options):
        self._loop = asyncio.new_event_loop() if kind == "async" else None
        self._client = KINDS[kind](base_url=url, api_key=token, **options)
        self._note = note
        self.sent = []
        # The SDK's own HTTP client as it makes it, with hooks: what goes over the wire, repetitions too.
        self._http = self._client._client_wrapper.httpx_client.httpx_client
        hooks = (self._on_request, self._on_response) if kind == "async" else (self._sent, self._answered)
        self._http.event_hooks = {"request": [hooks[0]], "response": [hooks[1]]}

    def __getattr__(self, name):
        return Facade(getattr(self._client, name), self._finish)

    def _sent(self, request):
        self.sent.append(request)

    def _answered(self, response):
        if self._note:
            self._note(response)

    async def _on_request(self, request):
        self._sent(request)

    async def _on_response(self, response):
        if response.status_code >= 400:
            await response.aread()
        self._answered(response)

    def _finish(self, answer):
        return self._loop.run_until_complete(settle(answer)) if inspect.isawaitable(answer) else answer

    def at_once(self, calls):
        """Runs calls, each a function of the SDK's client, at the same time; their answers, in order."""
        if self._loop is None:
            with ThreadPoolExecutor(len(calls)) as pool:
                return list(pool.map(lambda call: call(self._client), calls))

        async def together():
            return await asyncio.gather(*(call(self._client) for call in calls))

        return self._loop.run_until_complete(together())

    def close(self):
        if self._loop is None:
            self._http.close()
        else:
            self._loop.run_until_complete(self._http.aclose())
            self._loop.close()


class Facade:
    """A part of the SDK's client whose methods block and whose pagers are iterated to the end by `list`."""

    def __init__(self, part, finish):
        self._part, self._finish = part, finish

    def __getattr__(self, name):
        return Facade(getattr(self._part, name), self._finish)

    def __call__(self, *args, **kwargs):
        return self._finish(self._part(*args, **kwargs))


async def settle(answer):
    answer = await answer
    return [item async for item in answer] if isinstance(answer, AsyncPager) else answer
