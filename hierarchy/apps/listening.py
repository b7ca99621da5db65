"""The socket on which the page or the service listens."""

import socket

from hierarchy.errors import InputError


def listening(address: str, port: int) -> socket.socket:
    """A socket that listens on a port of this machine; 0: any free one.

    Raises:
        InputError: no address of this machine, or a port that is taken.
    """
    try:
        family, *_, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(place[:2], family=family, backlog=2048)
    except (OSError, ValueError) as error:  # the latter of a name that can be none
        reason = getattr(error, "strerror", None) or "no name of a machine"
        raise InputError(
            f"--address {address} --port {port}: {reason}; expected a free port of this machine"
        ) from None
