// A client of the omnisphere router in Node: unary, stream, cancel, deadline, and errors that a program can read.
// The contracts are loaded from the .proto files; nothing is generated.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";
import { readDetails } from "./rich_error.js";

const PROTOS = join(dirname(fileURLToPath(import.meta.url)), "../../protos");
const TARGET = process.env.OMNISPHERE_ROUTER || "127.0.0.1:50051";
const BUSY_MODEL = process.env.OMNISPHERE_BUSY_MODEL || "";

// One client for the whole program. The numbers are those of every client of the mesh; a quicker ping than every 10 s
// is refused. grpc-js takes round robin and retries from the service config. It passes over two things: waitForReady, so
// that every call says it in its metadata; and healthCheckConfig, so that it leaves a router that drains only when that
// closes the connection, 30 s old at most. A call that is lost on the way ends as CANCELLED; whether to ask again is the
// caller's decision.
function connect(target) {
  const definition = protoLoader.loadSync("omnisphere/router/v1/router_service.proto", {
    includeDirs: [PROTOS],
    enums: String,
    longs: String,
    defaults: true,
    oneofs: true,
  });
  const { RouterService } = grpc.loadPackageDefinition(definition).omnisphere.router.v1;
  return new RouterService(`dns:///${target}`, grpc.credentials.createInsecure(), {
    "grpc.service_config": readFileSync(join(PROTOS, "omnisphere/service_config.json"), "utf8"),
    "grpc.service_config_disable_resolution": 1,
    "grpc.keepalive_time_ms": 20_000,
    "grpc.keepalive_timeout_ms": 5_000,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.max_receive_message_length": 32 * 1024 * 1024,
    "grpc.max_send_message_length": 32 * 1024 * 1024,
  });
}

const ask = (text) => ({ messages: [{ role: "ROLE_USER", parts: [{ text }] }] });
const within = (ms) => ({ deadline: Date.now() + ms });
const patient = () => new grpc.Metadata({ waitForReady: true }); // for a router that restarts; until the deadline
const usd = (cost) => `$${(Number(cost.nanousd) / 1e9).toFixed(6)}`;

function complete(client, request, options = within(60_000)) {
  return new Promise((resolve, reject) => {
    client.Complete(request, patient(), options, (error, reply) => (error ? reject(error) : resolve(reply)));
  });
}

async function failureOf(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("the call did not fail");
}

function must(fact, said) {
  if (!fact) throw new Error(said);
}

async function unary(client) {
  const reply = await complete(client, { conversation: ask("Translate 'cheese' into French, in Node.") });
  const text = reply.message.parts.map((part) => part.text ?? "").join("");
  must(text && reply.finishReason === "FINISH_REASON_STOP", `no whole answer: ${reply.finishReason}`);
  return `${reply.decision.model} for ${usd(reply.cost)}: ${text.slice(0, 30)}...`;
}

async function stream(client) {
  let pieces = 0;
  let end;
  const request = { conversation: ask("Tell me about rivers, in Node.") };
  for await (const event of client.StreamComplete(request, patient(), within(60_000))) {
    if (event.event === "delta") pieces += 1;
    if (event.event === "end") end = event.end;
  }
  // A stream without `end` is not complete, whatever its status.
  must(pieces > 0 && end, `${pieces} pieces, end: ${Boolean(end)}`);
  return `${pieces} pieces, then the end: ${usd(end.cost)}`;
}

async function cancel(client) {
  const call = client.StreamComplete({ conversation: ask("Talk until I leave, in Node.") }, patient(), within(60_000));
  const read = async () => {
    for await (const event of call) {
      if (event.event === "delta") call.cancel(); // the router ends the call to the model, and nothing more is billed
    }
  };
  const error = await failureOf(read());
  must(error.code === grpc.status.CANCELLED, `expected CANCELLED: ${error.message}`);
  return `left after the first piece: ${grpc.status[error.code]}`;
}

async function deadline(client) {
  const error = await failureOf(complete(client, { conversation: ask("Answer me at once, in Node.") }, within(30)));
  must(error.code === grpc.status.DEADLINE_EXCEEDED, `expected DEADLINE_EXCEEDED: ${error.message}`);
  return `30 ms were not enough: ${grpc.status[error.code]}`;
}

async function richError(client) {
  const error = await failureOf(complete(client, { conversation: ask("Hello"), model: "gpt-99" }));
  const { reason, metadata } = readDetails(error);
  must(error.code === grpc.status.NOT_FOUND, `expected NOT_FOUND: ${error.message}`);
  must(reason === "UNKNOWN_MODEL" && metadata.name === "gpt-99", `expected UNKNOWN_MODEL: ${reason}`);
  return `${grpc.status[error.code]} ${reason}: ${metadata.known.split(",").length} others are known`;
}

// Needs a model whose provider limits the rate just now; whoever runs the examples can name one.
async function busy(client) {
  if (!BUSY_MODEL) return "skipped: OMNISPHERE_BUSY_MODEL names no model";
  const error = await failureOf(complete(client, { conversation: ask("Hurry, in Node!"), model: BUSY_MODEL }));
  const { reason, retryAfterSeconds } = readDetails(error);
  must(reason === "PROVIDER_RATE_LIMITED" && retryAfterSeconds > 0, `expected PROVIDER_RATE_LIMITED: ${error.message}`);
  return `${grpc.status[error.code]} ${reason}: again in ${retryAfterSeconds}s`;
}

const client = connect(TARGET);
let failed = 0;
for (const [name, show] of Object.entries({ unary, stream, cancel, deadline, error: richError, busy })) {
  try {
    console.log(`ok   ${name.padEnd(9)}${await show(client)}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name.padEnd(9)}${error.message}`);
  }
}
client.close();
process.exit(failed ? 1 : 0);
