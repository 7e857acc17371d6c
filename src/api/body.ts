/** The bytes of a request's body, bounded, to a JSON value. */

import type { IncomingMessage } from 'node:http';
import { ServeError } from '../core/errors.ts';
import { show } from '../core/fields.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** @throws ServeError unless the body is JSON, says so, and holds at most `limit` bytes */
export async function jsonBody(req: IncomingMessage, limit: number): Promise<unknown> {
  const type = req.headers['content-type'];
  if (type === undefined || !/^application\/json\s*(;|$)/i.test(type))
    throw unsupported('content-type', type, 'application/json');
  const encoding = req.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity')
    throw unsupported('content-encoding', encoding, 'left out: bodies are read as they are');
  return parseJson(decoded(await bytesOf(req, limit)));
}

const unsupported = (header: string, given: string | undefined, rule: string): ServeError =>
  new ServeError(
    'unsupported_media_type',
    `${header} is ${given === undefined ? 'missing' : show(given)}; it must be ${rule}`,
  );

function bytesOf(req: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let pieces: Buffer[] = [];
    let length = 0;
    req.on('data', (piece: Buffer) => {
      length += piece.length;
      if (length <= limit) return void pieces.push(piece);
      if (length - piece.length > limit) return; // it was said
      pieces = [];
      const message = `the request body is larger than ${limit} bytes, which is all this server reads`;
      reject(new ServeError('body_too_large', message));
    });
    req.on('end', () => resolve(Buffer.concat(pieces))); // does nothing once it was too large
    req.on('error', () => reject(brokenOff));
    req.on('close', () => reject(brokenOff)); // does nothing after `end`
  });
}

/** How much of the rest of a body that is too large is thrown away, and for how long. */
const REST = { bytes: 16 * 2 ** 20, ms: 5000 };

/** Throws away what still comes of a body; resolves at its end, or once enough of it has come. */
export function rest(req: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let left = REST.bytes;
    const timer = setTimeout(resolve, REST.ms);
    const over = (): void => {
      clearTimeout(timer);
      resolve();
    };
    req.on('data', (piece: Buffer) => (left -= piece.length) < 0 && over());
    req.on('end', over).on('close', over);
    if (req.destroyed || req.readableEnded) over();
  });
}

const brokenOff = new ServeError('invalid_json', 'the request body broke off');

function decoded(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new ServeError('invalid_json', 'the request body is not valid UTF-8');
  }
}

/** @throws ServeError with the parser's reason */
export function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (error) {
    const why = error instanceof Error ? error.message.slice(0, 120) : '';
    throw new ServeError('invalid_json', `this is not valid JSON: ${why}`);
  }
}
