// What the component exports: the two interfaces of the world
// `stheno:worlds/cache-provider`, typed by the contract itself.

import "./texts";

import { monotonicMs } from "stheno:host/clock@0.1.0";
import { write } from "stheno:host/log@0.1.0";

import { version } from "../package.json";
import { Failure } from "./failure";
import { parseOptions } from "./options";
import { Store } from "./store";

let started: Store | undefined;

function store(): Store {
  if (started === undefined) {
    throw new Failure({ tag: "internal", val: "called before start" });
  }
  return started;
}

export const lifecycle: typeof import("stheno:provider/lifecycle@0.1.0") = {
  describe: () => ({
    name: "cache-typescript",
    version,
    instances: "one",
    features: ["tags", "matching"],
  }),
  start(json) {
    const options = parseOptions(json);
    started = new Store(options, monotonicMs);
    write("debug", `keeps ${options.maxEntries} entries, for ${options.ttlMs} ms by default`);
  },
  health: () => void store(),
  stop() {
    started = undefined;
  },
};

export const cache: typeof import("stheno:cache/cache@0.1.0") = {
  get: (keys) => keys.map((key) => store().get(key)),
  getByTags: (tags) => store().getByTags(tags),
  set: (entries) => entries.forEach((entry) => store().set(entry)),
  delete: (keys) => keys.forEach((key) => store().delete(key)),
  clearTags: (tags) => store().clearTags(tags),
  clearMatching: (pattern) => store().clearMatching(pattern),
};
