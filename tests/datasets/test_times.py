"""Times of a column: every way people write them, one format for all, and a line for what is none."""

from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.dates import check_format
from datasets.errors import UserError
from datasets.place import Place
from datasets.times import parse_times

PLACE = Place("a.csv")
MOMENT = datetime(2020, 12, 26, 4, 46, 34, tzinfo=UTC)
SECONDS = int(MOMENT.timestamp())
DAY = SECONDS - SECONDS % 86_400


def parse(*texts, format=None, kind=None):
    return parse_times(pa.chunked_array([pa.array(list(texts), kind)]), PLACE, format)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2020-12-26T04:46:34Z", SECONDS),
        ("2020-12-26 04:46:34", SECONDS),
        ("2020-12-26 04:46:34 UTC", SECONDS),
        ("2020-12-26 04:46:34 GMT", SECONDS),
        ("2020-12-26 06:46:34+02:00", SECONDS),
        ("2020-12-25T23:16:34-0530", SECONDS),
        ("2020-12-26 05:46:34+01", SECONDS),
        ("2020/12/26 04:46:34", SECONDS),
        ("2020/12/26 4:46:34", SECONDS),
        ("2020-12-26 04:46", SECONDS - 34),
        ("2020-12-26", DAY),
        ("2020.12.26", DAY),
        (" 2020-12-26 ", DAY),
        ("Sat Dec 26 04:46:34 2020", SECONDS),
        ("Sat, 26 Dec 2020 04:46:34 GMT", SECONDS),
        ("26 Dec 2020", DAY),
        ("Dec 26, 2020", DAY),
        ("December 26, 2020", DAY),
        ("26-Dec-2020", DAY),
        ("1608957994", SECONDS),
        ("1.608957994e9", SECONDS),
    ],
)
def test_dates_and_numbers_that_are_understood(text, seconds):
    got = parse(text)
    assert (got.values[0], got.ticks) == (seconds, 1)


@pytest.mark.parametrize(
    ("texts", "format", "seconds"),
    [
        (["07.01.2021", "13.09.2020"], "%d.%m.%Y", [1_609_977_600, 1_599_955_200]),
        (["07/01/2021 23:59", "07/02/2021 00:01"], "%m/%d/%Y %H:%M", [1_625_183_940, 1_625_184_060]),
        (["1.2.2021", "11.2.2021"], "%d.%m.%Y", [1_612_137_600, 1_613_001_600]),
        (["20201226", "20201227"], "%Y%m%d", [DAY, DAY + 86_400]),
        (["12/26/20 4:46:34 AM", "12/26/20 4:46:34 PM"], "%m/%d/%y %I:%M:%S %p", [SECONDS, SECONDS + 43_200]),
        (["26.12.2020 05:46:34 +0100"], "%d.%m.%Y %H:%M:%S %z", [SECONDS]),
        (["04:46:34 26.12.2020"], "%H:%M:%S %d.%m.%Y", [SECONDS]),
    ],
)
def test_a_given_format(texts, format, seconds):
    assert parse(*texts, format=format).values.tolist() == seconds
    check_format(format)


def test_whole_numbers_may_be_read_by_a_format():
    assert parse(20201226, format="%Y%m%d").values.tolist() == [DAY]


@pytest.mark.parametrize(
    ("values", "kind", "ticks"),
    [
        ([datetime(2020, 12, 26, 4, 46, 34)], pa.timestamp("ns"), 1),
        ([datetime(2020, 12, 26, 4, 46, 34, 5000)], pa.timestamp("us"), 1000),
        ([MOMENT], pa.timestamp("ms", "Europe/Berlin"), 1),
        ([MOMENT.date()], pa.date32(), 1),
        ([MOMENT.date()], pa.date64(), 1),
    ],
)
def test_typed_dates(values, kind, ticks):
    got = parse(*values, kind=kind)
    expected = DAY if pa.types.is_date(kind) else SECONDS
    assert (got.values[0] // got.ticks, got.ticks) == (expected, ticks)


def test_fractions_keep_their_order_and_their_second():
    assert parse("1608957994.25", "1608957994.75").values.tolist() == [
        SECONDS * 10**6 + 250_000,
        SECONDS * 10**6 + 750_000,
    ]
    got = parse("2020-12-26 04:46:34.5", "2020-12-26 04:46:34")
    assert (got.values.tolist(), got.ticks) == ([SECONDS * 1000 + 500, SECONDS * 1000], 1000)
    nanoseconds = parse("2020-12-26 04:46:34.000000001")
    assert (nanoseconds.values[0], nanoseconds.ticks) == (SECONDS * 10**9 + 1, 10**9)


REFUSED = {
    "day or month": (["07.01.2021", "08.01.2021"], ["'07.01.2021' in row 1", "'%d.%m.%Y' or '%m.%d.%Y'"]),
    "day first": (["07/01/2021", "13/09/2020"], ["'13/09/2020' in row 2 begins with the day", "'%d/%m/%Y'"]),
    "month first": (["01/07/2021 3:05 PM", "01/13/2021 3:05 PM"], ["with the month", "'%m/%d/%Y %I:%M %p'"]),
    "both": (["13.09.2020", "01.02.2020", "09.13.2020"], ["mixed", "'13.09.2020' in row 1", "'09.13.2020' in row 3"]),
    "short years": (["07-01-21"], ["'%d-%m-%y' or '%m-%d-%y'"]),
    "american with comma": (["09 13, 2009"], ["'%m %d, %Y'"]),
    "iso, then another": (["2020-12-26", "26.12.2020"], ["'26.12.2020'", "row 2", "'2020-12-26'"]),
    "zone, then none": (["2020-12-26 04:46:34Z", "2020-12-26 04:46:34"], ["row 2", "write all of them one way"]),
    "utc, then none": (["2020-12-26 04:46:34 UTC", "2020-12-26 04:46:34"], ["row 2", "one way"]),
    "no such day": (["2021-02-28", "2021-02-31"], ["'2021-02-31'", "row 2"]),
    "number, then word": (["100", "soon"], ["'soon'", "row 2", "a number"]),
    "number, then date": (["100", "2020-12-26"], ["'2020-12-26'", "row 2"]),
    "word": (["soon", "later"], ["'soon'", "neither a number nor a date", "--time-format"]),
    "not a number": (["nan", "100"], ["'nan'", "row 1"]),
    "too large": (["100", "1e25"], ["1e+25", "row 2", "out of range"]),
    "infinite": (["100", "-inf"], ["row 2", "out of range"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_names_its_row_and_the_cure(case):
    texts, words = REFUSED[case]
    with pytest.raises(UserError) as caught:
        parse(*texts)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("good", "bad", "format"),
    [
        ("07.01.2021", "31.02.2021", "%d.%m.%Y"),
        ("07.01.2021", "2021-01-02", "%d.%m.%Y"),
        ("20210107", "1", "%Y%m%d"),
    ],
)
def test_what_does_not_fit_a_given_format_names_its_row(good, bad, format):
    with pytest.raises(UserError, match=f"'{bad}' as a time in row 2"):
        parse(good, bad, format=format)


@pytest.mark.parametrize(("value", "kind"), [(True, pa.bool_()), (5, pa.time64("us")), ([1], pa.list_(pa.int64()))])
def test_columns_that_hold_no_times(value, kind):
    with pytest.raises(UserError, match="which is no time"):
        parse(value, kind=kind)


@pytest.mark.parametrize("format", ["", "soon", "%Q", "%"])
def test_a_format_that_is_none(format):
    with pytest.raises(UserError, match="--time-format"):
        check_format(format)


@given(st.lists(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)), min_size=1), st.integers(-14, 14))
def test_iso_with_a_zone_is_the_moment_it_names(moments, hours):
    zone = timezone(timedelta(hours=hours))
    texts = [moment.replace(tzinfo=zone).isoformat(sep=" ", timespec="microseconds") for moment in moments]
    got = parse(*texts)
    expected = [
        (moment.replace(tzinfo=zone) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        for moment in moments
    ]
    assert [value * (10**6 // got.ticks) for value in got.values.tolist()] == expected


@given(st.lists(st.dates(datetime(1971, 1, 1).date(), datetime(2200, 1, 1).date()), min_size=1))
def test_day_first_by_its_format_equals_iso_and_is_never_guessed(days):
    iso = parse(*(day.isoformat() for day in days))
    texts = [day.strftime("%d.%m.%Y") for day in days]
    assert parse(*texts, format="%d.%m.%Y").values.tolist() == iso.values.tolist()
    with pytest.raises(UserError, match="--time-format '%d"):
        parse(*texts)
