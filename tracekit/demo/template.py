"""The chat template that goes into the weights file: how messages become the engine's prompt.

ChatML. Tool definitions arrive as `tool_definitions` (a list of JSON texts), since llama.cpp takes no
grammar together with `tools`. A tool call in the history is written exactly as the model emitted it, so the
engine's prefix cache still holds it.
"""

from __future__ import annotations

from typing import Final

CHAT_TEMPLATE: Final = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' -}}
{%- if message.content -%}{{- message.content -}}{%- endif -%}
{%- if loop.first and message.role == 'system' and tool_definitions -%}
{{- '\\n\\nTools:' -}}
{%- for definition in tool_definitions -%}{{- '\\n' + definition -}}{%- endfor -%}
{%- endif -%}
{%- if message.tool_calls -%}
{%- for call in message.tool_calls -%}
{%- if message.content or not loop.first -%}{{- '\\n' -}}{%- endif -%}
{{- '<tool_call>{"name": "' + call.function.name + '", "arguments": ' -}}
{%- if call.function.arguments is string -%}{{- call.function.arguments -}}
{%- else -%}{{- call.function.arguments | tojson -}}{%- endif -%}
{{- '}</tool_call>' -}}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""
