"""A client that breaks HTTP gets 400, or its connection ends; uvicorn's log has a line, no traceback."""

from contextlib import suppress

from h11 import LocalProtocolError
from uvicorn.protocols.http.h11_impl import H11Protocol

_answer = H11Protocol.send_400_response


def _refuse(self: H11Protocol, msg: str) -> None:
    if self.cycle:  # a request in progress: what answers it has nobody to answer
        self.cycle.disconnected = True
        self.cycle.message_event.set()
    with suppress(LocalProtocolError):  # its answer has begun, or was given
        _answer(self, msg)
    self.transport.close()


def refuse_quietly() -> None:
    """Let every server of this process, of Streamlit too, refuse broken HTTP in this way."""
    H11Protocol.send_400_response = _refuse  # type: ignore[method-assign]
