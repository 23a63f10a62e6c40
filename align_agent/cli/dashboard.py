"""`align-agent dashboard`: opens the running server's pages in the browser, signed in."""

from __future__ import annotations

import socket
import webbrowser
from urllib.parse import urlencode

import click

from align_agent.cli.app import App, common
from align_agent.cli.output import emit, note, say
from align_agent.errors import AlignAgentError

_ANY = ("0.0.0.0", "::", "")  # noqa: S104  the server listens everywhere: this machine is one


@click.command()
@click.option("--port", default=None, type=click.IntRange(1, 65535), help="As given to `serve`.")
@click.option("--no-open", is_flag=True, help="Only print the address.")
@common
@click.pass_obj
def command(app: App, port: int | None, no_open: bool) -> None:
    """Open the dashboard of the server that `align-agent serve` runs on this machine.

    With a token set, the printed address opens the door for one minute.
    """
    from align_agent.server.sessions import Sessions

    settings = app.config.server
    host = "127.0.0.1" if settings.host in _ANY else settings.host
    number = port or settings.port
    place = f"http://{f'[{host}]' if ':' in host else host}:{number}"
    _reach(host, number, place)
    address = f"{place}/morning"
    if settings.token:
        ticket = Sessions.of(app.require_home(), settings.token).ticket()
        address = f"{place}/sign-in?{urlencode({'ticket': ticket, 'back': '/morning'})}"
    emit({"address": address}, app.json, lambda: say(address))
    if not (no_open or app.json) and not webbrowser.open(address):
        note("no browser could be opened here: open the address yourself")


def _reach(host: str, port: int, place: str) -> None:
    """Raises AlignAgentError where nobody listens."""
    try:
        socket.create_connection((host, port), timeout=3).close()
    except OSError as error:
        raise AlignAgentError(
            f"nothing answers on {place}", hint="start it: `align-agent serve`"
        ) from error
