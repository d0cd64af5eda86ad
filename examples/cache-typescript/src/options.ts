import { invalid } from "./failure";

/** What the operator may write under `options`. */
export interface Options {
  /** How long an entry lives that does not say so itself. */
  ttlMs: bigint;
  /** How many entries are kept; the least recently used goes first. */
  maxEntries: number;
}

const MAX_ENTRIES = 1_000_000;
const UNITS: Record<string, bigint> = { ms: 1n, s: 1_000n, m: 60_000n, h: 3_600_000n, d: 86_400_000n };

/** Reads the JSON object of the config; throws `invalid-argument`. */
export function parseOptions(json: string): Options {
  const options: Options = { ttlMs: 3_600_000n, maxEntries: 10_000 };
  for (const [key, value] of Object.entries(parseObject(json))) {
    switch (key) {
      case "ttl":
        options.ttlMs = parseDuration(value);
        break;
      case "max_entries":
        options.maxEntries = parseCount(value);
        break;
      default:
        throw invalid(`unknown option \`${key}\`: the options are \`ttl\` and \`max_entries\``);
    }
  }
  return options;
}

function parseObject(json: string): object {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    value = undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid("options must be one JSON object");
  }
  return value;
}

function parseDuration(value: unknown): bigint {
  const match = typeof value === "string" ? /^([0-9]{1,15})(ms|s|m|h|d)$/.exec(value) : null;
  const unit = UNITS[match?.[2] ?? ""];
  const length = BigInt(match?.[1] ?? 0);
  if (unit === undefined || length === 0n) {
    throw invalid('option `ttl` must be a duration above zero: write for instance "30s" or "10m"');
  }
  return length * unit;
}

function parseCount(value: unknown): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 1 || value > MAX_ENTRIES) {
    throw invalid(`option \`max_entries\` must be a whole number from 1 to ${MAX_ENTRIES}`);
  }
  return value;
}
