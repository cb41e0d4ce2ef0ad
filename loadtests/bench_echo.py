"""The reference of the order route: it decodes an order and answers it. `python -m loadtests.bench_echo PORT`.

The same server, the same framework, the same kind of route, the same decoder; no token, no venue, no storage. Prints
a line once it answers, and ends with SIGTERM.
"""

import sys
from typing import Any

import msgspec
import uvicorn
import uvloop
from litestar import Litestar
from litestar.handlers import asgi

from exchange import serving
from exchange.web.orders import (
    BATCH_LIMIT,
    SINGLE_LIMIT,
    decode_batch,
    decode_order,
    read_body,
    respond,
)

JSON = (b"content-type", b"application/json")
ENCODE = msgspec.json.Encoder().encode


@asgi("/v1/orders", copy_scope=False)
async def echo_order(scope: Any, receive: Any, send: Any) -> None:
    order = decode_order(await read_body(receive, SINGLE_LIMIT))
    await respond(send, 201, ENCODE(order), JSON)


@asgi("/v1/orders/batch", copy_scope=False)
async def echo_batch(scope: Any, receive: Any, send: Any) -> None:
    orders = decode_batch(await read_body(receive, BATCH_LIMIT))
    await respond(send, 200, ENCODE(orders), JSON)


async def _serve(port: int) -> None:
    app = Litestar(route_handlers=[echo_order, echo_batch], openapi_config=None, logging_config=None)
    configuration = serving.configuration(app)
    configuration.port = port
    server = uvicorn.Server(configuration)
    await server.serve()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
