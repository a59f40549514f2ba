"""What the demo's users ask, and what its scripted model does about it.

The facts are those of the bundled articles, and the figures are what the snippets print.
"""

from __future__ import annotations

from typing import Any, Final

from tracekit.demo.question import FollowUp, Question
from tracekit.demo.turn import ToolCall, Turn

SYSTEM_PROMPT: Final = """\
You are a careful research assistant for questions on computing, power and energy. Work in rounds: say \
in one sentence what you need, then call the tools that give it, then read what they return. Look facts \
up with search; never state a figure from memory. Do every calculation with python, and print the steps \
that matter. When two look-ups do not depend on each other, call them in the same round. Stop as soon as \
the question is answered, at the latest after six rounds.

The answer is for a reader in a hurry: two to four sentences, the figure first, with its unit, then how \
it was found and what it leaves out. Name the article a fact comes from. If the articles disagree or say \
nothing, say so."""

EXAMPLE: Final[tuple[dict[str, Any], ...]] = (
    {"role": "user", "content": "How much energy does a 60 W lamp use in an evening of five hours?"},
    {
        "role": "assistant",
        "content": "0.3 kWh: 60 W for 5 h is 300 Wh. That is its rated power; dimmed, it uses less.",
    },
)


def _search(query: str, limit: int = 3) -> ToolCall:
    return ToolCall.of("search", query=query, limit=limit)


def _python(*lines: str) -> ToolCall:
    return ToolCall.of("python", code="\n".join(lines))


SPEED: Final = Question(
    "How fast can one H100 answer a single conversation with a model of 8 billion parameters, and what "
    "limits it?",
    (
        Turn(
            "I need the bandwidth of the device and what one decode step has to read.",
            (
                _search("H100 memory bandwidth arithmetic intensity roofline"),
                _search("decode step weights read limit"),
            ),
        ),
        Turn(
            "Decode reads every weight once for each token, so the limit is bandwidth over bytes.",
            (
                _python(
                    "weights = 8e9 * 2          # bytes in sixteen-bit numbers",
                    "bandwidth = 3.35e12        # bytes a second",
                    "step = weights / bandwidth",
                    "print(f'step {step * 1e3:.2f} ms, at most {1 / step:.0f} tokens/s')",
                    "print(f'at 65 % of that: {0.65 / step:.0f} tokens/s')",
                ),
            ),
        ),
        Turn(
            "At most about 209 tokens a second, and perhaps 136 in a real engine. Each token needs all 16 "
            "GB of weights once (Prefill and decode), and 3.35 TB/s bring them in 4.78 ms (Memory bandwidth "
            "and the roofline). The arithmetic units wait meanwhile; reading the key-value cache is left "
            "out here."
        ),
        Turn(
            "",
            (
                _search("four-bit weights quality scale factor decode rate"),
                _python(
                    "for bits in (16, 8, 4.5):",
                    "    print(bits, 'bits:', round(3.35e12 / (8e9 * bits / 8)), 'tokens/s at most')",
                ),
            ),
        ),
        Turn(
            "The limit rises to about 744 tokens a second, because four-bit weights with their scale "
            "factors take about 4.5 bits each. Decode is limited by reading weights, so the rate follows "
            "their size (Short numbers); fixed costs of a step, not counted here, weigh more at this speed."
        ),
    ),
    (FollowUp("And if the weights were stored in four bits?"),),
)

CACHE: Final = Question(
    "What does a prefix cache save an agent that needs ten rounds for a task?",
    (
        Turn(
            "I need how an agent's conversation grows, and what the cache keeps.",
            (
                _search("agent conversation grows every round prompt tokens"),
                _search("prefix cache blocks agent hit rate"),
            ),
        ),
        Turn(
            "Now the sums: everything read again at each round, against only the new part.",
            (
                _python(
                    "first, added, rounds = 1500, 800, 10",
                    "prompts = [first + added * n for n in range(rounds)]",
                    "print('last prompt', prompts[-1], 'tokens')",
                    "print('without a cache', sum(prompts), 'tokens prefilled')",
                    "print('with a cache', prompts[-1], 'tokens prefilled')",
                    "print(f'saved {1 - prompts[-1] / sum(prompts):.1%}')",
                ),
            ),
        ),
        Turn(
            "The cache itself takes memory, so I check what one session holds while its tools run.",
            (
                _search("key-value cache bytes for each token layers heads", 2),
                _python("print(f'{8700 * 131072 / 2**30:.2f} GiB held at the end of the session')"),
            ),
        ),
        Turn(
            "About 83 per cent of the prefill: 8,700 tokens instead of 51,000 (Programs that ask a model "
            "what to do next). The price is memory, about 1.06 GiB for one session of a model with 128 KiB "
            "a token (The key-value cache), held or lost while tools run. Decode is not made cheaper by it."
        ),
    ),
)

ENIAC: Final = Question(
    "How many more operations does a joule buy on Frontier than on ENIAC, and who programmed ENIAC?",
    (
        Turn(
            "Two independent look-ups: ENIAC's speed, power and programmers, and Frontier's efficiency.",
            (
                _search("ENIAC programmers additions a second kilowatts", 4),
                _search("Frontier exaflop megawatts joule", 2),
            ),
        ),
        Turn(
            "",
            (
                _python(
                    "eniac = 5000 / 150e3      # additions for each joule",
                    "frontier = 1.1e18 / 21e6  # operations for each joule",
                    "print(f'ENIAC {eniac:.4f} operations/J, Frontier {frontier:.3g} operations/J')",
                    "print(f'ratio {frontier / eniac:.2g}')",
                ),
            ),
        ),
        Turn(
            "About 1.6 million million times as many: ENIAC made one addition for each 30 joules, Frontier "
            "about 52 billion operations for each joule (ENIAC and its programmers; Supercomputers and "
            "their electricity). Its first programmers were Kay McNulty, Betty Jennings, Betty Snyder, "
            "Marlyn Wescoff, Frances Bilas and Ruth Lichterman. An addition of ten decimal digits and a "
            "floating-point operation are not the same work."
        ),
    ),
)

HALL: Final = Question(
    "What does a data centre with 20 MW of computing at 70 % load use in a year, and what would a better "
    "PUE save?",
    (
        Turn(
            "I look up what PUE means and which values are usual.",
            (_search("power usage effectiveness average PUE"),),
        ),
        Turn(
            "",
            (
                _python(
                    "computing = 20 * 0.70 * 8760 / 1000   # GWh a year",
                    "for pue in (1.56, 1.10):",
                    "    print(f'PUE {pue:.2f}: {computing * pue:.1f} GWh a year')",
                    "saved = computing * (1.56 - 1.10)",
                    "print(f'saved {saved:.1f} GWh, at 12 cents {saved * 0.12:.2f} million dollars')",
                ),
            ),
        ),
        Turn(
            "A saving has a carbon side too, which depends on the grid.",
            (
                _search("carbon intensity grams coal gas hydropower life cycle", 2),
                _python("print([round(56.4e6 * g / 1e9, 1) for g in (820, 490, 24)], 'thousand tonnes')"),
            ),
        ),
        Turn(
            "About 191 GWh a year at a PUE of 1.56, and 135 GWh at 1.10: a saving of 56.4 GWh or 6.8 "
            "million dollars at 12 cents (What a data centre does with its power). In carbon that is 46 "
            "thousand tonnes if coal is saved, 28 if gas, 1.4 if hydropower (The carbon behind a "
            "kilowatt-hour). The load is taken as constant."
        ),
    ),
)

WAITING: Final = Question(
    "Why do agents leave a GPU idle, and what did time-sharing do about the same problem?",
    (
        Turn(
            "The old answer and the new problem are separate look-ups; a third tells what idling costs.",
            (
                _search("time-sharing idle computer waits for user memory thrashing"),
                _search("agent tool takes time session keeps its place in memory", 2),
                _search("board idle power watts holds a model energy depends on neighbours", 2),
            ),
        ),
        Turn(
            "How long requests wait depends on how full the machine is, so I let a queue run.",
            (
                _python(
                    "import random",
                    "draw = random.Random(1)",
                    "for load in (0.5, 0.9):",
                    "    wait = total = 0.0",
                    "    for _ in range(200_000):",
                    "        total += wait",
                    "        wait = max(0.0, wait + draw.expovariate(1) - draw.expovariate(load))",
                    "    print(f'load {load}: mean wait {total / 200_000:.2f} service times')",
                ),
                _search("queue mean time in the system utilisation", 2),
            ),
        ),
        Turn(
            "An agent's tools keep its session waiting while the board draws some 70 to 120 W for nothing "
            "(How much power a GPU draws). Time-sharing filled such gaps with other users, as long as their "
            "working sets fitted in memory (Time-sharing, or how idle time was first sold). The simulated "
            "queue shows the price: from half to nine tenths of the load, the mean wait grows from about 1 "
            "to about 9 service times."
        ),
    ),
)

COOLING: Final = Question(
    "Can a rack of 100 kW still be cooled with air?",
    (
        Turn(
            "I need how much heat air and water carry.",
            (_search("air water heat cubic metre rack flow kelvin"),),
        ),
        Turn(
            "",
            (
                _python(
                    "air = 100 / (1.2 * 12)        # kW / (kJ per m3 and K x K)",
                    "water = 100 / (4.18 * 10)     # the same, in litres",
                    "print(f'air {air:.2f} m3/s, or {air / 0.72:.1f} m/s through a door of 0.72 m2')",
                    "print(f'water {water:.2f} l/s')",
                ),
            ),
        ),
        Turn(
            "Hardly: it takes 6.9 cubic metres of air a second, almost 10 m/s through the rack's door, "
            "against 2.4 litres of water (Air, water and the heat of chips). The fans alone would take a "
            "large share, since their power grows with the cube of the flow. The figures assume 12 K and 10 "
            "K of warming."
        ),
        Turn("", (_python("print(f'{100 * 24 / 680:.1f} m3 of water a day')"),)),
        Turn(
            "About 3.5 cubic metres a day for one such rack: 2,400 kWh of heat at 680 kWh for each cubic "
            "metre (Air, water and the heat of chips). Dry coolers need none, if the coolant may be warm."
        ),
    ),
    (FollowUp("And how much water would it take to reject that heat by evaporation?", 3.0),),
)

CARBON: Final = Question(
    "How much carbon do a million agent tasks of 3 Wh each cause in different places?",
    (
        Turn(
            "I look up the intensities, and which kind of figure is meant.",
            (
                _search("carbon intensity grid Norway Poland France grams"),
                _search("average marginal market-based location", 2),
            ),
        ),
        Turn(
            "",
            (
                _python(
                    "energy = 1e6 * 3 / 1000   # kWh",
                    "for place, grams in (('below 50', 50), ('below 100', 100), ('above 600', 600)):",
                    "    print(f'{place} g/kWh: {energy * grams / 1e6:.2f} t')",
                ),
            ),
        ),
        Turn(
            "3 MWh: at most 0.15 tonnes on a grid like Norway's, 0.3 on one like France's, 1.8 and more "
            "where coal dominates (The carbon behind a kilowatt-hour). These are averages by location; the "
            "marginal figure, which a decision needs, cannot be measured directly. The making of the "
            "hardware is left out."
        ),
    ),
)

FREQUENCY: Final = Question(
    "What happens on a grid when 1,500 MW of data centres leave it within a second?",
    (
        Turn("", (_search("frequency grid load disappears inertia primary control", 4),)),
        Turn(
            "The reserve tells whether that is much; storage can answer fastest.",
            (
                _python("print(f'{1500 / 3000:.0%} of the primary reserve of continental Europe')"),
                _search("batteries frequency control milliseconds data centre swings", 2),
            ),
        ),
        Turn(
            "The turning machines speed up and the frequency rises, until primary control lowers the "
            "plants' output within seconds; 1,500 MW is half of the reserve kept in continental Europe (Why "
            "the grid hums at fifty hertz). It happened in Virginia in July 2024. Batteries answer within "
            "milliseconds (Storing electricity), and operators now ask large loads to stay connected."
        ),
    ),
)

QUESTIONS: Final = (SPEED, CACHE, ENIAC, HALL, WAITING, COOLING, CARBON, FREQUENCY)
