"""The words that dates are made of, and the pattern that finds them in a text."""

import re
from datetime import time
from typing import Final

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
PARTS_OF_DAY: Final = {
    "morning": time(9),
    "noon": time(12),
    "afternoon": time(15),
    "evening": time(19),
    "night": time(21),
    "midnight": time(23, 59),
}
NUMBERS: Final = r"(?:\d{1,3}|an?|one|two|three|four|five|six|seven|eight|nine|ten|a couple of)"
HOUR_UNITS: Final = r"minutes?|mins?|hours?|hrs?"
DAY_UNITS: Final = r"days?|weeks?|months?|years?"

WEEKDAY: Final = (
    r"(?:mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:r(?:s(?:day)?)?)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)"
)
_MONTH: Final = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_MONTH_DAY: Final = r"\d{1,2}(?:st|nd|rd|th)?"
DAY: Final = (
    r"(?:today|tonight|tomorrow|tmrw|tmr|(?:the )?day after tomorrow|this (?:morning|afternoon|evening)|eod|eow|eom|"
    r"(?:the )?end of (?:the |this |next )?(?:day|week|month|year)|(?:the |this |next )weekend|"
    rf"(?:this|next) (?:week|month|year)|(?:(?:this|next|coming|the coming) )?{WEEKDAY}|"
    rf"in {NUMBERS} (?:{DAY_UNITS})|{NUMBERS} (?:{DAY_UNITS}) from (?:now|today)|"
    rf"\d{{4}}-\d{{1,2}}-\d{{1,2}}|\d{{1,2}}/\d{{1,2}}/\d{{2,4}}|\d{{1,2}}\.\d{{1,2}}\.\d{{4}}|"
    rf"(?:the )?{_MONTH_DAY} (?:of )?{_MONTH}(?:,? \d{{4}})?|{_MONTH} {_MONTH_DAY}(?:,? \d{{4}})?|"
    r"the \d{1,2}(?:st|nd|rd|th))"
)
_TIME: Final = r"(?:\d{1,2}(?::[0-5]\d)? ?[ap]\.?m\.?|(?:[01]?\d|2[0-3]):[0-5]\d|noon|midnight|\d{1,2} o'clock)"
_AT: Final = r"(?:(?:at|by|around|before) |@ ?)"
SPAN: Final = re.compile(
    r"(?<![\w#'./-])(?P<preposition>(?:(?:due|by|on|for|before|until|till|from|after|no later than) ){0,2})"
    rf"(?:(?P<day>{DAY})(?![\w'/-])"
    rf"(?:(?:,? {_AT}?|T)(?P<time>{_TIME})(?![\w'/-])|,? {_AT}(?P<hour>\d{{1,2}})(?![\w'/:.-]\w)(?!\w)|"
    r" (?:in the )?(?P<part>morning|afternoon|evening|night)(?![\w'-]))?"
    rf"|{_AT}(?P<time2>{_TIME}|\d{{1,2}})(?: |, )(?:on |for )?(?P<day2>{DAY})(?![\w'/-])"
    rf"|(?P<soon>in (?:half an?|{NUMBERS}) (?:{HOUR_UNITS}))(?![\w'-])"
    rf"|(?P<at>{_AT})?(?P<alone>{_TIME})(?![\w'/-]))",
    re.IGNORECASE,
)
# What may as well be a word of a title, unless it stands at its end or behind a preposition.
ALONE: Final = re.compile(rf"{WEEKDAY}|{_TIME}|(?:this|next) (?:week|month|year)", re.IGNORECASE)
BACKWARD: Final = re.compile(r"\b(?:earlier|sooner|forward|ahead|ago)\b", re.IGNORECASE)
PERIOD_OF_DAYS: Final = re.compile(
    rf"(?:(?:with)?in )?(?:the )?(?:next|coming) ({NUMBERS}) ({DAY_UNITS})", re.IGNORECASE
)
DURATION: Final = rf"{NUMBERS}(?: more)? (?:{DAY_UNITS}|{HOUR_UNITS})"
