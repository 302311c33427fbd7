"""Graphs of sizes over time, drawn by gnuplot from a script that is left for later use."""

from __future__ import annotations

from dataclasses import dataclass

from shoal.errors import ShoalError

_BEGIN = """\
set datafile separator ','
set timefmt "%Y-%m-%dT%H:%M:%S"
set xdata time
set xtics out
set ytics format '%s%c'
set tics front
set key spacing 1 font ",8"
"""


@dataclass(frozen=True, slots=True)
class Script:
    """A script that holds its data: lines of a date and sizes in bytes, between two texts.

    `header` names the columns, of which all but the date are `columns`. `titled`: they are
    named in the graph. `boxes`: a box for each date, instead of a filled curve.
    """

    header: str
    columns: int
    titled: bool
    boxes: bool

    def begin(self) -> str:
        """Give what is before the data."""
        key = "" if self.titled else "set key off\n"
        return f"{_BEGIN}{key}$data << EOD\n{self.header}\n"

    def end(self) -> str:
        """Give what is behind the data: each column is drawn on top of those after it."""
        last = self.columns + 1
        style = "boxes" if self.boxes else "filledcurves x1"
        return (
            f"EOD\n\nplot for [i=2:{last}:1] \\\n"
            f'  "$data" using 1:(sum [col=i:{last}] column(col)) \\\n'
            f"  title columnheader(i) \\\n  with {style}\n"
        )


def run_gnuplot(path: str) -> None:
    """Show the graph of a script in a window that stays. Raises ShoalError without gnuplot."""
    import subprocess

    try:
        subprocess.run(["gnuplot", "-p", path], check=False)
    except FileNotFoundError:
        raise ShoalError(
            "gnuplot is not installed; the script can be used where it is",
            hint=f"gnuplot -p {path}",
        ) from None
