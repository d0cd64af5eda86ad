// The last step of `npm run build`: node componentize.mjs [OUTPUT.wasm]
// turns build/provider.js into a component.

import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { componentize } from "@bytecodealliance/componentize-js";

const here = dirname(fileURLToPath(import.meta.url));
const output = resolve(process.argv[2] ?? join(here, "../../dist/guests/notifications-typescript.wasm"));

const { component } = await componentize({
  sourcePath: join(here, "build/provider.js"),
  witPath: join(here, "../../wit"),
  worldName: "notifications-provider",
  // `http` stays on: it is what `fetch` is made of, and imports `wasi:http`, for which
  // the operator grants servers.
  disableFeatures: ["stdio", "random", "clocks", "fetch-event"],
});
await mkdir(dirname(output), { recursive: true });
await writeFile(output, component);
console.error(`${relative(process.cwd(), output)}: ${component.length} bytes`);
