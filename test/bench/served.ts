/** A client in a process of its own, against a real server. */

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Figures } from './closed_loop.ts';
import type { Window } from './local.ts';

/** Runs the closed loop over HTTP SSE from another process. */
export async function measureServed(
  port: number,
  streams: number,
  window: Window,
  bodies: readonly Record<string, unknown>[],
): Promise<Figures> {
  const job = JSON.stringify({ port, streams, ...window, bodies });
  const script = `sse_client${import.meta.url.slice(-3)}`; // as this file runs: compiled, or through tsx
  const client = fork(fileURLToPath(new URL(script, import.meta.url)), [job]);
  const [figures] = (await once(client, 'message')) as [Figures];
  return figures;
}
