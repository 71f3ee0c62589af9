"""A regular expression as an automaton of bytes, in a process of its own.

An expression of a few characters may stand for more states than a machine has memory, and the library that unfolds it
cannot be stopped. A process can: this file is run as a script, reads the expression from stdin, and writes the
automaton to stdout; or it is killed. It imports nothing that takes memory by itself.
"""

from __future__ import annotations

import contextlib
import sys
from array import array
from typing import Any

BYTES = 256
COLUMNS = BYTES + 1
"""Of a state: where each byte leads, -1 where nowhere, and 1 if a match may end there, else 0."""

REFUSED, MISSING, TOO_LARGE = 10, 11, 12
"""Exit statuses: an expression that no automaton can follow (stdout says why), no library, no memory."""


def automaton(pattern: str) -> array[int]:
    """Rows of :data:`COLUMNS` numbers, one a state, the first one first. Raises ``ValueError`` where there is none.

    The library matches as searches do: of the ways to match it drops those that come after one which is whole, such as
    `yes not` in `yes|yes not`. So nothing is whole here before a NUL, which no text then has.
    """
    import outlines_core  # pyright: ignore[reportMissingImports, reportMissingTypeStubs] - an extra, without types

    library: Any = outlines_core
    vocabulary = library.Vocabulary(BYTES, {bytes([byte]): [byte] for byte in range(BYTES)})
    index = library.Index(f"(?:{pattern})\\x00", vocabulary)
    transitions: dict[int, dict[int, int]] = index.get_transitions()
    ends: set[int] = set(index.get_final_states())
    numbers: dict[int, int] = {index.get_initial_state(): 0}
    made = array("i")
    for state in (order := list(numbers)):
        row = array("i", [*[-1] * BYTES, int(transitions.get(state, {}).get(0) in ends)])
        for byte, to in sorted(transitions.get(state, {}).items()):
            if 0 < byte < BYTES:
                if to not in numbers:
                    numbers[to] = len(numbers)
                    order.append(to)
                row[byte] = numbers[to]
        made.extend(row)
    return made


def limit_memory(limit: int) -> None:
    """Lets this process have at most so many bytes, where the system can be told."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main() -> int:
    """The exit status."""
    limit_memory(int(sys.argv[1]))
    try:
        made = automaton(sys.stdin.buffer.read().decode())
        sys.stdout.buffer.write(made.tobytes())
    except ModuleNotFoundError:
        return MISSING
    except ValueError as error:
        sys.stdout.write(str(error))
        return REFUSED
    except MemoryError:
        return TOO_LARGE
    return 0


if __name__ == "__main__":
    sys.exit(main())
