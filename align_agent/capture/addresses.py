"""Where somebody lives: streets with their numbers, as a dozen countries write them.

Part of the personal data of `patterns.py`. A street alone, without a number, stays.
"""

from __future__ import annotations

from align_agent.capture.patterns import Pattern, pattern

# Words that end a street's name in English. Those that name other things as often (Lake, Station,
# Field) are left out: after them only what an address is called by name goes.
_STREET = (
    "Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Square|Sq|Terrace|Way"
    "|Place|Pl|Crescent|Close|Parkway|Pkwy|Highway|Hwy|Trail|Circle|Alley|Plaza|Mews|Grove|Gardens"
    "|Expressway|Turnpike|Freeway|Causeway|Bypass|Motorway|Passage|Loop|Row|Walk|Crossing|Junction"
    "|Heights|Manor|Meadows|Esplanade|Throughway|Trafficway|Skyway|Viaduct"
)
_NAME = r"[A-ZÀ-ÖØ-Þ\u0100-\u017f][\w'’-]{0,24}\.?"
_SMALL = r"(?:de la|de los|de las|de l['’]|della|delle|dei|degli|del|dello|des|du|dos|das|da|do|de)"
_FLAT = r"(?:,? (?:Apt|Apartment|Suite|Unit|Flat|Level|#)\.? ?\w{1,6})?"

ADDRESSES: tuple[Pattern, ...] = (
    pattern(
        "address",
        r"(?:(?<!\w)(?:Flat|Studio|Suite|Unit|Level|Apt\.?) \w{1,6},? )?"
        r"(?<![\w.,$€£-])\d{1,5}[A-Za-z]? (?!(?:The|A|An|My|This|That|More|Other) )"
        rf"(?:[A-Z][\w'’-]{{1,24}}\.? ){{1,3}}(?:{_STREET})(?!\w)\.?{_FLAT}",
        "street st ave road rd boulevard blvd lane ln drive dr court ct square sq terrace way "
        "place pl crescent close parkway pkwy highway hwy trail circle alley mews grove gardens "
        "expressway turnpike freeway bypass passage loop row walk crossing junction heights manor "
        "meadows esplanade viaduct",
    ),
    pattern(  # German, also with the name of a person: Martha-Nowak-Weg 8
        "address",
        r"(?<!\w)[A-ZÄÖÜ](?:[A-Za-zäöüß-]{2,30}(?:straße|strasse|str\.|weg|gasse|allee|platz|ufer)"
        r"|[A-Za-zäöüß.-]{2,40}[- ](?:Straße|Strasse|Str\.|Weg|Gasse|Allee|Platz|Ufer|Ring|Damm))"
        r" \d{1,4}(?: ?[a-z](?!\w))?(?:/\d{1,3})?(?![\w])(?:, ?\d{5} [A-ZÄÖÜ][\wäöüß-]{1,30})?",
        "straße strasse str. weg gasse allee platz ufer ring damm",
    ),
    pattern(  # Dutch
        "address",
        r"(?<!\w)[A-Z][\w.'’ -]{1,30}(?:straat|laan|plein|gracht|kade|steeg|singel|dreef|dijk)"
        r" \d{1,4}[a-z]?(?:-\d{1,3})?(?!\w)",
        "straat laan plein gracht kade steeg singel dreef dijk",
    ),
    pattern(  # French: the number first
        "address",
        r"(?<![\w.,-])\d{1,4}(?: bis| ter)?,? (?:rue|avenue|boulevard|chemin|impasse|quai|place)"
        r" (?:de la |des |de |du |d['’])?[A-ZÀ-Ý][\w'’-]{1,30}(?: [A-ZÀ-Ý][\w'’-]{1,30}){0,2}",
        "rue avenue boulevard chemin impasse quai place",
    ),
    pattern(  # Spanish, Italian, Portuguese: the number last
        "address",
        r"(?<!\w)(?:Calle|C/|Avenida|Avda\.|Av\.|Plaza|Paseo|Camino|Ronda|Glorieta|Pasaje|Callejón"
        r"|Via|Viale|Vicolo|Piazza|Corso|Largo|Strada|Contrada|Borgo|Rua|Travessa|Praça|Alameda"
        r"|Viela|Estrada|Rodovia|Ladeira|Jardim|Recanto|Quadra) ?"
        rf"(?:{_SMALL} ?)?{_NAME}(?: (?:{_SMALL} )?{_NAME}){{0,3}},?(?: n[º°.])? \d{{1,4}}"
        r"(?:,? ?(?:Piso|Apt|Puerta|Appartamento|Piano)\.? ?\w{1,4})?(?!\w)",
        "calle c/ aven avda av. plaza paseo camino ronda glorieta pasaje callej via viale vicolo "
        "piazza corso largo strada contrada borgo rua travessa praça alameda viela estrada rodovia "
        "ladeira jardim recanto quadra",
    ),
    pattern(  # Polish
        "address",
        r"(?<!\w)(?:[Uu]l\.|[Uu]lica|[Aa]l\.|[Aa]leja|[Pp]l\.|[Pp]lac|[Oo]s\.)"
        rf"(?: {_NAME}){{1,3}} \d{{1,4}}[a-z]?(?:/\d{{1,4}})?(?!\w)",
        "ul. ulica al. aleja pl. plac os.",
    ),
    # Whatever is called an address, if a number and a name are in it.
    pattern(
        "address",
        r"(?P<keep>(?i:(?<![^\W_])(?:(?<!ip )(?<!mail )(?<!mac )(?<!web )address(?: is)?|adresse"
        r"|adres|dirección|indirizzo|endereço|(?:live|lives|living|located) at"
        r"|(?:ship|send|sent|deliver|delivered)(?: (?:it|this|them))? to|wohne in|habite(?: au)?)"
        r":? ))(?:the )?"
        rf"(?:(?:(?:Apt|Apartment|Suite|Unit|Flat|Studio|Level)\.? \w{{1,6}},? )?\d{{1,5}}[A-Za-z]?"
        rf"(?:[/-]\d{{1,4}}[A-Za-z]?)?,?(?: {_NAME}){{1,5}}{_FLAT}"
        rf"|(?:[a-z]{{2,12}}\.? )?(?:{_SMALL} )?(?:{_NAME} ){{1,5}}?(?:{_NAME}, )?\d{{1,5}}"
        rf"[A-Za-z]?(?:/\d{{1,4}})?{_FLAT})(?!\w)",
        "addres adres direcci indirizzo endere live living located ship sen deliver wohne habite",
    ),
)
