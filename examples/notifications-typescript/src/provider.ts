// What the component exports: the two interfaces of the world
// `stheno:worlds/notifications-provider`, typed by the contract itself.

import "./texts";

import type { Message, Receipt } from "stheno:notifications/notifications@0.1.0";

import { version } from "../package.json";
import { readAnswer } from "./answer";
import { Failure } from "./failure";
import { type Options, parseOptions } from "./options";
import { toPost } from "./post";

let started: Options | undefined;

function options(): Options {
  if (started === undefined) {
    throw new Failure({ tag: "internal", val: "called before start" });
  }
  return started;
}

/**
 * The secret of this name in the operator's grant. The host puts it where this stands,
 * on the way to the granted server; the provider never sees it.
 */
function secret(name: string): string {
  return `__stheno_secret_${name}__`;
}

async function post(body: object): Promise<{ status: number; text: string }> {
  const request = {
    method: "POST",
    headers: {
      authorization: secret("authorization"),
      "content-type": "application/json; charset=utf-8",
    },
    body: JSON.stringify(body),
  };
  try {
    const response = await fetch(options().url, request);
    return { status: response.status, text: await response.text() };
  } catch (error) {
    // `fetch` does not say why. It may have been sent, so that is what is told; what was
    // denied stands in the host's log and in `/v1/providers`.
    throw new Failure({ tag: "timeout", val: `no answer from ${options().url}: ${String(error)}` });
  }
}

/**
 * The contract's functions wait for nothing. The engine runs a promise to its end
 * before the call returns, so each of them may be `async` here.
 */
type MayWait<T> = {
  [K in keyof T]: T[K] extends (...given: infer G) => infer R ? (...given: G) => R | Promise<R> : T[K];
};

export const lifecycle: typeof import("stheno:provider/lifecycle@0.1.0") = {
  describe: () => ({ name: "notifications-typescript", version, instances: "many", features: [] }),
  start(json) {
    started = parseOptions(json);
  },
  health: () => void options(),
  stop() {
    started = undefined;
  },
};

export const notifications: MayWait<typeof import("stheno:notifications/notifications@0.1.0")> = {
  async send(message: Message): Promise<Receipt> {
    const { status, text } = await post(toPost(message));
    return { externalId: readAnswer(status, text) };
  },
  outbox() {
    throw new Failure({ tag: "unsupported", val: "what was posted is not kept" });
  },
};
