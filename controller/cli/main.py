"""The `rollbackd` command: what there is, and what its exit codes mean."""

import io
import os
import sys
from collections.abc import Mapping

import click

from rollbackd.controller.api.client import USAGE, ClientFault
from rollbackd.controller.cli.backtesting import backtest
from rollbackd.controller.cli.backup import backup
from rollbackd.controller.cli.compact import compact
from rollbackd.controller.cli.daemon import run
from rollbackd.controller.cli.decide import ack, approve, label, reject
from rollbackd.controller.cli.demo import demo
from rollbackd.controller.cli.doctor import doctor
from rollbackd.controller.cli.follow import audit, wait
from rollbackd.controller.cli.hands import bad, change, good, pause, rearm, resume
from rollbackd.controller.cli.live import changes, explain, history, plan, status
from rollbackd.controller.cli.notify import notify
from rollbackd.controller.cli.order import rollback, undo
from rollbackd.controller.cli.parity import parity
from rollbackd.controller.cli.policies import check, schema
from rollbackd.controller.cli.show import say
from rollbackd.controller.cli.testing import test
from rollbackd.controller.cli.token import token

SECTIONS: Mapping[str, tuple[click.Command, ...]] = {
    "Before production": (check, test, backtest, parity, schema, doctor, plan, notify, demo),
    "The daemon": (run, backup, compact, token),
    "What is going on": (status, explain, changes, history, wait, audit),
    "Deciding": (approve, reject, rollback, undo, ack, label),
    "Taking part": (change, good, bad, rearm, pause, resume),
}
EXAMPLES = """Examples:

\b
  rollbackd demo                                  # see the whole job, on this machine
  rollbackd check policies.d/                     # every fault of every policy
  rollbackd test tests/                           # unit tests of policies
  rollbackd run --config rollbackd.yaml           # the daemon
  rollbackd status                                # from another terminal
  rollbackd explain shop/checkout                 # why it acts or does not
  rollbackd pause --reason 'database move'        # act on nothing, until resume

\b
A daemon is found by --server and --token-file, by --config on its machine, by
ROLLBACKD_SERVER and ROLLBACKD_TOKEN_FILE, else by ./rollbackd.yaml.

\b
Exit codes:
  0  fine                      3  refused by a guard, or paused
  1  failed                    4  the other side could not be reached
  2  something was found       64  usage
ROLLBACKD_DEBUG=1 shows where a failure came from; NO_COLOR=1 takes the colour away.

\b
Completion:
  eval "$(_ROLLBACKD_COMPLETE=bash_source rollbackd)"       # ~/.bashrc
  eval "$(_ROLLBACKD_COMPLETE=zsh_source rollbackd)"        # ~/.zshrc
  _ROLLBACKD_COMPLETE=fish_source rollbackd | source        # config.fish
"""


class Sections(click.Group):
    """A group whose help lists its commands by what one wants to do."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One list for each section."""
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(command.name or "", command.get_short_help_str(60)) for command in commands])


@click.command(cls=Sections, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="rollbackd", prog_name="rollbackd")
def cli() -> None:
    """Watch services after every change, undo the change when the metrics prove it bad, and prove that the undo helped."""


for _commands in SECTIONS.values():
    for _command in _commands:
        cli.add_command(_command)


def main() -> None:
    """Run the command of this process; exits with its code and never shows a traceback unless ROLLBACKD_DEBUG asks for it."""
    sys.exit(outcome(sys.argv[1:]))


def outcome(args: list[str]) -> int:
    """The exit code of this command line, after its output was written."""
    try:
        code = cli.main(args, prog_name="rollbackd", standalone_mode=False)
        sys.stdout.flush()
    except click.UsageError as fault:
        _tell(fault)
        return USAGE
    except click.ClickException as fault:
        _tell(fault)
        return 1
    except ClientFault as fault:
        say(f"rollbackd: {fault}" + (f"\n  {fault.hint}" if fault.hint else ""))
        return fault.code
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:
        # The reader of our output has gone, as `| head` does; Python would complain once more while it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as fault:  # the seam: a person at a terminal gets a sentence, not a stack
        if os.environ.get("ROLLBACKD_DEBUG"):
            raise
        say(f"rollbackd: {type(fault).__name__}: {fault}\n  ROLLBACKD_DEBUG=1 shows where it came from")
        return 1
    return code if isinstance(code, int) else 0


def _tell(fault: click.ClickException) -> None:
    """What click says of it, said as we say things: it may repeat words of others."""
    words = io.StringIO()
    fault.show(words)
    if words.getvalue():
        say(words.getvalue().rstrip("\n"))
