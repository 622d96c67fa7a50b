/** Sends operations to the server: subscriptions over a socket, all else over HTTP. */
import type { Fetcher } from "@graphiql/toolkit";
import { type DocumentNode, getOperationAST, OperationTypeNode } from "graphql";
import { sendOverHttp } from "./http";
import { sendOverSocket } from "./socket";

export const fetcher: Fetcher = (operation, options) => {
  const send = isSubscription(options?.documentAST, operation.operationName) ? sendOverSocket : sendOverHttp;
  return send(operation, options?.headers ?? {});
};

function isSubscription(document: DocumentNode | undefined, operationName: string | null | undefined): boolean {
  if (document === undefined) return false;
  return getOperationAST(document, operationName)?.operation === OperationTypeNode.SUBSCRIPTION;
}
