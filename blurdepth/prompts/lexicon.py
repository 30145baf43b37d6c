"""The words that `prompts` understands, as data. All phrases are lower case, words parted by one space."""

from __future__ import annotations

WEATHER: dict[str, tuple[str, float]] = {
    "fog": ("fog", 0.6),
    "foggy": ("fog", 0.6),
    "fogbound": ("fog", 0.8),
    "mist": ("fog", 0.35),
    "misty": ("fog", 0.35),
    "smog": ("smog", 0.7),
    "smoggy": ("smog", 0.7),
    "smoke": ("smog", 0.7),
    "smoky": ("smog", 0.7),
    "pollution": ("smog", 0.5),
    "polluted": ("smog", 0.5),
    "dust storm": ("smog", 0.9),
    "sandstorm": ("smog", 1.0),
    "haze": ("haze", 0.6),
    "hazy": ("haze", 0.6),
    "dust": ("haze", 0.6),
    "dusty": ("haze", 0.6),
    "rain": ("rain", 0.6),
    "rainy": ("rain", 0.6),
    "raining": ("rain", 0.6),
    "rainfall": ("rain", 0.6),
    "drizzle": ("rain", 0.3),
    "raindrops": ("rain", 0.5),
    "pouring": ("rain", 0.9),
    "raining cats and dogs": ("rain", 1.0),
    "shower": ("rain", 0.5),
    "downpour": ("rain", 0.9),
    "storm": ("rain", 0.9),
    "stormy": ("rain", 0.8),
    "thunderstorm": ("rain", 1.0),
    "snow": ("snow", 0.6),
    "snowy": ("snow", 0.6),
    "snowing": ("snow", 0.6),
    "snowfall": ("snow", 0.6),
    "sleet": ("snow", 0.4),
    "blizzard": ("snow", 1.0),
    "snowstorm": ("snow", 0.9),
    "whiteout": ("snow", 1.0),
    "snowflakes": ("snow", 0.5),
    "snow covered": ("snow", 0.6),
    "wet": ("wet", 0.7),
    "puddles": ("wet", 0.8),
    "spray": ("wet", 0.8),
    "rain soaked": ("wet", 0.9),
    "slick": ("wet", 0.6),
    "reflections": ("wet", 0.6),
    "dusk": ("dusk", 0.7),
    "twilight": ("dusk", 0.8),
    "sunset": ("dusk", 0.6),
    "sunrise": ("dusk", 0.5),
    "dawn": ("dusk", 0.6),
    "evening": ("dusk", 0.6),
    "golden hour": ("dusk", 0.4),
    "night": ("night", 1.0),
    "nighttime": ("night", 1.0),
    "nightfall": ("night", 0.8),
    "midnight": ("night", 1.0),
    "dark": ("night", 0.8),
    "darkness": ("night", 0.9),
    **dict.fromkeys(("low light", "poor light", "poorly lit", "dimly lit", "dim light", "dim"), ("low_light", 0.7)),
    **dict.fromkeys(("underexposed", "under exposed", "low key"), ("low_light", 0.5)),
    **dict.fromkeys(("camera curve", "tone curve", "filmic", "film look", "jpeg look"), ("camera_curve", 0.7)),
    **dict.fromkeys(("contrasty", "high contrast"), ("camera_curve", 0.9)),
    "noise": ("noise", 0.6),
    "noisy": ("noise", 0.6),
    "grain": ("noise", 0.5),
    "grainy": ("noise", 0.5),
    "high iso": ("noise", 0.8),
    "film grain": ("noise", 0.5),
}

FAIR = frozenset({"clear", "sunny", "sunshine", "daylight", "daytime", "day", "bright", "midday", "noon", "dry"})

STRENGTHS: dict[str, float] = {
    **dict.fromkeys(
        ("slight", "slightly", "light", "mild", "faint", "thin", "soft", "subtle", "a bit of", "a little", "some"), 0.3
    ),
    **dict.fromkeys(("moderate", "medium"), 0.55),
    **dict.fromkeys(("heavy", "dense", "thick", "strong", "severe", "intense", "hazardous", "deep"), 0.9),
    **dict.fromkeys(("extreme", "blinding", "torrential", "total"), 1.0),
}
DEGREES: dict[str, float] = {
    "less": 0.5,
    **dict.fromkeys(("very", "really", "quite"), 1.15),
    **dict.fromkeys(("extremely", "incredibly", "super"), 1.3),
}
"""By how much the strength after the word is to be multiplied."""

_VEHICLES = """
vehicle vehicles truck trucks lorry lorries bus buses coach van vans minivan pickup pickups ambulance ambulances
"""
_MOTORCYCLES = """
motorcycle motorcycles motorbike motorbikes motorcyclist motorcyclists biker bikers scooter scooters moped mopeds
"""
_PEDESTRIANS = """
pedestrian pedestrians people person walkers crowd crowds man men woman women child children kids commuters
"""
ACTORS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(
        ("car", "cars", "taxi", "taxis", "cab", "sedan", "suv", "automobile", "automobiles"), ("cars", 12.0)
    ),
    **dict.fromkeys(("traffic", "rush hour"), ("traffic", 10.0)),
    "traffic jam": ("traffic jam", 2.0),
    **dict.fromkeys(_VEHICLES.split(), ("vehicles", 11.0)),
    **dict.fromkeys(("tram", "trams", "train", "trains", "streetcar"), ("trams", 10.0)),
    **dict.fromkeys(_MOTORCYCLES.split(), ("motorcycles", 13.0)),
    **dict.fromkeys(("cyclist", "cyclists", "bicycle", "bicycles", "bike", "bikes"), ("cyclists", 5.0)),
    **dict.fromkeys(_PEDESTRIANS.split(), ("pedestrians", 1.5)),
    **dict.fromkeys(("runner", "runners", "jogger", "joggers", "skateboarder", "skateboarders"), ("runners", 3.5)),
    **dict.fromkeys(("dog", "dogs", "deer", "horse", "horses"), ("animals", 4.0)),
}
"""What moves, and how fast it usually does, m/s."""

CAMERA_MOVES: dict[str, float] = {
    **dict.fromkeys(("from a moving car", "from a moving vehicle", "from a moving bus"), 12.0),
    **dict.fromkeys(("driving", "drive", "dashcam", "dash cam", "moving camera", "camera moving", "ego motion"), 12.0),
    **dict.fromkeys(("moving forward", "driving forward", "forward motion", "camera forward"), 12.0),
    **dict.fromkeys(("walking camera", "from a bicycle"), 4.0),
}
ACTORS_MOVE_TOO = frozenset({"driving", "moving forward", "driving forward"})
"""Of these, the camera's only where no actor is named before: "driving" but "a car driving"."""
CAMERA = frozenset({"camera", "ego"})
STILL_CAMERA = frozenset(
    {"static camera", "still camera", "fixed camera", "parked camera", "stationary camera", "tripod"}
)
PAN: dict[str, float] = {
    **dict.fromkeys(("panning", "panning shot", "panning camera", "camera pan", "pan", "tracking shot"), 1.5),
    **dict.fromkeys(("turning", "turning camera", "rotating camera"), 2.0),
    "whip pan": 4.0,
}
SHAKE: dict[str, float] = {
    **dict.fromkeys(("handheld", "hand held", "shaky", "camera shake", "shaking"), 0.6),
    **dict.fromkeys(("vibration", "vibrating", "bumpy"), 0.3),
}

BLUR = frozenset(
    {"motion blur", "motion blurred", "blur", "blurred", "blurry", "smeared"} | {"streaked", "light trails"}
)
MOTION = frozenset({"in motion", "moving", "motion", "passing"})
"""Words that ask for blur, but for stillness after a negation ("cars not moving")."""
PACE: dict[str, float] = {
    **dict.fromkeys(("speeding", "fast", "fast moving", "racing", "rushing", "rapid"), 1.6),
    **dict.fromkeys(("rapidly", "quick", "quickly", "speed", "high speed", "hurrying"), 1.6),
    **dict.fromkeys(("running", "sprinting"), 2.0),
    **dict.fromkeys(("walking", "strolling", "riding", "travelling", "traveling"), 1.0),
    **dict.fromkeys(("slow", "slow moving", "slowly", "crawling"), 0.5),
}
STILL = frozenset({"static", "still", "frozen", "parked", "stationary", "standing", "stopped", "motionless"})
SHARP = frozenset({"sharp", "crisp", "in focus", "freeze frame"})

DIRECTIONS: dict[str, str] = {
    **dict.fromkeys(("to the left", "leftward", "leftwards", "from right to left", "right to left"), "left"),
    **dict.fromkeys(("to the right", "rightward", "rightwards", "from left to right", "left to right"), "right"),
    **dict.fromkeys(("oncoming", "approaching", "towards the camera", "toward the camera", "towards us"), "oncoming"),
}
HEADINGS: dict[str, str] = {"left": "left", "right": "right"}
"""Directions only after something that moves; else a place."""
PLACES = frozenset(
    {f"{words} {side}" for words in ("on the", "at the", "on") for side in ("left", "right")}
) | frozenset({f"{side} {words}" for words in ("lane", "side") for side in ("left", "right")})

SHUTTERS: dict[str, float] = {
    **dict.fromkeys(("long exposure", "slow shutter", "slow shutter speed", "long shutter"), 0.125),
    **dict.fromkeys(
        ("short exposure", "fast shutter", "fast shutter speed", "short shutter", "high shutter speed"), 1 / 60
    ),
}

QUANTITY_NAMES = frozenset({"shutter speed", "shutter", "exposure time", "exposure"})
"""Names of what the number beside them says already; "speed" alone would mean fast."""

SPEED_UNITS: dict[str, float] = {
    **dict.fromkeys(("m/s", "mps", "metres per second", "meters per second"), 1.0),
    **dict.fromkeys(("km/h", "kmh", "kph", "kmph", "kilometres per hour", "kilometers per hour"), 1 / 3.6),
    **dict.fromkeys(("mph", "miles per hour"), 0.44704),
}
TIME_UNITS: dict[str, float] = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 1e-3),
}

_SCENES = """
street streets city urban town village downtown road roads highway motorway freeway boulevard avenue
lane intersection junction crossing bridge tunnel suburb suburban rural countryside alley square
market scene photo photograph picture image buildings trees sidewalk
"""
SCENES = frozenset(_SCENES.split())
"""Words of the place: they change nothing, but a prompt of these alone is not beyond understanding."""

_STOP_WORDS = """
a an the and or of in on at with by from to for over through across into under along down up its is
are be as that this there very it details detail going while during past but any
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
NEGATIONS = frozenset(
    {"no", "not", "without", "never"} | {verb + end for verb in ("isn", "aren", "don", "doesn") for end in ("'t", "’t")}
)
