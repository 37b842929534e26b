"""Runs code in a notebook's kernel, as a browser does, and prints what it printed.

Run with the workbench's own Python. Standard input: JSON ``{url, user, password, ca_file, code}``; ``url`` is the
workbench's at the gateway. Standard output: JSON ``{output, error}``, ``error`` empty where the code raised none.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import uuid
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

SECONDS = 90


class Workbench:
    """One person's workbench."""

    def __init__(self, asked: dict[str, str]) -> None:
        self.url = asked["url"].rstrip("/")
        trust = ssl.create_default_context(cafile=asked["ca_file"])
        self.options: dict[str, Any] = {
            "auth_username": asked["user"],
            "auth_password": asked["password"],
            "ssl_options": trust,
            "request_timeout": SECONDS,
        }
        self.headers: dict[str, str] = {}

    async def request(self, method: str, path: str, body: str | None = None) -> Any:
        """Send a request with what a page of the workbench gave against forged ones."""
        asked = HTTPRequest(self.url + path, method=method, body=body, headers=self.headers, **self.options)
        return await AsyncHTTPClient().fetch(asked)

    async def enter(self) -> None:
        """Load the first page."""
        page = await self.request("GET", "/lab")
        cookie = next(c.split(";")[0] for c in page.headers.get_list("Set-Cookie") if c.startswith("_xsrf="))
        self.headers = {"Cookie": cookie, "X-XSRFToken": cookie.partition("=")[2].strip('"')}

    async def run(self, code: str) -> dict[str, str]:
        """Start a kernel, run the code, and end the kernel."""
        kernel = json.loads((await self.request("POST", "/api/kernels", "{}")).body)["id"]
        address = f"{self.url.replace('https:', 'wss:')}/api/kernels/{kernel}/channels"
        channel = await websocket_connect(HTTPRequest(address, headers=self.headers, **self.options))
        try:
            await channel.write_message(json.dumps(execution(code)))
            return await printed(channel)
        finally:
            channel.close()
            await self.request("DELETE", f"/api/kernels/{kernel}")


def execution(code: str) -> dict[str, Any]:
    """Return the message that runs code."""
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": uuid.uuid4().hex, "version": "5.3"}
    content = {"code": code, "silent": False, "allow_stdin": False}
    rest: dict[str, Any] = {"parent_header": {}, "metadata": {}, "channel": "shell", "buffers": []}
    return {"header": {**header, "username": ""}, "content": content, **rest}


async def printed(channel: Any) -> dict[str, str]:
    """Collect what is printed until the code has ended."""
    output, error = "", ""
    while True:
        message = json.loads(await channel.read_message())
        kind, content = message["msg_type"], message["content"]
        if kind == "stream" and content["name"] == "stdout":
            output += content["text"]
        elif kind == "error":
            error = "\n".join(content["traceback"])
        of = message["parent_header"].get("msg_type")
        if (kind, of) == ("status", "execute_request") and content["execution_state"] == "idle":
            return {"output": output, "error": error}


async def main() -> None:
    """Do what standard input asks for."""
    asked = json.load(sys.stdin)
    workbench = Workbench(asked)
    await workbench.enter()
    found = await asyncio.wait_for(workbench.run(asked["code"]), SECONDS)
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())
