"""`align-agent serve`: the HTTP door for any agent's client."""

from __future__ import annotations

import ipaddress
import logging
import sys
from dataclasses import replace

import click

from align_agent.cli.app import App, common
from align_agent.cli.output import note
from align_agent.config import ServerConfig
from align_agent.errors import AlignAgentError, ConfigError

SWITCH_SECONDS = 0.0005


@click.command()
@click.option("--host", default=None, help="Address to listen on, instead of server.host.")
@click.option("--port", default=None, type=click.IntRange(0, 65535), help="0: any free port.")
@common
@click.pass_obj
def command(app: App, host: str | None, port: int | None) -> None:
    """Answer OpenAI's and Anthropic's clients on this machine with the version that serves."""
    from align_agent.models.load import load_model
    from align_agent.privacy.forget import resume as finish_forgetting
    from align_agent.server.app import build_app
    from align_agent.server.listener import listen, web_server
    from align_agent.server.service import Service
    from align_agent.web.app import mount

    # One thread answers, others compute and record: none shall keep it from its turn for long.
    sys.setswitchinterval(SWITCH_SECONDS)
    settings = app.config.server
    host = host or settings.host
    check_reach(host, settings)
    # The door answers for the address that it stands at.
    config = replace(app.config, server=replace(settings, host=host))
    finish_forgetting(app.make_home())
    try:
        listener = listen(host, settings.port if port is None else port)
    except OSError as error:
        raise AlignAgentError(
            f"cannot listen on {host}: {error.strerror}",
            hint="choose another port: --port, or server.port in config.yaml",
        ) from error
    if app.config.upstream.base_url:
        note(f"{app.config.upstream.base_url} answers")
        service = Service.open(app.home, config)
    else:
        note("loading the model ...")
        service = Service.open(app.home, config, load_model(config.model))
    try:
        place = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
        note(f"serving on {place}/v1, dashboard on {place}/, Ctrl-C ends it")
        if host in ("0.0.0.0", "::") and not settings.allowed_hosts:  # noqa: S104
            note("other machines are answered by the names in server.allowed_hosts: none is set")
        application = build_app(service)
        mount(application)
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        web_server(application, timeout_graceful_shutdown=5).run(sockets=[listener])
    finally:
        service.close()


def check_reach(host: str, settings: ServerConfig) -> None:
    """Raises ConfigError for an address that others can reach when no token is set."""
    try:
        private = ipaddress.ip_address(host).is_loopback
    except ValueError:
        private = host == "localhost"
    if not private and not settings.token:
        raise ConfigError(
            f"{host} can be reached from other machines, and server.token is empty",
            hint="set server.token in config.yaml, or serve on 127.0.0.1",
        )
