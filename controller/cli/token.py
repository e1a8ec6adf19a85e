"""The command that makes a person's token: token."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rollbackd.controller.cli.options import prints
from rollbackd.controller.cli.show import show

if TYPE_CHECKING:
    from rich.console import Console


@click.command(
    short_help="Make a token for a person, and its hash for the config.",
    epilog="Examples:\n\n\b\n  rollbackd token --file ann.token    # give Ann the file; its hash goes to api.people.ann.token_hash",
)
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path), help="A new file for the token, for its owner only. Default: it is shown.")
@prints
def token(file: Path | None, output: str) -> None:
    """Make a token for a person. The daemon's config needs only its hash (api.people.NAME.token_hash), from which nobody gets the token."""
    from rollbackd.controller.api.token import ensure_token, hash_of, new_token

    if file is not None and file.exists():
        raise click.ClickException(f"{file} exists; nothing was made; name another file")
    made = ensure_token(file) if file is not None else new_token()
    document = {"token_hash": hash_of(made.encode()), **({"token": made} if file is None else {"token_file": str(file)})}

    def table(out: "Console") -> None:
        for name, value in document.items():
            out.print(f"{name}: {value}", markup=False, soft_wrap=True)

    show(document, output, table)
