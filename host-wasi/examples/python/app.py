"""A component that calls a protected resource: `run URL`. It imports `kraube:auth/tokens`, and knows nothing of logins,
refresh tokens, files or locks.

    cargo xtask wasi
    kraube-wasi run target/wasi/python.wasm https://api.example.org/resource
"""

import sys
from urllib.parse import urlsplit

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports import environment, outgoing_handler, tokens
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.wasi_http_types import Fields, OutgoingRequest, Scheme_Http, Scheme_Https


class Run(exports.Run):
    def run(self) -> None:
        try:
            arguments = environment.get_arguments()
            if len(arguments) < 2:
                raise RuntimeError("usage: app URL")
            print(call(arguments[1]).decode())
        except (Err, RuntimeError) as error:
            print(f"error: {told(error)}", file=sys.stderr)
            # The result of `wasi:cli/run` has no payload.
            raise Err(None) from None


def call(url: str) -> bytes:
    """One call, and a second one with another token where the first was answered with 401."""
    token = tokens.get_token(tokens.Options(min_valid=0)).value
    status, body = get(url, token)
    if status == 401:
        tokens.reject(token)
        status, body = get(url, tokens.get_token(tokens.Options(min_valid=0)).value)
    if status != 200:
        raise RuntimeError(f"the resource answered {status}")
    return body


def get(url: str, token: str) -> tuple[int, bytes]:
    parts = urlsplit(url)
    request = OutgoingRequest(Fields.from_list([("authorization", f"Bearer {token}".encode())]))
    request.set_scheme(Scheme_Http() if parts.scheme == "http" else Scheme_Https())
    request.set_authority(parts.netloc)
    request.set_path_with_query(parts.path + (f"?{parts.query}" if parts.query else ""))
    answer = outgoing_handler.handle(request, None)
    with answer.subscribe() as ready:
        ready.block()
    match answer.get():
        case Ok(Ok(response)):
            pass
        case Ok(Err(error)):
            raise RuntimeError(f"no answer: {type(error).__name__}")
        case _:
            raise RuntimeError("no answer")
    body = b""
    # A stream is dropped before the body that it is of, and that before its response.
    with response, response.consume() as content, content.stream() as stream:
        while True:
            try:
                body += stream.blocking_read(64 * 1024)
            except Err as end:
                if isinstance(end.value, StreamError_Closed):
                    return response.status(), body
                raise


def told(error: Exception) -> str:
    """The error of a function of the WIT package is the value of what is raised: a case, and its problem."""
    problem = getattr(getattr(error, "value", None), "value", None)
    if problem is None or not hasattr(problem, "code"):
        return str(error)
    return f"{problem.message} ({problem.code})\nhint: {problem.hint or ''}"
