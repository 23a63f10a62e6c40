// A real HTTP server on loopback in place of align-agent, and an api as OpenClaw hands one out.

import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";

export async function service(answer = () => ({ status: 200, data: {} })) {
  const seen = [];
  const server = http.createServer((request, response) => {
    let text = "";
    request.on("data", (piece) => (text += piece));
    request.on("end", async () => {
      const asked = { method: request.method, path: request.url, headers: request.headers };
      asked.body = text ? JSON.parse(text) : undefined;
      seen.push(asked);
      const { status, data } = await answer(asked);
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(data ?? {}));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { url, seen, close, server };
}

export function folder() {
  return fs.mkdtempSync(path.join(os.tmpdir(), "align-plugin-"));
}

export function api(pluginConfig, registrationMode = "full") {
  const made = { hooks: {}, commands: {}, handlers: {}, services: [], warned: [] };
  return {
    ...made,
    pluginConfig,
    registrationMode,
    logger: { warn: (text) => made.warned.push(text) },
    on: (name, handler) => (made.hooks[name] = handler),
    registerCommand: (command) => (made.commands[command.name] = command),
    registerInteractiveHandler: (one) => (made.handlers[one.channel] = one),
    registerService: (one) => made.services.push(one),
  };
}

export async function until(what) {
  const end = Date.now() + 5000;
  while (!(await what())) {
    if (Date.now() > end) throw new Error("it did not happen in time");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
