/** A real server and a client in a process of its own. */

import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Figures } from './closed_loop.ts';
import type { Window } from './local.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Served extends AsyncDisposable {
  readonly port: number;
  measure(
    streams: number,
    window: Window,
    bodies: readonly Record<string, unknown>[],
  ): Promise<Figures>;
}

/** Starts the built server (`npm run build` first) on a free port and waits until it is ready. */
export async function serve(configFile: string | null): Promise<Served> {
  const port = await freePort();
  const args = ['dist/cli.js', 'serve', '--port', `${port}`];
  if (configFile !== null) args.push('--config', configFile);
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const gone = once(child, 'exit');
  while (!(await isReady(port))) {
    if (child.exitCode !== null) throw new Error(`the server ended with code ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    port,
    async measure(streams, window, bodies) {
      const job = JSON.stringify({ port, streams, ...window, bodies });
      const client = fork(fileURLToPath(new URL('sse_client.ts', import.meta.url)), [job], {
        execArgv: ['--import', 'tsx'],
      });
      const [figures] = (await once(client, 'message')) as [Figures];
      return figures;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await gone;
    },
  };
}

async function isReady(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/ready`)).ok;
  } catch {
    return false;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        resolve(typeof address === 'object' && address !== null ? address.port : 0),
      );
    });
  });
}
