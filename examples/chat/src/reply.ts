/** Follows a reply while it is written; after a cut it goes on where the text ended: no character is lost or doubled. */
import type { Account } from "./account";
import type { Connection } from "./connection";
import { keepTrying } from "./retry";
import type { MessageStatus } from "./rows";

const STREAM = `subscription Reply($messageId: ID!, $fromOffset: Int!) {
  chunk: replyStream(messageId: $messageId, fromOffset: $fromOffset) { text nextOffset status }
}`;

interface Piece {
  readonly chunk: { readonly text: string; readonly nextOffset: number; readonly status: MessageStatus };
}

export function followReply(
  account: Account,
  connection: Connection,
  messageId: string,
  onText: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  let text = "";
  // The server counts code points, which a string's length does not.
  let fromOffset = 0;
  return keepTrying(
    {
      async attempt(onProgress) {
        for await (const { chunk } of connection.stream<Piece>(STREAM, { messageId, fromOffset }, signal)) {
          text += chunk.text;
          fromOffset = chunk.nextOffset;
          onText(text);
          onProgress();
          if (chunk.status !== "STREAMING") return true;
        }
        return false;
      },
    },
    account,
    signal,
  );
}
