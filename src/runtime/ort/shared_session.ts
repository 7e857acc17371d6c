/** One session for each file: models of a config that are the same file keep its weights in memory once. */

import { statSync } from 'node:fs';
import type { KvScales } from '../onnx/int8_kv.ts';
import type { OrtSession } from './ort.ts';

interface Shared {
  readonly session: OrtSession;
  users: number;
}

/** What opens sessions: on another device the same file is another session. */
interface Opener {
  session(path: string, scales?: KvScales | null): OrtSession;
}

const known = new WeakMap<Opener, Map<string, Shared>>();

/**
 * The session of a graph's file with these scales of its KV, opened by whoever asks first and released by whoever disposes of it last.
 * @throws OrtError with ORT's own message, or the file system's error if there is no such file
 */
export function sharedSession(
  opener: Opener,
  path: string,
  scales: KvScales | null = null,
): OrtSession {
  const { dev, ino } = statSync(path);
  const file = `${dev}:${ino} ${JSON.stringify(scales)}`;
  const files = known.get(opener) ?? new Map<string, Shared>();
  known.set(opener, files);
  const shared = files.get(file) ?? { session: opener.session(path, scales), users: 0 };
  files.set(file, shared);
  shared.users++;
  let released = false;
  return {
    ...shared.session,
    [Symbol.dispose]() {
      if (released) return;
      released = true;
      if (--shared.users > 0) return;
      files.delete(file);
      shared.session[Symbol.dispose]();
    },
  };
}
