/** The bytes of a request's body to a JSON value. */

import type { Request } from 'express';
import { ServeError } from '../core/errors.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** @throws ServeError unless the body is JSON, and says so */
export function jsonBody(req: Request): unknown {
  const type = req.headers['content-type'] ?? '';
  if (!/^application\/json\s*(;|$)/i.test(type))
    throw new ServeError(
      'unsupported_media_type',
      `content-type is ${type === '' ? 'missing' : JSON.stringify(type.slice(0, 60))}; it must be application/json`,
    );
  const raw: unknown = req.body;
  return parseJson(Buffer.isBuffer(raw) ? decoded(raw) : '');
}

function decoded(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new ServeError('invalid_json', 'the request body is not valid UTF-8');
  }
}

export function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (error) {
    const why = error instanceof Error ? error.message.slice(0, 120) : '';
    throw new ServeError('invalid_json', `the request body is not valid JSON: ${why}`);
  }
}
