"""Words of several languages for what opening hours are made of: only those that mean the same in all of them.

In Polish `listopad` is November and in Croatian October, in Lithuanian `pn` is Friday and in Polish Monday: such words
are left out, and so are those of two letters but for English and German, in which people write most.
"""

from __future__ import annotations

from typing import Final


def _table(words: dict[str, str]) -> dict[str, str]:
    return {word: short for short, several in words.items() for word in several.split()}


WEEKDAYS: Final = _table(
    {
        "Mo": """mo mon monday mondays montag montags lundi lundis lunes lunedì lunedi segunda segunda-feira maandag
            poniedziałek понедельник пн måndag mandag maanantai pondělí 月曜日 月""",
        "Tu": """tu tue tues tuesday tuesdays di dienstag dienstags mardi mardis martes martedì martedi terça
            terça-feira dinsdag wtorek вторник вт tisdag tirsdag tiistai úterý 火曜日 火""",
        "We": """we wed weds wednesday wednesdays mi mittwoch mittwochs mercredi mercredis miércoles miercoles
            mercoledì mercoledi quarta quarta-feira woensdag środa среда ср onsdag keskiviikko středa 水曜日 水""",
        "Th": """th thu thur thurs thursday thursdays do donnerstag donnerstags jeudi jeudis jueves giovedì giovedi
            quinta quinta-feira donderdag czwartek четверг чт torsdag torstai čtvrtek 木曜日 木""",
        "Fr": """fr fri friday fridays freitag freitags vendredi vendredis viernes venerdì venerdi sexta sexta-feira
            vrijdag piątek пятница пт fredag perjantai pátek 金曜日 金""",
        "Sa": """sa sat saturday saturdays samstag samstags sonnabend samedi samedis sábado sabado sábados sabato
            zaterdag sobota суббота сб lördag lørdag lauantai 土曜日 土""",
        "Su": """su sun sunday sundays so sonntag sonntags dimanche dimanches domingo domingos domenica zondag
            niedziela воскресенье вс söndag søndag sunnuntai neděle 日曜日 日""",
        "PH": "ph feiertag feiertags feiertage feiertagen festivos feriados",
        "SH": "sh schulferien ferien",
    }
)
MONTHS: Final = _table(
    {
        "Jan": "jan january januar jänner janvier enero gennaio janeiro januari январь",
        "Feb": "feb february februar février fevrier febrero febbraio fevereiro februari февраль",
        "Mar": "mar march märz maerz mars marzo março maart март",
        "Apr": "apr april avril abril aprile апрель",
        "May": "may mai mayo maggio maio mei май",
        "Jun": "jun june juni juin junio giugno junho июнь",
        "Jul": "jul july juli juillet julio luglio julho июль",
        "Aug": "aug august août aout agosto augustus август",
        "Sep": "sep sept september septembre septiembre settembre setembro сентябрь",
        "Oct": "oct october oktober octobre octubre ottobre outubro октябрь",
        "Nov": "nov november novembre noviembre novembro ноябрь",
        "Dec": "dec december dezember décembre decembre diciembre dicembre dezembro декабрь",
    }
)
WORDS: Final = _table(
    {
        "off": "off closed geschlossen geschl fermé ferme fermée cerrado chiuso fechado gesloten ruhetag выходной",
        "open": "open geöffnet offen",
        "Mo-Su": "daily everyday täglich tägl",
        "24/7": "always nonstop anytime",
    }
)
PHRASES: Final = {
    phrase: short
    for short, several in {
        "PH": ("public holidays", "public holiday"),
        "SH": ("school holidays", "school holiday"),
        "Mo-Su": ("7/7", "7j/7", "every day", "all days", "7 days a week", "7 days/week"),
        "24/7": ("24x7", "always open", "nonstop geöffnet", "all day", "24 hours 7 days a week"),
        "off": ("always closed",),
    }.items()
    for phrase in several
}
"""Of several words, or not of letters only."""
