"""dspy, which calls by litellm."""

import asyncio

import dspy
from casebook import case, get_time, get_weather, main, show

dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
ANSWER = "<<say [[ ## answer ## ]]\nsunny\n\n[[ ## completed ## ]]>>"


def model(ask):
    """The language model of a case."""
    return dspy.LM("openai/" + ask.model, num_retries=1)


@case()
def language_model(ask):
    show(model(ask)(ask.prompt()))


@case()
def predict(ask):
    with dspy.context(lm=model(ask)):
        show(dspy.Predict("question -> answer")(question=ask.prompt(ANSWER)).answer)


@case()
async def predict_async(ask):
    with dspy.context(lm=model(ask)):
        show((await dspy.Predict("question -> answer").acall(question=ask.prompt(ANSWER))).answer)


@case(branches=True)
def parallel(ask):
    predict = dspy.Predict("question -> answer")
    with dspy.context(lm=model(ask)):
        pairs = [
            (predict, dspy.Example(question=ask.prompt(ANSWER, who=w)).with_inputs("question")) for w in "abc"
        ]
        show([result.answer for result in dspy.Parallel(num_threads=3, disable_progress_bar=True)(pairs)])


@case(sessions=1)
def react(ask):
    fields = "[[ ## next_thought ## ]]\ndone\n\n[[ ## next_tool_name ## ]]\nfinish\n\n[[ ## next_tool_args ## ]]\n{}\n\n"
    both = (
        "<<say "
        + fields
        + "[[ ## reasoning ## ]]\nwell\n\n[[ ## answer ## ]]\nsunny\n\n[[ ## completed ## ]]>>"
    )
    with dspy.context(lm=model(ask)):
        show(
            dspy.ReAct("question -> answer", tools=[get_weather, get_time])(question=ask.prompt(both)).answer
        )


@case()
async def together(ask):
    predict = dspy.Predict("question -> answer")
    with dspy.context(lm=model(ask)):
        jobs = [predict.acall(question=ask.prompt(ANSWER, who=who)) for who in "abc"]
        show([result.answer for result in await asyncio.gather(*jobs)])


if __name__ == "__main__":
    main()
