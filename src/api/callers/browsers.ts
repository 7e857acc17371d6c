/** What concerns browsers: headers that keep answers inert, CORS for the origins of the config, and the Origin of WebSockets. */

import type { IncomingMessage, ServerResponse } from 'node:http';

/** Answers are data: nothing in them may run, be framed or be taken for another type. */
const INERT: readonly (readonly [string, string])[] = [
  ['x-content-type-options', 'nosniff'],
  ['x-frame-options', 'DENY'],
  ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"],
  ['referrer-policy', 'no-referrer'],
  ['cross-origin-resource-policy', 'same-origin'],
];

const EXPOSED =
  'x-request-id, retry-after, x-should-retry, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens';
const PREFLIGHT_SECONDS = '600';

export class Origins {
  readonly #listed: ReadonlySet<string>;

  /** @param listed such as https://app.example; `*` allows every origin */
  constructor(listed: readonly string[]) {
    this.#listed = new Set(listed);
  }

  #lists(origin: string): boolean {
    return this.#listed.has(origin) || this.#listed.has('*');
  }

  /** Sets headers. True: this was a preflight, and it is answered. */
  answer(req: IncomingMessage, res: ServerResponse): boolean {
    for (const [name, value] of INERT) res.setHeader(name, value);
    const { origin } = req.headers;
    if (origin === undefined) return false;
    res.setHeader('vary', 'Origin');
    if (!this.#lists(origin)) return false;
    res.setHeader('access-control-allow-origin', origin);
    res.setHeader('access-control-expose-headers', EXPOSED);
    if (req.method !== 'OPTIONS' || !req.headers['access-control-request-method']) return false;
    res.setHeader('access-control-allow-methods', 'GET, POST, DELETE');
    res.setHeader('access-control-allow-headers', headersAsked(req));
    res.setHeader('access-control-max-age', PREFLIGHT_SECONDS);
    res.writeHead(204).end();
    return true;
  }

  /** Whether a WebSocket may be opened from where it says it is: CORS does not cover them. Only browsers say. */
  admits({ headers: { origin, host } }: IncomingMessage): boolean {
    if (origin === undefined || this.#lists(origin)) return true;
    return URL.canParse(origin) && new URL(origin).host === host;
  }
}

/** Of an origin that is trusted, any: SDKs send some of their own. */
function headersAsked(req: IncomingMessage): string {
  const asked = req.headers['access-control-request-headers'] ?? '';
  return /^[\w, -]{1,2000}$/.test(asked) ? asked : 'authorization, content-type';
}
