import type { Error as Reason } from "stheno:provider/types@0.1.0";

/**
 * An error of the contract. ComponentizeJS hands `payload` to the caller as the
 * error of the WIT result; any other thrown `Error` traps the instance.
 */
export class Failure extends Error {
  constructor(readonly payload: Reason) {
    super(`${payload.tag}: ${payload.val}`);
  }
}

/** An argument is wrong and nothing was changed. */
export function invalid(message: string): Failure {
  return new Failure({ tag: "invalid-argument", val: message });
}
