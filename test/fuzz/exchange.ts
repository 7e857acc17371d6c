/** One HTTP exchange with bytes as they are, and what every answer must be. */

import { request } from 'node:http';
import type { Agent, IncomingMessage } from 'node:http';
import type { Sent } from './hostile.ts';

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: IncomingMessage['headers'];
  /** It came over a connection that had served another request. */
  readonly reused: boolean;
}

/** @throws Error where no answer comes within `deadline` ms, or the connection breaks */
export function exchange(
  url: string,
  { bytes, headers }: Sent,
  agent: Agent,
  deadline: number,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = { 'content-length': `${bytes.length}` };
    const signal = AbortSignal.timeout(deadline);
    const req = request(url, { method: 'POST', headers: { ...headers, ...length }, agent, signal });
    req.on('error', reject);
    req.on('response', (res) => {
      const pieces: Buffer[] = [];
      res.on('data', (piece: Buffer) => pieces.push(piece));
      res.on('error', reject);
      res.on('end', () => {
        const text = Buffer.concat(pieces).toString();
        const { statusCode: status = 0, headers: given } = res;
        resolve({ status, text, headers: given, reused: req.reusedSocket });
      });
    });
    req.end(bytes);
  });
}

/** What is wrong with an answer; null: nothing. */
export function fault({ status, text, headers }: Answer): string | null {
  if (status >= 500) return `status ${status}`;
  if (/"code":"(internal_error|reward_failed)"/.test(text))
    return 'a failure of the server within its answer';
  const type = headers['content-type'] ?? '';
  if (status === 200 && type.startsWith('text/event-stream'))
    return /(\[DONE\]|"response\.(completed|incomplete|failed)".*)\n\n$/.test(text)
      ? null
      : 'a stream without an end';
  const body = parsed(text);
  if (typeof body !== 'object' || body === null) return 'no JSON object';
  if (status === 200) return null;
  return isFailure(body) ? null : `status ${status} that is not in the shape of an error`;
}

function parsed(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return null;
  }
}

/** OpenAI's shape. */
function isFailure(body: object): boolean {
  if (!('error' in body) || typeof body.error !== 'object' || body.error === null) return false;
  const { message, type, param, code } = body.error as Record<string, unknown>;
  const texts = [message, type, code].every((text) => typeof text === 'string' && text.length > 0);
  return texts && (param === null || (typeof param === 'string' && param.length > 0));
}
