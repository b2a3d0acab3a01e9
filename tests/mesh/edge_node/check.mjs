// The official OpenAI client for Node against the HTTP edge. Prints one JSON object of what it saw.
// Usage: node check.mjs BASE_URL
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "ignored", maxRetries: 0 });
const ask = (content) => [{ role: "user", content }];
const tools = [
  {
    type: "function",
    function: {
      name: "weather",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  },
];
const seen = {};

const { data: answer, response } = await client.chat.completions
  .create({ model: "claude-sonnet", messages: ask("Who are you, from Node?") })
  .withResponse();
seen.whole = {
  model: answer.model,
  text: answer.choices[0].message.content,
  cost: response.headers.get("x-omnisphere-cost-nanousd"),
  request_id: answer._request_id,
};

seen.stream = { text: "", usage: null };
for await (const chunk of await client.chat.completions.create({
  model: "gpt-5-mini",
  messages: ask("Stream to Node"),
  stream: true,
  stream_options: { include_usage: true },
})) {
  seen.stream.text += chunk.choices[0]?.delta?.content ?? "";
  seen.stream.usage = chunk.usage ?? seen.stream.usage;
}

const helper = client.chat.completions.stream({
  model: "gpt-5",
  messages: ask("Umbrella from Node, streamed"),
  tools,
  tool_choice: "required",
});
const final = await helper.finalChatCompletion();
seen.tool = final.choices[0].message.tool_calls[0].function;

const { data: answered, response: head } = await client.responses
  .create({ model: "claude-sonnet", input: "Who are you in Responses, from Node?" })
  .withResponse();
seen.response = { model: answered.model, text: answered.output_text, task: head.headers.get("x-omnisphere-task") };

const answering = client.responses.stream({
  model: "gpt-5",
  input: "Umbrella from Node in Responses, streamed",
  tools: [{ type: "function", strict: false, ...tools[0].function }],
  tool_choice: "required",
});
seen.answering = [];
for await (const event of answering) seen.answering.push(event.type);
seen.call = (await answering.finalResponse()).output[0];

seen.models = [];
for await (const model of client.models.list()) seen.models.push(model.id);

try {
  await client.chat.completions.create({ model: "no-such-model", messages: ask("x") });
} catch (error) {
  seen.unknown = { type: error.constructor.name, status: error.status, code: error.code, param: error.param };
}

// The test has the upstream break off for this model.
async function breaking(stream, textOf) {
  const broken = { text: "" };
  try {
    for await (const piece of await stream) broken.text += textOf(piece) ?? "";
    broken.ended = "quietly";
  } catch (error) {
    broken.ended = error.code;
  }
  return broken;
}
const broken = { model: "deepseek-v3.2", stream: true };
seen.broken = await breaking(
  client.chat.completions.create({ ...broken, messages: ask("Break off for Node") }),
  (chunk) => chunk.choices[0]?.delta?.content,
);
seen.brokenResponse = await breaking(
  client.responses.create({ ...broken, input: "Break off for Node in Responses" }),
  (event) => (event.type === "response.output_text.delta" ? event.delta : ""),
);

console.log(JSON.stringify(seen));
