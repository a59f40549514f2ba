"""What a hook and the proxy saw of one attempt becomes one attempt."""

from tests.unit.spool_story import Story

ASK = [("user", "hi")]


def seen_by_both(**hook):
    """A call that both saw: the hook from 0 to 100 ms, the proxy from 5 to 90 ms."""
    story = Story()
    ends = hook.pop("ends", 100)
    more = {"clock_point": "app_read", "first_byte_ns": 60_000_000, "chunk_count": 1} | hook
    key = story.call(0, ends, ASK, body="b", thread=7, task="t", answer="x", **more)
    story.call(
        5, 90, ASK, body="b", thread=None, answer="x", twin=key, clock_point="proxy_arrival",
        first_byte_ns=20_000_000, chunk_count=3,
    )  # fmt: skip
    move_to_start(story)
    return story


OF_STARTS = ("twin", "clock_point", "by_proxy", "transport")


def move_to_start(story):
    starts = {record["id"]: record for record in story.records if record["t"] == "attempt_start"}
    for record in story.records:
        if record["t"] == "attempt_end":
            starts[record["id"]].update({name: record.pop(name) for name in OF_STARTS if name in record})


def test_context_is_the_hooks_and_times_are_the_proxys():
    story = seen_by_both()
    [call] = story.rows("llm_call")
    [attempt] = story.rows("http_attempt")
    assert (call["thread_id"], call["task_name"], call["clock_point"]) == (7, "t", "proxy_arrival")
    assert (call["start_ns"], call["end_ns"], call["status"]) == (0, 90_000_000, "ok")
    assert (call["first_byte_ns"], call["first_token_ns"], call["chunk_count"]) == (20_000_000, 6_000_000, 3)
    assert attempt["transport"] == "httpx2"


def end_of(story, key):
    [end] = [record for record in story.records if record["t"] == "attempt_end" and record["id"] == key]
    return end


def test_how_it_went_is_the_hooks_to_say():
    story = seen_by_both()
    end_of(story, "1-1")["status"] = "cancelled"
    [call] = story.rows("llm_call")
    assert call["status"] == "cancelled"
    [call] = seen_by_both(response={"usage": {"output": 9}, "usage_source": "injected"}).rows("llm_call")
    assert (call["output_tokens"], call["usage_source"]) == (9, "injected")


def test_a_killed_agents_call_ends_when_the_proxy_saw_it_end():
    story = seen_by_both()
    story.records = [
        record for record in story.records if not (record["t"] == "attempt_end" and record["id"] == "1-1")
    ]
    [call] = story.rows("llm_call")
    assert (call["start_ns"], call["end_ns"], call["status"], call["thread_id"]) == (0, 90_000_000, "ok", 7)


def test_a_call_without_the_hooks_record_stands_alone():
    story = seen_by_both()
    story.records = [record for record in story.records if record["id"] != "1-1"]
    [call] = story.rows("llm_call")
    assert (call["start_ns"], call["end_ns"], call["clock_point"]) == (5_000_000, 90_000_000, "proxy_arrival")


def test_a_call_that_the_proxy_did_not_see_end_is_the_hooks():
    story = seen_by_both()
    story.records = [
        record for record in story.records if not (record["t"] == "attempt_end" and record["id"] == "1-2")
    ]
    [call] = story.rows("llm_call")
    assert (call["end_ns"], call["first_byte_ns"], call["clock_point"]) == (
        100_000_000,
        60_000_000,
        "app_read",
    )


def test_what_the_proxy_itself_answered_is_not_the_servers():
    story = seen_by_both()
    end_of(story, "1-1").update(status="error", http_status=502, error_type="http_502")
    end_of(story, "1-2").update(status="error", http_status=None, error_type="ClientConnectorError")
    [attempt] = story.rows("http_attempt")
    assert (attempt["http_status"], attempt["error_type"]) == (None, "ClientConnectorError")


def test_a_transport_that_sends_again_by_itself():
    story = Story()
    key = story.call(0, 100, ASK, body="b", thread=7, answer="x")
    story.call(5, 10, ASK, body="b", error_type="ServerDisconnectedError", twin=key)
    end_of(story, "1-2").update(status="error", http_status=None)
    story.call(15, 90, ASK, body="b", answer="x", twin=key)
    move_to_start(story)
    [call] = story.rows("llm_call")
    attempts = story.rows("http_attempt")
    assert (call["attempt_count"], call["status"]) == (2, "ok")
    assert sorted(attempt["start_ns"] for attempt in attempts) == [0, 15_000_000]


def test_without_a_header_the_body_tells():
    """Some transports have sent their headers before the body is known."""
    story = Story()
    for _ in range(2):  # two at once, alike
        story.call(0, 100, ASK, body="b", thread=7, by_proxy=True)
    for start in (5, 6, 200):
        story.call(start, start + 90, ASK, body="b", thread=None, transport="proxy")
    story.call(7, 90, ASK, body="other", thread=None, transport="proxy")
    move_to_start(story)
    rows = sorted(story.rows("llm_call"), key=lambda row: row["start_ns"])
    assert [(row["start_ns"], row["end_ns"], row["thread_id"]) for row in rows] == [
        (0, 95_000_000, 7),
        (0, 96_000_000, 7),
        (7_000_000, 90_000_000, None),
        (200_000_000, 290_000_000, None),
    ]
