"""Names that nobody should choose, and somebody will."""

SCRIPT = "<script>document.title='owned'</script>"
CLOSING = "</style></svg><img src=x onerror=alert(1)>"
LONG = "x" * 10_000
RIGHT_TO_LEFT = "\u202egnp.exe \u05d0\u05d1\u05d2"
EMOJI = "\U0001f600 agent \U0001f468\u200d\U0001f469\u200d\U0001f467"
MARKDOWN = "a|b `c` [x](https://example.com) @everyone <details>"
FORMULA = '=HYPERLINK("http://example.com","x")'
MATHS = "$\\frac{1}{0}$ \x00\x1b[31m"
NAMES = (SCRIPT, CLOSING, LONG, RIGHT_TO_LEFT, EMOJI, MARKDOWN, FORMULA, MATHS)
