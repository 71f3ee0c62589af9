"""Writes dates.tsv: dates as people write them, and the same day as ISO 8601 writes it.

    python make_pairs.py > dates.tsv

The same lines on every machine and with every Python from 3.11 on: the days and the styles come from one seed.
"""

import datetime
import random

SEED = 0
LINES = 6_000
FIRST, LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def ordinal(day: int) -> str:
    """1st, 2nd, 3rd, 4th, … 31st."""
    ending = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


def styles(date: datetime.date) -> tuple[str, ...]:
    """All the ways that this file writes a date."""
    day, month, year = date.day, MONTHS[date.month - 1], date.year
    return (
        f"{day} {month} {year}",
        f"{month} {day}, {year}",
        f"{month[:3]} {day} {year}",
        f"{ordinal(day)} of {month} {year}",
        f"{DAYS[date.weekday()]}, {day} {month[:3]} {year}",
        f"{day}.{date.month}.{year}",
    )


def main() -> None:
    """Prints the pairs, a line each."""
    draw = random.Random(SEED)
    dates = [FIRST + datetime.timedelta(days) for days in range((LAST - FIRST).days + 1)]
    for date in draw.sample(dates, LINES):
        print(f"{draw.choice(styles(date))}\t{date.isoformat()}")


if __name__ == "__main__":
    main()
