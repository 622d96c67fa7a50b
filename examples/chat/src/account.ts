/**
 * Signs in, and keeps the access token fresh. That stays in memory; the refresh token is in a cookie that no script reads,
 * by which a page that is loaded anew goes on.
 */
import { GraphQLFailure, request } from "./request";

export interface Credentials {
  readonly email: string;
  readonly password: string;
}

interface Tokens {
  readonly accessToken: string | null;
  readonly expiresAt: string | null;
  readonly user: { readonly id: string } | null;
  readonly errors: readonly { readonly message: string }[];
}

/** What a person can mend: a wrong password, an address that is taken, a session that is over. */
export class SignInFailure extends Error {}

const RENEW_BEFORE_MS = 60_000;
const PAYLOAD = "accessToken expiresAt user { id } errors { message }";
const SIGN_IN = `mutation SignIn($input: SignInInput!) { tokens: signIn(input: $input) { ${PAYLOAD} } }`;
const SIGN_UP = `mutation SignUp($input: SignUpInput!) { tokens: signUp(input: $input) { ${PAYLOAD} } }`;
const REFRESH = `mutation Refresh($input: RefreshSessionInput!) { tokens: refreshSession(input: $input) { ${PAYLOAD} } }`;
const SIGN_OUT = `mutation SignOut { signOut { errors { message } } }`;

export class Account {
  private renewal: Promise<void> | null = null;

  private constructor(private tokens: Tokens) {}

  static async signIn(credentials: Credentials): Promise<Account> {
    return new Account(await obtain(SIGN_IN, credentials));
  }

  static async signUp(credentials: Credentials): Promise<Account> {
    const name = credentials.email.split("@")[0];
    return new Account(await obtain(SIGN_UP, { ...credentials, name }));
  }

  /** Whoever signed in before, or null. */
  static async restore(): Promise<Account | null> {
    try {
      return new Account(await refresh());
    } catch (error) {
      if (error instanceof SignInFailure) return null;
      throw error;
    }
  }

  /** An access token that lasts a while. */
  async accessToken(): Promise<string> {
    const { accessToken, expiresAt } = this.tokens;
    if (accessToken !== null && Date.parse(expiresAt ?? "") - Date.now() > RENEW_BEFORE_MS) return accessToken;
    // Who asks meanwhile waits for the same.
    this.renewal ??= this.renew().finally(() => (this.renewal = null));
    await this.renewal;
    return this.tokens.accessToken ?? "";
  }

  /** The server refused the token before its time: get another one before it is needed again. */
  distrustToken(): void {
    this.tokens = { ...this.tokens, accessToken: null };
  }

  async request<Data>(query: string, variables: object = {}): Promise<Data> {
    try {
      return await request<Data>(query, variables, await this.accessToken());
    } catch (error) {
      if (!(error instanceof GraphQLFailure && error.has("UNAUTHENTICATED"))) throw error;
      this.distrustToken();
      return request<Data>(query, variables, await this.accessToken());
    }
  }

  async signOut(): Promise<void> {
    await this.request(SIGN_OUT);
  }

  private async renew(): Promise<void> {
    const renewed = await refresh();
    if (renewed.user?.id !== this.tokens.user?.id) {
      throw new SignInFailure("Somebody else has signed in by this browser. Load the page again.");
    }
    this.tokens = renewed;
  }
}

/** New tokens for the session in the cookie; an empty text stands for it. */
function refresh(): Promise<Tokens> {
  return obtain(REFRESH, { refreshToken: "" });
}

async function obtain(query: string, input: object): Promise<Tokens> {
  const { tokens } = await request<{ tokens: Tokens }>(query, { input });
  const [problem] = tokens.errors;
  if (problem !== undefined) throw new SignInFailure(problem.message);
  return tokens;
}
