/** Who calls: an API key, compared by digest in constant time, to a caller with its grant and allowance. */

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { ServeError } from '../../core/errors.ts';
import type { ServerSettings } from '../../ops/config.ts';
import { ANYTHING } from '../../plan/grant.ts';
import { Caller } from './allowance.ts';

/** Browsers cannot set headers on a WebSocket: OpenAI's clients send the key as a subprotocol. */
const KEY_PROTOCOL = 'openai-insecure-api-key.';

interface Known {
  readonly digest: Buffer;
  readonly caller: Caller;
}

export class Keys {
  readonly #known: readonly Known[];
  /** Everybody, where the config has no keys. */
  readonly #anyone: Caller | null;

  /** @param now milliseconds, monotonic */
  constructor(keys: ServerSettings['keys'], now: () => number) {
    const entries = Object.entries(keys);
    this.#known = entries.map(([name, key]) => ({
      digest: Buffer.from(key.sha256, 'hex'),
      caller: new Caller(
        {
          name,
          grant: {
            models: key.models === undefined ? null : new Set(key.models),
            maxCost: key.max_cost ?? Infinity,
            salt: name,
          },
          tokensPerMinute: key.tokens_per_minute ?? null,
          concurrency: key.concurrency ?? Infinity,
        },
        now,
      ),
    }));
    const open = { name: null, grant: ANYTHING, tokensPerMinute: null, concurrency: Infinity };
    this.#anyone = entries.length === 0 ? new Caller(open, now) : null;
  }

  /** @throws ServeError without a key that is known */
  callerOf(req: IncomingMessage): Caller {
    if (this.#anyone) return this.#anyone;
    const key = bearerOf(req) ?? subprotocolOf(req);
    if (key === null)
      throw new ServeError(
        'invalid_api_key',
        'no API key was given; send it as "authorization: Bearer KEY"',
      );
    const digest = createHash('sha256').update(key).digest();
    let found: Caller | null = null;
    // All are compared, whichever fits: the time must not tell.
    for (const known of this.#known)
      if (timingSafeEqual(digest, known.digest)) found = known.caller;
    if (found) return found;
    throw new ServeError('invalid_api_key', 'the API key is not one of this server');
  }
}

function bearerOf({ headers }: IncomingMessage): string | null {
  return /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1] ?? null;
}

function subprotocolOf(req: IncomingMessage): string | null {
  const key = protocolsOf(req).find((protocol) => protocol.startsWith(KEY_PROTOCOL));
  return key?.slice(KEY_PROTOCOL.length) ?? null;
}

/** Subprotocols are an upgrade's only. */
function protocolsOf({ headers }: IncomingMessage): string[] {
  if (headers.upgrade === undefined) return [];
  return (headers['sec-websocket-protocol'] ?? '').split(',').map((each) => each.trim());
}

/** The subprotocol to answer with: the first that holds no key, if there is one; browsers insist on one of theirs. */
export function chosenProtocol(offered: ReadonlySet<string>): string | false {
  const [first] = offered;
  return [...offered].find((each) => !each.startsWith(KEY_PROTOCOL)) ?? first ?? false;
}
