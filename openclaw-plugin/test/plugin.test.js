import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";

import plugin, { register } from "../index.js";
import { api, folder, service, until } from "./service.js";

process.env.OPENCLAW_STATE_DIR = folder();

const KEY = "agent:main:t1";
const CTX = { sessionKey: KEY, sessionId: "s1", runId: "run-1", trigger: "user" };
const OUTPUT = { provider: "align", runId: "run-1", lastAssistant: { responseId: "chatcmpl-1" } };
const HEARD = { sessionKey: KEY, content: "hi there", senderId: "777", messageId: "9" };

function events(seen) {
  return seen.filter((one) => one.path === "/v1/align/events").flatMap((one) => one.body.events);
}

async function started(answer) {
  const server = await service(answer);
  const made = api({ url: server.url, token: "secret" });
  register(made);
  return { server, made };
}

test("the manifest and the package name the same plugin", () => {
  const read = (name) => JSON.parse(fs.readFileSync(new URL(`../${name}`, import.meta.url)));
  assert.equal(read("openclaw.plugin.json").id, plugin.id);
  assert.deepEqual(read("package.json").openclaw.extensions, ["./index.js"]);
  assert.equal(read("package.json").dependencies, undefined);
  assert.ok(fs.existsSync(new URL("../skills/align-feedback/SKILL.md", import.meta.url)));
});

test("registering returns at once, and twice does no harm", () => {
  const made = api({});
  assert.equal(register(made), undefined);
  assert.equal(register(made), undefined);
  assert.deepEqual(Object.keys(made.commands), ["rate", "align"]);
});

test("a discovery starts nothing, and other modes register nothing", () => {
  const found = api({}, "discovery");
  register(found);
  assert.deepEqual(found.services, []);
  for (const mode of ["cli-metadata", "setup-only", "tool-discovery"]) {
    const made = api({}, mode);
    register(made);
    assert.deepEqual([made.hooks, made.services], [{}, []]);
  }
});

test("an address that is not this machine turns it off", () => {
  for (const url of ["http://example.com", "https://127.0.0.1:1", "http://127.0.0.1.evil.org", "x"]) {
    const made = api({ url });
    register(made);
    assert.deepEqual(made.hooks, {}, url);
    assert.equal(made.warned.length, 1);
  }
});

test("a run becomes one event with the human's words, its tools and our answer's id", async () => {
  const { server, made } = await started();
  const { hooks } = made;
  hooks.message_received(HEARD, { channelId: "telegram" });
  const result = { details: { exitCode: 2 } };
  const call = { runId: "run-1", toolCallId: "c1", toolName: "exec", durationMs: 5, result };
  hooks.after_tool_call(call, CTX);
  assert.equal(hooks.llm_output(OUTPUT, CTX), undefined);
  await until(() => events(server.seen).length);
  const [told] = events(server.seen);
  assert.equal(server.seen[0].headers.authorization, "Bearer secret");
  const { type, session, response, run, trigger, sender, channel, text, tools } = told;
  assert.deepEqual(
    { type, session, response, run, trigger, sender, channel, text },
    {
      type: "answer",
      session: KEY,
      response: "chatcmpl-1",
      run: "run-1",
      trigger: "user",
      sender: "777",
      channel: "telegram",
      text: "hi there",
    },
  );
  assert.deepEqual(tools, [{ call: "c1", name: "exec", exit: 2, failed: false, ms: 5 }]);
  await server.close();
});

test("the same run told twice has the same id", async () => {
  const { server, made } = await started();
  made.hooks.llm_output(OUTPUT, CTX);
  made.hooks.llm_output(OUTPUT, CTX);
  await until(() => events(server.seen).length === 2);
  const [one, two] = events(server.seen);
  assert.equal(one.id, two.id);
  await server.close();
});

test("what another provider answers is not told", async () => {
  const { server, made } = await started();
  made.hooks.llm_output({ ...OUTPUT, provider: "openai" }, CTX);
  made.hooks.message_sent({ sessionKey: KEY, messageId: "1", success: true }, { channelId: "slack" });
  made.hooks.session_start({ sessionKey: KEY, sessionId: "s1" }, {});
  await until(() => events(server.seen).length);
  assert.deepEqual(events(server.seen).map((one) => one.type), ["session"]);
  await server.close();
});

test("a heartbeat does not take the words that a human said before", async () => {
  const { server, made } = await started();
  made.hooks.message_received(HEARD, {});
  made.hooks.llm_output({ ...OUTPUT, runId: "hb" }, { ...CTX, trigger: "heartbeat", runId: "hb" });
  made.hooks.llm_output(OUTPUT, CTX);
  await until(() => events(server.seen).length === 2);
  const texts = events(server.seen).map((one) => [one.trigger, one.text]);
  assert.deepEqual(texts, [["heartbeat", ""], ["user", "hi there"]]);
  await server.close();
});

test("no hook throws on any event", async () => {
  const { server, made } = await started();
  for (const hook of Object.values(made.hooks)) {
    for (const odd of [undefined, {}, { sessionKey: 1 }, { result: null }, { payload: null }]) {
      assert.doesNotThrow(() => hook(odd, undefined));
    }
  }
  await server.close();
});

test("/rate rates the last answer of the session, and says so", async () => {
  const { server, made } = await started();
  made.hooks.llm_output(OUTPUT, CTX);
  const reply = await made.commands.rate.handler({ sessionKey: KEY, args: "down too long" });
  assert.match(reply.text, /Noted: down \(too long\)/);
  const { body } = server.seen.find((one) => one.path === "/v1/align/rate");
  assert.deepEqual([body.response, body.verdict, body.why], ["chatcmpl-1", "down", "too long"]);
  assert.match((await made.commands.rate.handler({ sessionKey: KEY, args: "so-so" })).text, /Say how/);
  await server.close();
});

test("/rate is kept when nobody listens, and the chat is answered all the same", async () => {
  const { server, made } = await started();
  made.hooks.llm_output(OUTPUT, CTX);
  await until(() => server.seen.length);
  await server.close();
  const reply = await made.commands.rate.handler({ sessionKey: KEY, args: "up" });
  assert.match(reply.text, /kept/);
  made.services[0].stop();
  const spool = path.join(process.env.OPENCLAW_STATE_DIR, "align-agent", "spool.jsonl");
  assert.match(fs.readFileSync(spool, "utf8"), /"type":"rating"/);
  fs.rmSync(spool);
});

test("/align tells what the service says, and its errors", async () => {
  const status = { serving: "v2", base: "pocket", turns: { total: 5, corrected: 1 }, lost: {} };
  const { server, made } = await started(({ path: asked }) =>
    asked.endsWith("/status")
      ? { status: 200, data: status }
      : { status: 404, data: { error: { message: "there is nothing to roll back to" } } },
  );
  const say = async (args) => (await made.commands.align.handler({ sessionKey: KEY, args })).text;
  assert.match(await say("status"), /v2 of pocket answers\n5 turns, 1 corrected/);
  assert.equal(await say("rollback"), "there is nothing to roll back to");
  assert.match(await say("dance"), /\/align status/);
  await server.close();
  assert.match(await say("status"), /does not answer/);
});

test("thumbs come below a final answer where buttons work, once, and rate its run", async () => {
  const { server, made } = await started();
  const event = { kind: "final", channel: "telegram", sessionKey: KEY, runId: "run-1" };
  const payload = { text: "an answer" };
  const send = (more) => made.hooks.reply_payload_sending({ ...event, payload, ...more }, {});
  const { blocks } = send().payload.presentation;
  assert.deepEqual(blocks[0].buttons.map((one) => one.action.value), ["align:up:run-1", "align:down:run-1"]);
  assert.equal(send({ payload: send().payload }), undefined);
  assert.equal(send({ channel: "webchat" }), undefined);
  assert.equal(send({ kind: "block" }), undefined);
  assert.equal(send({ usageState: { provider: "openai" } }), undefined);

  let cleared = 0;
  const respond = { clearButtons: async () => (cleared += 1) };
  const press = { callback: { payload: "down:run-1" }, callbackId: "cb1", respond };
  assert.deepEqual(await made.handlers.telegram.handler(press), { handled: true });
  const { body } = server.seen.find((one) => one.path === "/v1/align/rate");
  assert.deepEqual([body.run, body.session, body.verdict, cleared], ["run-1", KEY, "down", 1]);
  await server.close();
});

test("who rates is told, and a refused thumb leaves the buttons to the owner", async () => {
  const refused = { status: 403, data: { error: { message: "only the owner's ratings count" } } };
  const { server, made } = await started(({ body }) =>
    body.sender === "666" ? refused : { status: 200, data: {} },
  );
  made.hooks.llm_output(OUTPUT, CTX);
  const said = { sessionKey: KEY, args: "down", senderId: "666", channel: "telegram" };
  assert.equal((await made.commands.rate.handler(said)).text, "only the owner's ratings count");
  let cleared = 0;
  const respond = { clearButtons: async () => (cleared += 1) };
  const press = { callback: { payload: "up:run-1" }, callbackId: "cb1", channel: "telegram", respond };
  await made.handlers.telegram.handler({ ...press, senderId: "666" });
  assert.equal(cleared, 0);
  await made.handlers.telegram.handler({ ...press, senderId: "777" });
  assert.equal(cleared, 1);
  const bodies = server.seen.filter((one) => one.path === "/v1/align/rate").map((one) => one.body);
  assert.deepEqual(bodies.map((one) => [one.sender, one.channel]), [
    ["666", "telegram"],
    ["666", "telegram"],
    ["777", "telegram"],
  ]);
  await server.close();
});

test("a service that hangs delays a command by seconds, not for ever", async () => {
  const { server, made } = await started(() => new Promise(() => {}));
  const before = Date.now();
  const reply = await made.commands.align.handler({ sessionKey: KEY, args: "status" });
  assert.match(reply.text, /does not answer/);
  assert.ok(Date.now() - before < 10_000);
  await server.close();
});
