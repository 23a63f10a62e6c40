import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";

import { Outbox } from "../lib/outbox.js";
import { folder, until } from "./service.js";

const event = (number, more = "") => ({ id: `event-${number}`, more });

function outbox(send, options = {}) {
  const file = path.join(folder(), "deep", "spool.jsonl");
  return new Outbox({ send, file, delay: 1, ...options });
}

test("events are sent together, in their order", async () => {
  const sent = [];
  const box = outbox(async (events) => (sent.push(events.map((e) => e.id)), 200));
  for (let n = 0; n < 3; n += 1) box.add(event(n));
  await until(() => sent.length);
  assert.deepEqual(sent, [["event-0", "event-1", "event-2"]]);
  assert.equal(box.waiting.length, 0);
  assert.equal(fs.existsSync(box.file), false);
});

test("while nobody listens they lie on disk, for their owner alone, and go out later", async () => {
  let there = false;
  const sent = [];
  const send = async (events) => {
    if (!there) throw new Error("refused");
    sent.push(...events.map((e) => e.id));
    return 200;
  };
  const box = outbox(send);
  box.add(event(1));
  await until(() => fs.existsSync(box.file));
  assert.equal(fs.statSync(box.file).mode & 0o777, 0o600);
  assert.equal(fs.statSync(path.dirname(box.file)).mode & 0o777, 0o700);
  box.stop();

  there = true;
  const next = outbox(send, { file: box.file });
  next.add(event(2));
  await until(() => sent.length === 2);
  assert.deepEqual(sent, ["event-1", "event-2"]);
  await until(() => !fs.existsSync(box.file));
});

test("what was added while the service was away is kept when the process ends", async () => {
  const box = outbox(async () => 503);
  box.add(event(1));
  await until(() => box.pause > 0);
  box.add(event(2));
  box.stop();
  const kept = fs.readFileSync(box.file, "utf8").trim().split("\n").map((l) => JSON.parse(l).id);
  assert.deepEqual(kept, ["event-1", "event-2"]);
});

test("the spool is bounded by number and by size; the oldest go, and are counted", () => {
  const few = outbox(async () => 503, { maxItems: 3 });
  for (let n = 0; n < 5; n += 1) few.add(event(n));
  assert.deepEqual(few.waiting.map((e) => e.id), ["event-2", "event-3", "event-4"]);
  assert.equal(few.dropped, 2);
  const small = outbox(async () => 503, { maxBytes: 250 });
  for (let n = 0; n < 5; n += 1) small.add(event(n, "x".repeat(80)));
  assert.equal(small.waiting.length, 2);
  few.stop();
  small.stop();
});

test("one event that the service refuses does not keep the others back", async () => {
  const sent = [];
  const box = outbox(async (events) => {
    if (events.some((e) => e.id === "event-2")) return 400;
    sent.push(...events.map((e) => e.id));
    return 200;
  });
  for (let n = 0; n < 5; n += 1) box.add(event(n));
  await until(() => box.refused === 1 && box.waiting.length === 0);
  assert.deepEqual(sent, ["event-0", "event-1", "event-3", "event-4"]);
});

test("a spool with a torn line gives the rest", async () => {
  const sent = [];
  const box = outbox(async (events) => (sent.push(...events.map((e) => e.id)), 200));
  fs.mkdirSync(path.dirname(box.file), { recursive: true });
  fs.writeFileSync(box.file, `${JSON.stringify(event(1))}\n{"id": "eve`);
  assert.equal(await box.flush(), true);
  assert.deepEqual(sent, ["event-1"]);
  assert.equal(box.dropped, 1);
});

test("a disk that refuses harms nothing", () => {
  const told = [];
  const plain = path.join(folder(), "plain");
  fs.writeFileSync(plain, "a file, no folder");
  const file = path.join(plain, "align-agent", "spool.jsonl");
  const box = new Outbox({ send: async () => 503, file, log: (text) => told.push(text) });
  box.add(event(1));
  box.stop();
  assert.match(told[0], /could not be kept/);
});
