// What Slack answers: a status, and in the body whether it took the message.

import type { Error as Reason } from "stheno:provider/types@0.1.0";

import { Failure } from "./failure";

/** The most characters of Slack's own words in an error. */
const WORDS = 100;

type Kind = Extract<Reason["tag"], "denied" | "unavailable" | "timeout" | "invalid-argument">;

/** What is not the message's fault. */
const KINDS: Record<string, Kind> = {
  not_authed: "denied",
  invalid_auth: "denied",
  account_inactive: "denied",
  token_revoked: "denied",
  token_expired: "denied",
  missing_scope: "denied",
  no_permission: "denied",
  ratelimited: "unavailable",
  rate_limited: "unavailable",
  service_unavailable: "unavailable",
  // It may have posted before it failed.
  fatal_error: "timeout",
  internal_error: "timeout",
  request_timeout: "timeout",
};

/** The id of the message in its channel; throws what went wrong. */
export function readAnswer(status: number, body: string): string {
  if (status === 429 || (status >= 500 && status !== 504)) {
    throw failure("unavailable", `Slack answered ${status}`);
  }
  if (status === 504) {
    throw failure("timeout", `Slack answered ${status}`);
  }
  if (status === 401 || status === 403) {
    throw failure("denied", `Slack answered ${status}`);
  }
  const answer = parsed(body);
  if (status !== 200 || typeof answer.ok !== "boolean") {
    throw new Failure({ tag: "internal", val: `Slack answered ${status}, and nothing that it documents` });
  }
  if (answer.ok && typeof answer.ts === "string") {
    return answer.ts;
  }
  const why = typeof answer.error === "string" ? answer.error.slice(0, WORDS) : "it does not say why";
  throw failure(KINDS[why] ?? "invalid-argument", `Slack refused the message: ${why}`);
}

interface Answer {
  ok?: unknown;
  ts?: unknown;
  error?: unknown;
}

function parsed(body: string): Answer {
  try {
    const answer: unknown = JSON.parse(body);
    return typeof answer === "object" && answer !== null ? answer : {};
  } catch {
    return {};
  }
}

function failure(tag: Kind, val: string): Failure {
  return new Failure({ tag, val });
}
