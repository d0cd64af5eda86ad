import { invalid } from "./failure";

/** What the operator may write under `options`. */
export interface Options {
  /** Where messages are posted. */
  url: string;
}

/** Reads the JSON object of the config; throws `invalid-argument`. */
export function parseOptions(json: string): Options {
  const options: Options = { url: "https://slack.com/api/chat.postMessage" };
  for (const [key, value] of Object.entries(parseObject("options", json))) {
    if (key !== "url") {
      throw invalid(`unknown option \`${key}\`: the option is \`url\``);
    }
    options.url = parseUrl(value);
  }
  return options;
}

function parseUrl(value: unknown): string {
  try {
    if (typeof value === "string" && /^https?:$/.test(new URL(value).protocol)) {
      return value;
    }
  } catch {
    // It is none.
  }
  throw invalid('option `url` must be a URL: write for instance "https://slack.com/api/chat.postMessage"');
}

/** Reads a text that must be a JSON object. */
export function parseObject(what: string, json: string): object {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    value = undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid(`${what} must be one JSON object`);
  }
  return value;
}
