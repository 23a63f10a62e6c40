// What `npm pack` does before and after: npm leaves links out, and the skills are one here,
// because the agent's own copy of them is the only one. `before` puts them in, `after` the link back.
import { cpSync, existsSync, rmSync, symlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("./skills", import.meta.url));
const source = fileURLToPath(new URL("../skills", import.meta.url));

// A copy of the plugin elsewhere has the skills themselves, and nothing beside it.
if (existsSync(source)) {
  rmSync(here, { recursive: true, force: true });
  if (process.argv[2] === "before") cpSync(source, here, { recursive: true });
  else symlinkSync("../skills", here);
}
