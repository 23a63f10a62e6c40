// The plugin's settings. It talks to this machine only: any other address turns it off.

const LOOPBACK = new Set(["127.0.0.1", "localhost", "[::1]"]);

/** Settings with their defaults; `problem` says in words why the plugin must stay silent. */
export function readSettings(given = {}) {
  const settings = {
    url: String(given.url || "http://127.0.0.1:8377").replace(/\/+$/, ""),
    token: String(given.token || ""),
    provider: String(given.provider || "align"),
    buttons: given.buttons !== false,
    problem: "",
  };
  try {
    const url = new URL(settings.url);
    if (url.protocol !== "http:" || !LOOPBACK.has(url.hostname)) {
      settings.problem =
        `plugins.entries.align-agent.config.url is ${url.origin}, which is not this machine; ` +
        "use http://127.0.0.1 and the port of `align-agent serve`";
    }
  } catch {
    settings.problem = "plugins.entries.align-agent.config.url is no address";
  }
  return settings;
}
