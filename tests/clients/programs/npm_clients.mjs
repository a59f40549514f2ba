// Clients of npm: openai, ai with @ai-sdk/openai, @openai/agents, and fetch itself.
// Started in the environment's folder's name: CLIENTS_NODE_MODULES says where packages are.
import { appendFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.env.CLIENTS_NODE_HOME + "/");
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const cases = new Map();
const add = (name, promise, run) => cases.set(name, [run, promise]);
const show = (...values) => console.log(values.map((v) => (typeof v === "string" ? v : JSON.stringify(v))).join(" "));
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const usage = { stream_options: { include_usage: true } };
const TWO_TOOLS = "<<tools get_weather get_time>>";

let current = null;
const epochNs = () => Math.round((performance.timeOrigin + performance.now()) * 1e6);
async function work(name, city) {
  const start_ns = epochNs();
  await sleep(300);
  appendFileSync(process.env.CLIENTS_TOOLS, JSON.stringify({ case: current, name, start_ns, end_ns: epochNs() }) + "\n");
  return `${name} in ${city}: fine`;
}
const ask = (name) => {
  const model = (process.env.CLIENTS_PREFIX ?? "case-") + name;
  const prompt = (directives = "") => `violet otter asks ${name}: what is the weather? ${directives}`.trim();
  const chat = (directives = "", more = {}) => ({ model, messages: [{ role: "user", content: prompt(directives) }], ...more });
  return { model, prompt, chat };
};
const said = (r) => [r.choices[0].message.content, r.usage.prompt_tokens];
async function heard(stream) {
  let text = "", count = 0, tokens = null;
  for await (const chunk of stream) {
    count += 1;
    text += chunk.choices[0]?.delta?.content ?? "";
    tokens = chunk.usage?.prompt_tokens ?? tokens;
  }
  return [text, count, tokens];
}
const openai = async () => new (await load("openai")).default();
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const chatTools = ["get_weather", "get_time"].map((name) => ({ type: "function", function: { name, parameters } }));

add("openai-plain", {}, async (a) => show(said(await (await openai()).chat.completions.create(a.chat()))));
add("openai-stream", {}, async (a) => show(await heard(await (await openai()).chat.completions.create(a.chat("", { stream: true })))));
add("openai-stream-usage", {}, async (a) =>
  show(await heard(await (await openai()).chat.completions.create(a.chat("", { stream: true, ...usage })))));
add("openai-stream-helper", {}, async (a) => show(said(await (await openai()).chat.completions.stream(a.chat("", usage)).finalChatCompletion())));
add("openai-break-early", { unread: true }, async (a) => {
  for await (const chunk of await (await openai()).chat.completions.create(a.chat("<<chunks 30>>", { stream: true }))) {
    show(chunk.choices[0].delta.role ?? "");
    break;
  }
});
add("openai-retry", {}, async (a) => show(said(await (await openai()).chat.completions.create(a.chat("<<429-once>>")))));
add("openai-gzip", {}, async (a) => show(said(await (await openai()).chat.completions.create(a.chat("<<gzip>>")))));
add("openai-raw", {}, async (a) => {
  const { data, response } = await (await openai()).chat.completions.create(a.chat()).withResponse();
  show(said(data), response.status, response.headers.get("x-request-id"));
});
add("openai-responses", {}, async (a) => show((await (await openai()).responses.create({ model: a.model, input: a.prompt() })).output_text));
add("openai-responses-stream", {}, async (a) => {
  const types = [];
  for await (const event of await (await openai()).responses.create({ model: a.model, input: a.prompt(), stream: true })) types.push(event.type);
  show(types);
});
add("openai-embeddings", {}, async (a) => show((await (await openai()).embeddings.create({ model: a.model, input: a.prompt() })).usage));
add("openai-error", {}, async (a) => (await openai()).chat.completions.create(a.chat("<<400>>")));
add("openai-together", { branches: true }, async (a) => {
  const client = await openai();
  show(await Promise.all([0, 1, 2].map(async (i) => said(await client.chat.completions.create(a.chat(`number ${i}`))))));
});
add("openai-tools", { sessions: 1, tools: "parallel" }, async (a) => {
  const client = await openai(), messages = a.chat(TWO_TOOLS).messages;
  const first = await client.chat.completions.create({ model: a.model, messages, tools: chatTools });
  const calls = first.choices[0].message.tool_calls;
  const results = await Promise.all(calls.map((call) => work(call.function.name, "Paris")));
  messages.push(first.choices[0].message, ...calls.map((call, i) => ({ role: "tool", tool_call_id: call.id, content: results[i] })));
  show(said(await client.chat.completions.create({ model: a.model, messages, tools: chatTools })));
});
add("fetch-plain", {}, async (a) => {
  const headers = { "content-type": "application/json", authorization: `Bearer ${process.env.OPENAI_API_KEY}` };
  const url = process.env.OPENAI_BASE_URL + "/chat/completions";
  show(said(await (await fetch(url, { method: "POST", headers, body: JSON.stringify(a.chat()) })).json()));
});
async function ai(a) {
  const kit = await load("ai"), { openai: provider } = await load("@ai-sdk/openai"), zod = await load("zod");
  const tools = Object.fromEntries(
    ["get_weather", "get_time"].map((name) => [
      name,
      kit.tool({ description: name, inputSchema: zod.z.object({ city: zod.z.string() }), execute: ({ city }) => work(name, city) }),
    ]),
  );
  return { kit, tools, chat: provider.chat(a.model), responses: provider.responses(a.model) };
}
add("ai-generate", {}, async (a) => {
  const { kit, chat } = await ai(a);
  const result = await kit.generateText({ model: chat, prompt: a.prompt() });
  show(result.text, result.usage.inputTokens);
});
add("ai-stream", {}, async (a) => {
  const { kit, chat } = await ai(a);
  const result = kit.streamText({ model: chat, prompt: a.prompt() });
  let text = "";
  for await (const part of result.textStream) text += part;
  show(text, (await result.usage).inputTokens);
});
add("ai-responses", {}, async (a) => {
  const { kit, responses } = await ai(a);
  show((await kit.generateText({ model: responses, prompt: a.prompt() })).text);
});
add("ai-tools", { sessions: 1, tools: "parallel" }, async (a) => {
  const { kit, chat, tools } = await ai(a);
  const result = await kit.generateText({ model: chat, prompt: a.prompt(TWO_TOOLS), tools, stopWhen: kit.stepCountIs?.(4) ?? kit.isStepCount(4) });
  show(result.text, result.steps.length);
});
async function agent(a) {
  const kit = await load("@openai/agents"), zod = await load("zod");
  kit.setTracingDisabled(true);
  const tools = ["get_weather", "get_time"].map((name) =>
    kit.tool({ name, description: name, parameters: zod.z.object({ city: zod.z.string() }), execute: ({ city }) => work(name, city) }));
  return [kit, new kit.Agent({ name: "weather", model: a.model, tools })];
}
add("agents-run", { sessions: 1, tools: "parallel" }, async (a) => {
  const [kit, made] = await agent(a);
  show((await kit.run(made, a.prompt(TWO_TOOLS))).finalOutput);
});
add("agents-stream", { sessions: 1, tools: "parallel" }, async (a) => {
  const [kit, made] = await agent(a);
  const result = await kit.run(made, a.prompt(TWO_TOOLS), { stream: true });
  for await (const _ of result) { /* to the end */ }
  await result.completed;
  show(result.finalOutput);
});

if (process.argv[2] === "--list") {
  console.log(JSON.stringify(Object.fromEntries([...cases].map(([name, [, promise]]) => [name, promise]))));
} else {
  for (const name of process.argv.slice(2)) {
    current = name;
    console.log(`=== ${name}`);
    try {
      await cases.get(name)[0](ask(name));
    } catch (error) {
      show("raised", error.constructor.name, String(error.message).slice(0, 200));
      if (process.env.CLIENTS_DEBUG) console.error(error);
    }
  }
}
