// Events on their way to align-agent. They wait in memory, and on disk while nobody listens.
// Sending one twice does no harm, because the service knows each by its id.

import fs from "node:fs";
import path from "node:path";

const BATCH = 100;
const FIRST_PAUSE = 1000;
const LAST_PAUSE = 60_000;
const SAVE_AFTER = 250;

// One level up at most: `recursive` never ends on some odd file systems, and this must not block.
function makeFolder(folder) {
  for (const one of [path.dirname(folder), folder]) {
    if (!fs.existsSync(one)) fs.mkdirSync(one, { mode: 0o700 });
  }
}

export class Outbox {
  /** `send(events)` resolves to an HTTP status, or rejects when the service is not there. */
  constructor({ send, file, maxItems = 2000, maxBytes = 4_000_000, delay = 20, log = () => {} }) {
    Object.assign(this, { send, file, maxItems, maxBytes, delay, log });
    this.waiting = [];
    this.dropped = 0;
    this.refused = 0;
    this.pause = 0;
    this.busy = null;
    this.timer = null;
    this.saver = null;
    this.loaded = false;
  }

  /** Take an event. Never throws, never waits. */
  add(event) {
    this.waiting.push(event);
    this.bound();
    if (this.pause) this.saveSoon();
    this.soon(this.pause || this.delay);
  }

  /** Send all that waits. Resolves to whether nothing is left. */
  flush() {
    this.busy ??= this.sendAll().finally(() => {
      this.busy = null;
    });
    return this.busy;
  }

  /** Keep on disk what waits, at once: the process is about to end. */
  saveNow() {
    clearTimeout(this.saver);
    this.saver = null;
    try {
      if (!this.loaded) this.load();
      if (!this.waiting.length) {
        fs.rmSync(this.file, { force: true });
        return;
      }
      makeFolder(path.dirname(this.file));
      const aside = `${this.file}.${process.pid}`;
      fs.writeFileSync(aside, this.waiting.map((event) => `${JSON.stringify(event)}\n`).join(""), {
        mode: 0o600,
      });
      fs.renameSync(aside, this.file);
    } catch (error) {
      this.log(`events could not be kept on disk: ${error.message}`);
    }
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
    this.saveNow();
  }

  soon(after) {
    if (this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.flush();
    }, after);
    this.timer.unref?.();
  }

  saveSoon() {
    if (this.saver) return;
    this.saver = setTimeout(() => this.saveNow(), SAVE_AFTER);
    this.saver.unref?.();
  }

  async sendAll() {
    if (!this.loaded) this.load();
    const sent = this.waiting.length > 0;
    while (this.waiting.length) {
      const batch = this.waiting.slice(0, BATCH);
      if (!(await this.deliver(batch))) {
        this.pause = Math.min(LAST_PAUSE, this.pause ? this.pause * 2 : FIRST_PAUSE);
        this.saveNow();
        this.soon(this.pause);
        return false;
      }
      const gone = new Set(batch);
      this.waiting = this.waiting.filter((event) => !gone.has(event));
    }
    this.pause = 0;
    if (sent) this.saveNow(); // which removes the file
    return true;
  }

  /** False when the events must be kept. What the service calls unreadable is dropped alone. */
  async deliver(events) {
    let status;
    try {
      status = await this.send(events);
    } catch {
      return false;
    }
    if (status >= 200 && status < 300) return true;
    if (![400, 404, 413, 422].includes(status)) return false;
    if (events.length === 1) {
      this.refused += 1;
      this.log(`align-agent refused an event (${status}); it is dropped`);
      return true;
    }
    const half = Math.ceil(events.length / 2);
    return (await this.deliver(events.slice(0, half))) && this.deliver(events.slice(half));
  }

  load() {
    this.loaded = true;
    let text = "";
    try {
      text = fs.readFileSync(this.file, "utf8");
    } catch {
      return; // there is none: nothing was left over
    }
    const earlier = [];
    for (const line of text.split("\n")) {
      try {
        if (line) earlier.push(JSON.parse(line));
      } catch {
        this.dropped += 1; // a line that was cut off when the disk was full
      }
    }
    this.waiting = [...earlier, ...this.waiting];
    this.bound();
  }

  /** The oldest go first: the newest ones are still worth a correction. */
  bound() {
    let size = 0;
    let kept = 0;
    while (kept < Math.min(this.waiting.length, this.maxItems)) {
      size += JSON.stringify(this.waiting[this.waiting.length - 1 - kept]).length;
      if (size > this.maxBytes) break;
      kept += 1;
    }
    const over = this.waiting.length - kept;
    if (over > 0) {
      this.waiting.splice(0, over);
      this.dropped += over;
      if ((this.dropped & (this.dropped - 1)) === 0) {
        this.log(`${this.dropped} events were dropped: too many wait for align-agent`);
      }
    }
  }
}
