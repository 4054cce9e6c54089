"""Units of measurement that stand behind a number."""

from __future__ import annotations

_PREFIXED = (
    r"[munpμkMGTcdh]?(?:m|g|[lL]|W|Wh|V|J|N|Pa|Hz|eV|mol|cal|bar)|[mkμ]A|[mkM]Ah|[mnμ]?sec|[mnμ]s|[kKMGTP]i?B"
    r"|[kMG]?b(?:it|ps)|[kKMG]?bytes?"
)
_SHORT = (
    r"mins?|hr?s?|wks?|yrs?|mos?|secs|in|ft|yds?|mi|lbs?|oz|gal|qts?|pts?|pcs?|pp|px|ct|cts|mph|kph|kmh|rpm"
    r"|psi|hp|ppm|ha|sq|cu|tsp|tbsp|doz|am|pm|AM|PM|BCE?|CE|AD|dB|°[CFcf]?|kn"
    r"|USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|AUD|CAD|NZD|SEK|NOK|DKK|PLN"
)
_SINGULAR = (
    r"dollar|euro|cent|penny|pence|yen|yuan|won|peso|rupee|people|person|percent|degree|second|minute|hour|day"
    r"|week|month|year|mile|meter|metre|kilometer|gram|kilogram|kilo|ton|tonne|pound|ounce|liter|litre|gallon"
    r"|foot|feet|inch|yard|point|piece|time"
)
ATTACHED_UNIT = (
    rf"(?:(?:{_PREFIXED}|{_SHORT}|{_SINGULAR})[23²³]?"
    r"|(?!thirds|halves|tenths|tens|plus|minus|times|ones)[a-z]{3,}s"
    r"|(?![\u0370-\u03bb\u03bd-\u03ff])[^\W\d_a-zA-Z][^\W\d_]*)(?!\w)(?![-:'’])"
)
"""Letters attached to a number that measure or count it: `7kg`, `7cats`, but not the `D` of `3D` or `7up`."""
MEASURE = (
    r"(?:hours?|hrs?|h|minutes?|mins?|seconds?|secs?|s|days?|weeks?|wks?|months?|years?|yrs?|feet|foot|ft"
    r"|inch(?:es)?|in|yards?|yds?|miles?|mi|pounds?|lbs?|ounces?|oz|stones?|gallons?|gal|quarts?|qts?|pints?"
    r"|pts?|cups?|dollars?|bucks?|cents?|pence|euros?|quarters?|dimes?|nickels?|kilometers?|km|meters?|metres?"
    r"|m|centimeters?|cm|millimeters?|mm|kilograms?|kilos?|kg|grams?|g|tons?|lit(?:er|re)s?|l|ml|degrees?)\b"
)
"""Units of which several measure one thing: `3 hours 20 minutes`."""
