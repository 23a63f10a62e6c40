// /rate and /align. Each answers in a few seconds, whatever the service does.

import { ask } from "./client.js";
import { digest, word } from "./observer.js";

const AWAY = "align-agent does not answer. Is `align-agent serve` running?";
const RATE_HELP = "Say how it was: /rate up, or /rate down too long";
const FORGET_MS = 150_000; // a night that runs is stopped first
const ALIGN_HELP = "/align status, /align why, /align rollback, or /align forget";

export async function rateCommand(plugin, ctx) {
  const [, verdict, why] = /^\s*(up|down|\+|-|👍|👎)(?:\s+([\s\S]*))?$/i.exec(ctx.args ?? "") ?? [];
  if (!verdict) return { text: RATE_HELP };
  if (!ctx.sessionKey) return { text: "There is no answer to rate in this chat yet." };
  const up = ["up", "+", "👍"].includes(verdict.toLowerCase());
  const { text } = await rate(plugin, ctx, { session: ctx.sessionKey, up, why: (why ?? "").trim() });
  return { text };
}

/**
 * Rate the last answer of a session, or that of a run, in the name of whoever asked for it: whether
 * that one's word counts is the service's to say. What cannot be delivered now waits.
 */
export async function rate(plugin, ctx, { session, run = "", up, why = "", id = "" }) {
  const verdict = up ? "up" : "down";
  const response = run ? "" : (plugin.observer.answers.get(session) ?? "");
  const sender = word(ctx.senderId ?? ctx.from);
  const wanted = { session, response, run, verdict, why, sender, channel: word(ctx.channel) };
  wanted.id = id || digest(wanted, Date.now());
  try {
    const { status, data } = await ask(plugin.settings, "POST", "/v1/align/rate", wanted);
    if (status !== 200) return { text: problem(status, data), refused: status === 403 };
    const reason = why ? ` (${why})` : "";
    return { text: `Noted: ${verdict}${reason}. It is learned from at night.`, refused: false };
  } catch {
    if (!response && !run) return { text: AWAY, refused: false };
    plugin.outbox.add({ type: "rating", at: Date.now(), ...wanted });
    return { text: `${AWAY} Your rating is kept and will be delivered.`, refused: false };
  }
}

export async function alignCommand(plugin, ctx) {
  const verb = (ctx.args ?? "").trim().split(/\s+/)[0].toLowerCase() || "status";
  const work = { status, why, rollback, forget }[verb];
  if (!work) return { text: ALIGN_HELP };
  try {
    return { text: await work(plugin, ctx) };
  } catch {
    return { text: AWAY };
  }
}

async function status(plugin) {
  const { status: code, data } = await ask(plugin.settings, "GET", "/v1/align/status");
  if (code !== 200) return problem(code, data);
  const lost = Object.entries(data.lost ?? {}).map(([name, count]) => `${count} ${name}`);
  const { waiting, dropped, refused } = plugin.outbox;
  return [
    `${data.serving} of ${data.base} answers`,
    ...(data.fallback ? [`warning: ${data.fallback}`] : []),
    `${data.turns.total} turns, ${data.turns.corrected} corrected`,
    data.last_night
      ? `last night: ${data.last_night.status}${data.last_night.reason ? `: ${data.last_night.reason}` : ""}`
      : "no night so far",
    ...(data.held ? [`promotion is held: ${data.held}`] : []),
    ...(lost.length ? [`lost: ${lost.join(", ")}`] : []),
    ...(data.alarm ? [`warning: ${data.alarm}`] : []),
    ...(waiting.length + dropped + refused
      ? [`events: ${waiting.length} waiting, ${dropped} dropped, ${refused} refused`]
      : []),
  ].join("\n");
}

async function why(plugin, ctx) {
  const named = ctx.sessionKey ? `?session=${encodeURIComponent(ctx.sessionKey)}` : "";
  let { status: code, data } = await ask(plugin.settings, "GET", `/v1/align/why${named}`);
  if (code === 404) ({ status: code, data } = await ask(plugin.settings, "GET", "/v1/align/why"));
  if (code !== 200) return problem(code, data);
  const turn = data.turn;
  const opinions = (turn?.feedback ?? []).map((one) => `${one.polarity} (${one.kind})`);
  return [
    ...(turn ? [`the last answer came from ${turn.version}`] : []),
    ...(opinions.length ? [`what you thought of it: ${opinions.join(", ")}`] : []),
    ...data.lines,
  ].join("\n");
}

async function rollback(plugin) {
  const wanted = { why: "/align rollback in OpenClaw" };
  const { status: code, data } = await ask(plugin.settings, "POST", "/v1/align/rollback", wanted);
  if (code !== 200) return problem(code, data);
  return `Rolled back from ${data.old} to ${data.new}. No night begins by itself or promotes until \`align-agent adapters release\`.`;
}

async function forget(plugin, ctx) {
  if (!ctx.sessionKey) return "There is no answer to forget in this chat yet.";
  const response = plugin.observer.answers.get(ctx.sessionKey) ?? "";
  const wanted = { session: ctx.sessionKey, response };
  const { status: code, data } = await ask(plugin.settings, "POST", "/v1/align/forget", wanted, FORGET_MS);
  if (code !== 200) return problem(code, data);
  const tainted = data.tainted?.length ? ` The next night replaces ${data.tainted.join(", ")}, which learned from it.` : "";
  return `Your last message and its answer are gone from align-agent for good (OpenClaw keeps its own history).${tainted}`;
}

function problem(status, data) {
  return data?.error?.message ?? `align-agent answered with ${status}`;
}
