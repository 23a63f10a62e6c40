// From OpenClaw's hooks to events. Remembers a little of each run, bounded; sends nothing itself.

import { createHash } from "node:crypto";

const SIZE = 500;
const MAX_TEXT = 100_000;

export function digest(...parts) {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

/** A run's name as align-agent and a button's few bytes know it. */
export function shortRun(run) {
  const name = String(run ?? "");
  if (!name) return "";
  return name.length <= 40 && /^[\w-]+$/.test(name) ? name : digest(name);
}

class Bounded extends Map {
  set(key, value) {
    this.delete(key);
    super.set(key, value);
    if (this.size > SIZE) this.delete(this.keys().next().value);
    return this;
  }
}

export class Observer {
  constructor({ provider, emit, now = Date.now }) {
    Object.assign(this, { provider, emit, now });
    this.heard = new Bounded(); // session -> the human's message that came last
    this.tools = new Bounded(); // run -> its tool calls
    this.named = new Bounded(); // session id -> session
    this.answers = new Bounded(); // session -> response id of the last answer
    this.runs = new Bounded(); // short run -> session
  }

  messageReceived(event, ctx) {
    const session = event.sessionKey ?? ctx?.sessionKey;
    if (!session) return;
    this.heard.set(session, {
      text: text(event.content),
      sender: word(event.senderId ?? ctx?.senderId ?? event.from),
      channel: word(ctx?.channelId ?? event.metadata?.surface),
    });
  }

  /** Whose session an id is, before the first request: once compacted, histories do not tell. */
  sessionSeen(event, ctx) {
    const session = ctx?.sessionKey ?? event?.sessionKey;
    const id = ctx?.sessionId ?? event?.sessionId;
    if (!session || !id || this.named.get(id) === session) return;
    this.named.set(id, session);
    this.session(session, id, "seen", digest("seen", session, id));
  }

  sessionPhase(phase, event, ctx) {
    const session = event?.sessionKey ?? ctx?.sessionKey;
    const id = event?.sessionId ?? ctx?.sessionId;
    if (session && id) this.session(session, id, phase, digest(phase, session, id, this.now()));
  }

  session(session, id, phase, key) {
    this.emit({ type: "session", id: `ses-${key}`, at: this.now(), session, session_id: id, phase });
  }

  toolCalled(event, ctx) {
    const run = event.runId ?? ctx?.runId;
    if (!run) return;
    const details = event.result?.details ?? {};
    const calls = this.tools.get(run) ?? [];
    calls.push({
      call: word(event.toolCallId),
      name: word(event.toolName),
      exit: Number.isInteger(details.exitCode) ? details.exitCode : null,
      failed: Boolean(event.error) || event.result?.isError === true || details.status === "failed",
      ms: Number.isFinite(event.durationMs) ? Math.max(0, event.durationMs) : null,
    });
    this.tools.set(run, calls.slice(-200));
  }

  answered(event, ctx) {
    const response = event.lastAssistant?.responseId;
    const session = ctx?.sessionKey ?? event.sessionKey;
    if (event.provider !== this.provider || !response || !session) return;
    const trigger = word(ctx?.trigger);
    const human = !trigger || trigger === "user" || trigger === "manual";
    const heard = (human && this.heard.get(session)) || {};
    const run = event.runId ?? ctx?.runId;
    if (human) {
      this.heard.delete(session);
      this.answers.set(session, response);
    }
    this.runs.set(shortRun(run), session);
    this.emit({
      type: "answer",
      id: `ans-${digest(run, response)}`,
      at: this.now(),
      session,
      session_id: word(ctx?.sessionId ?? event.sessionId),
      response: word(response),
      run: shortRun(run),
      trigger,
      sender: heard.sender ?? "",
      channel: heard.channel ?? word(ctx?.channelId),
      text: heard.text ?? "",
      tools: this.tools.get(run) ?? [],
    });
    this.tools.delete(run);
  }

  /** What went out as which message of a channel, so that a reaction to it finds its turn. */
  messageSent(event, ctx) {
    const session = event.sessionKey ?? ctx?.sessionKey;
    const message = word(event.messageId ?? ctx?.messageId);
    const channel = word(ctx?.channelId ?? event.channel);
    if (event.success === false || !message || !channel || !this.answers.has(session)) return;
    this.emit({
      type: "sent",
      id: `msg-${digest(session, channel, message)}`,
      at: this.now(),
      session,
      channel,
      message,
      run: shortRun(event.runId ?? ctx?.runId),
      text: text(event.content),
    });
  }
}

export function word(value) {
  return value === undefined || value === null ? "" : String(value).slice(0, 200);
}

function text(value) {
  return typeof value === "string" ? value.slice(0, MAX_TEXT) : "";
}
