/** The built server as its users run it: a process of its own on a free port. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Scripts and tests run in the project's root. */
const root = process.cwd();

export interface Served extends AsyncDisposable {
  readonly port: number;
  readonly base: string;
  readonly pid: number;
  /** What it has printed so far. */
  readonly output: () => string;
  /** The exit code, once it has ended by itself or by a signal. */
  readonly gone: Promise<number | null>;
  /** Sends a signal; resolves with the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/**
 * Starts the built server (`npm run build` first) and waits until it is ready; throws with its output if it ends.
 * @param log the descriptor that its standard error goes to, instead of to its output
 */
export async function serve(
  args: readonly string[] = [],
  log: number | 'pipe' = 'pipe',
): Promise<Served> {
  const port = await freePort();
  const child = spawn(process.execPath, ['dist/cli.js', 'serve', '--port', `${port}`, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', log],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
  const gone = once(child, 'exit').then(([code]) => code as number | null);
  while (!(await isReady(port))) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`it ended with ${child.exitCode ?? child.signalCode}: ${output}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
    child.kill(signal);
    return await gone;
  };
  return {
    port,
    base: `http://127.0.0.1:${port}`,
    pid: child.pid!,
    output: () => output,
    gone,
    stop,
    [Symbol.asyncDispose]: async () => void (await stop()),
  };
}

async function isReady(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/ready`)).ok;
  } catch {
    return false;
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        resolve(typeof address === 'object' && address !== null ? address.port : 0),
      );
    });
  });
}
