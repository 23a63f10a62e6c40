// One request to align-agent. node:http, so that no proxy of the environment ever sees it.

import http from "node:http";

const MAX_ANSWER = 1_000_000;

/** The answer's status and JSON. Rejects when there is none in time. */
export function ask(settings, method, path, body, timeoutMs = 3000) {
  return new Promise((resolve, reject) => {
    const data = body === undefined ? "" : JSON.stringify(body);
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(data) };
    if (settings.token) headers.authorization = `Bearer ${settings.token}`;
    const request = http.request(new URL(settings.url + path), { method, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece) => {
        text += piece;
        if (text.length > MAX_ANSWER) request.destroy(new Error("the answer is too long"));
      });
      response.on("end", () => finish(resolve, { status: response.statusCode, data: parsed(text) }));
      response.on("error", (error) => finish(reject, error));
    });
    const timer = setTimeout(() => request.destroy(new Error("no answer in time")), timeoutMs);
    timer.unref?.();
    function finish(settle, value) {
      clearTimeout(timer);
      settle(value);
    }
    request.on("error", (error) => finish(reject, error));
    request.end(data);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
