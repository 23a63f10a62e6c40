// OpenClaw's plugin of align-agent. It observes, and never decides: each hook returns at once, and
// nothing that fails here reaches the chat. It talks to one loopback address and to nothing else.

import os from "node:os";
import path from "node:path";

import { CHANNELS, NAMESPACE, pressed, withThumbs } from "./lib/buttons.js";
import { ask } from "./lib/client.js";
import { alignCommand, rateCommand } from "./lib/commands.js";
import { Observer } from "./lib/observer.js";
import { Outbox } from "./lib/outbox.js";
import { readSettings } from "./lib/settings.js";

// The handlers of a discovery are those that a later run calls, as seen with OpenClaw 2026.9.
const LIVE = new Set(["full", "discovery"]);

// `register` may run several times in one process; what waits to be sent outlives that.
const made = new Map();

export function create(settings, log = () => {}, env = process.env) {
  const outbox = new Outbox({
    file: path.join(stateFolder(env), "align-agent", "spool.jsonl"),
    send: async (events) => (await ask(settings, "POST", "/v1/align/events", { events })).status,
    log,
  });
  const observer = new Observer({ provider: settings.provider, emit: (event) => outbox.add(event) });
  return { settings, outbox, observer, log };
}

function stateFolder(env) {
  if (env.OPENCLAW_STATE_DIR) return env.OPENCLAW_STATE_DIR;
  return path.join(env.OPENCLAW_HOME || env.HOME || os.homedir(), ".openclaw");
}

function pluginFor(settings, log) {
  const key = JSON.stringify(settings);
  if (!made.has(key)) made.set(key, create(settings, log));
  return made.get(key);
}

/** The hook's handler, so that no failure of ours is OpenClaw's. */
function guarded(plugin, work) {
  return (event, ctx) => {
    try {
      return work(event ?? {}, ctx ?? {});
    } catch (error) {
      plugin.log(`a hook failed: ${error.message}`);
      return undefined;
    }
  };
}

export function register(api) {
  const log = (text) => api.logger?.warn?.(`align-agent: ${text}`);
  const settings = readSettings(api.pluginConfig);
  const mode = api.registrationMode ?? "full";
  if (settings.problem) {
    if (mode === "full") log(settings.problem);
    return;
  }
  if (!LIVE.has(mode)) return;
  const plugin = pluginFor(settings, log);
  const { observer } = plugin;
  const on = (hook, work) => api.on(hook, guarded(plugin, work));

  on("message_received", (event, ctx) => observer.messageReceived(event, ctx));
  on("llm_input", (event, ctx) => observer.sessionSeen(event, ctx));
  on("session_start", (event, ctx) => observer.sessionPhase("start", event, ctx));
  on("session_end", (event, ctx) => observer.sessionPhase("end", event, ctx));
  on("before_reset", (event, ctx) => observer.sessionPhase("reset", event, ctx));
  on("before_compaction", (event, ctx) => observer.sessionPhase("compaction", event, ctx));
  on("after_tool_call", (event, ctx) => observer.toolCalled(event, ctx));
  on("llm_output", (event, ctx) => observer.answered(event, ctx));
  on("message_sent", (event, ctx) => observer.messageSent(event, ctx));
  on("reply_payload_sending", (event, ctx) => withThumbs(plugin, event, ctx));
  on("gateway_stop", () => plugin.outbox.stop());

  api.registerCommand({
    name: "rate",
    description: "Rate the last answer: up or down, and why if you like.",
    acceptsArgs: true,
    handler: (ctx) => rateCommand(plugin, ctx),
  });
  api.registerCommand({
    name: "align",
    description: "What the model has learned: status, why, rollback, forget.",
    acceptsArgs: true,
    handler: (ctx) => alignCommand(plugin, ctx),
  });
  for (const channel of settings.buttons ? CHANNELS : []) {
    api.registerInteractiveHandler({
      channel,
      namespace: NAMESPACE,
      handler: (ctx) => pressed(plugin, ctx),
    });
  }
  if (mode !== "full") return; // a look at what there is starts nothing
  api.registerService({
    id: "align-agent",
    // What an earlier process could not deliver.
    start: () => void plugin.outbox.soon(500),
    stop: () => plugin.outbox.stop(),
  });
}

export default {
  id: "align-agent",
  name: "align-agent",
  description: "Feedback for the model that learns from you overnight.",
  register,
};
