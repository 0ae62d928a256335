"""Reads the times of a data point with integers and fractions only, as a check on the program's
own reading. Instants are nanoseconds since 1970-01-01T00:00:00Z.

The input has passed the schemas, so exactly one form of the time frame has all its members right.
"""

import re
from fractions import Fraction

SECOND = 10**9
DAY = 86_400 * SECOND
FIXED = {
    "ps": Fraction(1, 1000), "ns": 1, "us": 10**3, "ms": 10**6, "sec": SECOND, "min": 60 * SECOND,
    "h": 3600 * SECOND, "d": DAY, "wk": 7 * DAY,
}
MONTHS = {"Mo": 1, "yr": 12}
FIRST_HOUR = {"night": 0, "morning": 6, "afternoon": 12, "evening": 18}
DATE_TIME = re.compile(
    r"(-?\d{4,6})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)?",
    re.ASCII,
)


class NoTime(Exception):
    """The frame states no usable time."""


def days(year, month, day):
    """Days from 1970-01-01 in the proleptic Gregorian calendar."""
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def date_of(count):
    """Year, month and day: the inverse of `days`."""
    year = 1970 + count * 400 // 146_097
    while days(year + 1, 1, 1) <= count:
        year += 1
    while days(year, 1, 1) > count:
        year -= 1
    month = next(month for month in range(12, 0, -1) if days(year, month, 1) <= count)
    return year, month, count - days(year, month, 1) + 1


def month_length(year, month):
    return days(year + month // 12, month % 12 + 1, 1) - days(year, month, 1)


def read(text):
    """(instant, offset) of a date and time."""
    found = DATE_TIME.fullmatch(text)
    if not found:
        raise NoTime
    year, month, day, hour, minute, second = (int(part or 0) for part in found.group(1, 2, 3, 4, 5, 6))
    fraction = int(((found[7] or "") + "0" * 9)[:9])
    zone_hours, zone_minutes = int(found[9] or 0), int(found[10] or 0)
    if not (1 <= month <= 12 and 1 <= day <= month_length(year, month)):
        raise NoTime
    if hour > 23 or minute > 59 or second > 60 or zone_hours > 23 or zone_minutes > 59:
        raise NoTime
    offset = (zone_hours * 3600 + zone_minutes * 60) * SECOND * (-1 if found[8] == "-" else 1)
    clock = (hour * 3600 + minute * 60 + min(second, 59)) * SECOND + fraction
    return in_range(days(year, month, day) * DAY + clock - offset), offset


def in_range(instant):
    if not days(-9998, 1, 1) * DAY <= instant <= days(9999, 12, 29) * DAY:
        raise NoTime
    return instant


def add_months(moment, months):
    instant, offset = moment
    count, clock = divmod(instant + offset, DAY)
    year, month, day = date_of(count)
    year, month = divmod(year * 12 + month - 1 + months, 12)
    if abs(year) > 9999:
        raise NoTime
    day = min(day, month_length(year, month + 1))
    return in_range(days(year, month + 1, day) * DAY + clock - offset)


def counted(moment, length, sign):
    """The instant a duration after (sign 1) or before (sign -1) another."""
    value, unit = length["value"], length["unit"]
    if value in (float("inf"), float("-inf")) or value < 0:
        raise NoTime
    value = Fraction(value)
    if unit in FIXED:
        return in_range(moment[0] + sign * value * FIXED[unit])
    whole, share = divmod(value * MONTHS[unit], 1)
    if whole > 10**6:
        raise NoTime
    near = add_months(moment, sign * int(whole))
    return near if not share else near + share * (add_months(moment, sign * (int(whole) + 1)) - near)


def is_duration(value):
    return (
        isinstance(value, dict)
        and isinstance(value.get("value"), (int, float))
        and not isinstance(value.get("value"), bool)
        and value.get("unit") in (*FIXED, *MONTHS)
    )


def effective(body):
    """(start, end) of a body, the same twice for an instant; None without a time frame."""
    frame = body.get("effective_time_frame")
    if frame is None:
        return None
    if isinstance(frame.get("date_time"), str):
        instant, _ = read(frame["date_time"])
        return instant, instant
    interval = frame["time_interval"]
    start, end, length = (interval.get(name) for name in ("start_date_time", "end_date_time", "duration"))
    if is_duration(length) and isinstance(start, str):
        moment = read(start)
        bounds = moment[0], counted(moment, length, 1)
    elif is_duration(length) and isinstance(end, str):
        moment = read(end)
        bounds = counted(moment, length, -1), moment[0]
    elif isinstance(start, str) and isinstance(end, str):
        bounds = read(start)[0], read(end)[0]
    else:
        first, _ = read(interval["date"] + "T00:00:00Z")
        first += FIRST_HOUR[interval["part_of_day"]] * 3600 * SECOND
        bounds = first, first + 6 * 3600 * SECOND
    if bounds[1] < bounds[0]:
        raise NoTime
    return bounds
