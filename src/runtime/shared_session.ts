/** One session for each file: models of a config that are the same file keep its weights in memory once. */

import { statSync } from 'node:fs';
import type { Ort, OrtSession } from './ort.ts';

interface Shared {
  readonly session: OrtSession;
  users: number;
}

const known = new WeakMap<Pick<Ort, 'session'>, Map<string, Shared>>();

/**
 * The session of a graph's file, opened by whoever asks first and released by whoever disposes of it last.
 * @throws OrtError with ORT's own message, or the file system's error if there is no such file
 */
export function sharedSession(ort: Pick<Ort, 'session'>, path: string): OrtSession {
  const { dev, ino } = statSync(path);
  const file = `${dev}:${ino}`;
  const files = known.get(ort) ?? new Map<string, Shared>();
  known.set(ort, files);
  const shared = files.get(file) ?? { session: ort.session(path), users: 0 };
  files.set(file, shared);
  shared.users++;
  let released = false;
  return {
    bind: (inputs, outputs) => shared.session.bind(inputs, outputs),
    [Symbol.dispose]() {
      if (released) return;
      released = true;
      if (--shared.users > 0) return;
      files.delete(file);
      shared.session[Symbol.dispose]();
    },
  };
}
