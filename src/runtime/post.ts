/** A POST of JSON to one address that the operator chose: no redirects, bounded in time and in bytes. */

export interface Address {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** From the first byte out to the last byte in. */
  readonly timeoutMs: number;
  readonly responseBytes: number;
}

/** It did not answer as it should; `passing`: the next time it may. */
export class PostFailure extends Error {
  override readonly name = 'PostFailure';
  readonly passing: boolean;

  constructor(message: string, passing: boolean) {
    super(message);
    this.passing = passing;
  }
}

/**
 * Resolves with the answer's text.
 * @param signal ends the call
 * @throws PostFailure
 */
type Post = (body: string, signal?: AbortSignal) => Promise<string>;

export function postTo({ url, headers, timeoutMs, responseBytes }: Address): Post {
  return async (body, signal) => {
    const inTime = AbortSignal.timeout(timeoutMs);
    const response = await fetch(url, {
      method: 'POST',
      headers: { accept: 'application/json', ...headers, 'content-type': 'application/json' },
      body,
      redirect: 'manual',
      signal: signal === undefined ? inTime : AbortSignal.any([inTime, signal]),
    }).catch(brokenOff);
    if (response.status !== 200) {
      await response.body?.cancel().catch(() => undefined); // it is not wanted, however it ends
      const { status } = response;
      throw new PostFailure(`it answered with status ${status}`, status === 429 || status >= 500);
    }
    return textOf(response, responseBytes);
  };
}

/** Counted as it comes, unpacked: what an answer says of its own length is not believed. */
async function textOf(response: Response, most: number): Promise<string> {
  const reader = response.body?.getReader();
  const pieces: Uint8Array[] = [];
  for (let length = 0; reader !== undefined;) {
    const { done, value } = await reader.read().catch(brokenOff);
    if (done) break;
    length += value.length;
    pieces.push(value);
    if (length <= most) continue;
    await reader.cancel().catch(() => undefined);
    throw new PostFailure(`its answer is longer than ${most} bytes`, false);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function brokenOff(error: unknown): never {
  const slow = error instanceof Error && error.name === 'TimeoutError';
  throw new PostFailure(slow ? 'it did not answer in time' : 'the connection failed', true);
}
