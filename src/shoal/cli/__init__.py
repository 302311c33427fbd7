"""The command line: one file per command; parse, call, show.

How a command is made
---------------------
`cli/main.py` has a table with one line per command: name, module, section, one sentence.
Only the module of the command that runs is imported, so a module imports at its top what it
always needs, and inside functions what is heavy (asyncio, aiohttp). A module has

    def add_arguments(parser: Parser) -> None
    def run(args: argparse.Namespace, context: Context) -> int

* `parser` (cli/arguments.py) is an argparse parser whose errors read as the real program's;
  `parser.command` is the name the module was called by, when it serves several.
* `context` (cli/context.py) gives `context.out` (all output), `context.repository` (opened when
  first used; raises NotARepository) and `context.settings` (--force, --numcopies, …).
* `run` returns the exit code, usually `context.out.exit_code` (1 when an item failed).
* What a user can understand is raised as a ShoalError: outside an item it ends the command
  with one sentence on stderr and exit code 1; inside `with context.out.item(...)` it marks that
  item as failed and the command goes on.
* A command has no print, no sys.exit, no subprocess and no logic that a user of the library
  would miss: that is in `shoal.annex` or below.
"""
