// A message as Slack's `chat.postMessage` takes it.

import type { Message } from "stheno:notifications/notifications@0.1.0";

import { invalid } from "./failure";

export interface Post {
  channel: string;
  text: string;
  mrkdwn: false;
}

/** Throws `invalid-argument` for what would be lost on the way. */
export function toPost(message: Message): Post {
  const { content } = message;
  const lines = [content?.subject, content?.text].filter((line) => line !== undefined);
  if (content?.text === undefined) {
    throw invalid("`content` has no `text`, which is all that is posted");
  }
  for (const [name, given] of [
    ["template", message.template !== undefined],
    ["from", message.from !== undefined],
    ["reply_to", message.replyTo.length > 0],
    ["cc", message.cc.length > 0],
    ["bcc", message.bcc.length > 0],
    ["attachments", message.attachments.length > 0],
    ["provider_data", message.providerData !== undefined],
  ] as const) {
    if (given) {
      throw invalid(`\`${name}\` cannot be posted; leave it out, or route the message elsewhere`);
    }
  }
  return { channel: message.to, text: escaped(lines.join("\n")), mrkdwn: false };
}

/** Three characters begin and end what Slack reads as something else than text. */
function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
