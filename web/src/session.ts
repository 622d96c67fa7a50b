/** The access token of whoever signed in last: in memory alone. After a reload the session's cookie gives another. */
import { useSyncExternalStore } from "react";

export interface Session {
  readonly accessToken: string | null;
  /** The server refused the token that was kept, so somebody has to sign in again. */
  readonly refused: boolean;
}

let current: Session = { accessToken: null, refused: false };
const listeners = new Set<() => void>();

export function keepToken(accessToken: string): void {
  publish({ accessToken, refused: false });
}

export function forgetToken(): void {
  publish({ accessToken: null, refused: false });
}

/** A late refusal of an older token must not sign out the newer one. */
export function refuseToken(accessToken: string): void {
  if (accessToken === current.accessToken) publish({ accessToken: null, refused: true });
}

export function currentToken(): string | null {
  return current.accessToken;
}

export function useSession(): Session {
  return useSyncExternalStore(watchSession, () => current);
}

function publish(next: Session): void {
  current = next;
  for (const listener of listeners) listener();
}

export function watchSession(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
