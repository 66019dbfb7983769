"""python -m operate: the commands for a deployed stack."""

import typer

from operate import alert_test, backup, board, commands, pull_request, rotation, shop, slo, unanswered, upgrade
from toolchain.report import readable_errors

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


@app.callback()
def main() -> None:
    """Deploy a stack, check it, back it up, change it, remove it."""


app.command()(commands.up)
app.command()(commands.preview)
app.command("check")(commands.check_stack)
app.command()(unanswered.unanswered)
app.command()(board.board)
app.command("alert-test")(alert_test.alert_test)
app.command()(commands.down)
app.command()(commands.drift)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(upgrade.upgrade)
app.command()(slo.slo)
app.command()(rotation.rotate)
app.command("shop")(shop.up)
app.command("shop-down")(shop.down)
app.command()(pull_request.pull_request)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(commands.pulumi)


if __name__ == "__main__":
    with readable_errors():
        app()
