// Thumbs below an answer, on channels whose buttons come back to a plugin.

import { rate } from "./commands.js";
import { shortRun } from "./observer.js";

export const NAMESPACE = "align";
export const CHANNELS = ["telegram", "discord", "slack", "mattermost", "msteams"];
const MAX_CALLBACK = 64; // bytes that Telegram allows

/** The payload with thumbs, or undefined to leave it as it is. */
export function withThumbs(plugin, event, ctx) {
  const { payload, channel = ctx?.channelId } = event;
  const run = shortRun(event.runId ?? ctx?.runId);
  const session = event.sessionKey ?? ctx?.sessionKey;
  if (!plugin.settings.buttons || !CHANNELS.includes(channel) || !run || !session) return undefined;
  if (event.kind !== "final" || !payload?.text?.trim() || payload.isError) return undefined;
  if (event.usageState && event.usageState.provider !== plugin.settings.provider) return undefined;
  const blocks = payload.presentation?.blocks ?? [];
  if (blocks.some((block) => block.type === "buttons")) return undefined;
  const values = ["up", "down"].map((verdict) => `${NAMESPACE}:${verdict}:${run}`);
  if (values.some((value) => Buffer.byteLength(value) > MAX_CALLBACK)) return undefined;
  plugin.observer.runs.set(run, session);
  const buttons = values.map((value, place) => ({
    label: place ? "👎" : "👍",
    action: { type: "callback", value },
  }));
  const presentation = { ...payload.presentation, blocks: [...blocks, { type: "buttons", buttons }] };
  return { payload: { ...payload, presentation } };
}

/** A thumb was pressed. */
export async function pressed(plugin, ctx) {
  const data = ctx.callback?.payload ?? ctx.interaction?.payload ?? ctx.payload ?? "";
  const [, verdict, run] = /^(up|down):([\w-]{1,40})$/.exec(data) ?? [];
  if (!verdict || ctx.auth?.isAuthorizedSender === false) return { handled: Boolean(verdict) };
  const id = `btn-${run}-${verdict}-${ctx.callbackId ?? ctx.interactionId ?? ""}`.slice(0, 100);
  const session = plugin.observer.runs.get(run) ?? "";
  const wanted = { session, run, up: verdict === "up", id: id.replace(/[^\w.:-]/g, "") };
  const { refused } = await rate(plugin, ctx, wanted);
  if (refused) return { handled: true }; // the buttons stay for the owner
  await Promise.resolve(ctx.respond?.clearButtons?.()).catch(() => {}); // a sign is enough
  return { handled: true };
}
