"""DSPy: native function calling in a hand-written loop would be the model's; here its tools are called directly."""

import os

import dspy
from slow_tools import read, search

lm = dspy.LM("openai/gpt-4o-mini", api_base=os.environ["OPENAI_BASE_URL"], api_key="x", cache=False)
tools = [dspy.Tool(search), dspy.Tool(read)]


class Library(dspy.Module):
    def forward(self, question):
        lm(question)
        found = [tools[0](query="agents"), tools[1](page="one")]
        return dspy.Prediction(answer=lm(question + " ".join(found))[0])


print(Library()(question="What is it?").answer)
