"""`make shop` and `make shop-down`: the example application, beside a stack that is deployed."""

import json
import re
import secrets
import time
from collections.abc import Mapping
from typing import Annotated, Any

import docker
import requests
import typer
from docker.errors import NotFound

from config.settings import Settings
from operate.program import Program
from operate.stack_file import Name, load_settings
from toolchain import engine_setup
from toolchain.images import shop as shop_images
from toolchain.paths import REPOSITORY
from toolchain.report import Step, ToolchainError, console

PATIENCE_SECONDS = 120
"""Limit for all health checks together: Products and Users wait for PostgreSQL, and Nginx for all."""


def up(
    stack: Name = "dev",
    listen: Annotated[
        str, typer.Option(envvar="LISTEN", help="address:port of its Nginx; empty: as before, at first 127.0.0.1:8080.")
    ] = "",
) -> None:
    """Builds the shop, deploys it in the stack's network for applications, waits until it is healthy, and prints its
    addresses."""
    settings = load_settings(stack)
    if listen and not re.fullmatch(r"\S+:\d{1,5}", listen):
        raise ToolchainError(f"LISTEN: {listen} is not an address:port", fix="for example LISTEN=127.0.0.1:8090")
    client = engine_setup.connect(settings.docker)
    try:
        client.networks.get(settings.apps_network)
    except NotFound:
        raise ToolchainError(f"the stack {stack} does not run", fix=f"make up STACK={stack}") from None
    shop = Program(stack, shop_images.FOLDER)
    shop.create()
    values = json.loads(shop.ask("config", "--json", "--stack", stack))
    wanted = config(settings, shop_images.images(client), listen)
    shop.ask("config", "rm", "docker", "--stack", stack)  # left by the host that was used before
    shop.ask(
        "config",
        "set-all",
        "--stack",
        stack,
        "--path",
        *(f"--plaintext={key}={value}" for key, value in wanted.items()),
    )
    if not values.get("shop:database_password", {}).get("secret"):  # a plain value is the default
        password = secrets.token_urlsafe(24)
        shop.ask("config", "set", "--secret", "database_password", "--stack", stack, stdin=password)
    pack = ("--policy-pack", str(REPOSITORY / "policies"))
    shop.plan(*pack)
    shop.update("up", *pack)
    outputs = shop.outputs()
    with Step("the shop is well") as step:
        _wait_until_well(client, outputs["containers"], outputs["shop"], step)
    for name in ("shop", "user"):
        console.print(f"{name}: {outputs[name]}")


def config(settings: Settings, images: Mapping[str, str], listen: str) -> dict[str, str]:
    """The config of the shop's program: path of a key → value. The shop reaches the engine as the stack's program
    does."""
    docker = settings.docker.seen_from("../..")
    return {
        "docker.host": docker.host,
        **({"docker.certificates": docker.certificates} if docker.certificates else {}),
        **{f"docker.ssh_options[{number}]": option for number, option in enumerate(docker.ssh_options)},
        "network": settings.apps_network,
        "prefix": f"{settings.prefix}-shop",
        **({"listen": listen} if listen else {}),
        **{f"images.{service}": image for service, image in images.items()},
    }


def down(stack: Name = "dev") -> None:
    """Removes the shop with all its data, and leaves the stack alone."""
    shop = Program(stack, shop_images.FOLDER)
    if shop.exists():
        shop.update("destroy")
        shop.pulumi("stack", "rm", "--yes")


def _wait_until_well(client: docker.DockerClient, names: list[str], url: str, step: Step) -> None:
    deadline, title = time.monotonic() + PATIENCE_SECONDS, step.title
    while unwell := [name for name in names if not _well(client, name)] or not _answers(url):
        what = ", ".join(unwell) if isinstance(unwell, list) else url
        step.title = f"{title}, waiting up to {PATIENCE_SECONDS} s for: {what}"
        if time.monotonic() > deadline:
            raise ToolchainError(f"not well: {what}", fix="`docker logs` of these says why")
        time.sleep(1)
    step.title = title


def _well(client: docker.DockerClient, name: str) -> bool:
    state: dict[str, Any] = client.containers.get(name).attrs["State"]
    return bool(state.get("Health", {}).get("Status") == "healthy")


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/products", timeout=5).ok
    except requests.RequestException:
        return False
