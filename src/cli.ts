#!/usr/bin/env node
/** The command line: `coxswain serve`, `import`, `calibrate`, `steer`, `user` and `hash-key`. */

import { text } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { calibrateCommand } from './calibrate_command.ts';
import { importCommand } from './importer/command.ts';
import { serve, version } from './main.ts';
import { hashKey, newKey } from './ops/keys.ts';
import { steerCommand } from './steering/command.ts';
import { userCommand } from './user_command.ts';

const HELP = `coxswain: a test-time alignment inference server

  coxswain serve [--config FILE] [--port N] [--host H] [--check-config | --dry-run]
  coxswain hash-key [--new]    reads a key from standard input (or draws one) and prints its hash for the config
  coxswain import CHECKPOINT --out models/NAME --role policy|guide|reward|value   (without arguments: all options)
  coxswain calibrate MODEL     measures what a step of int8 is worth in its KV, which is then kept as int8
  coxswain steer MODEL --texts FILE --out FILE.safetensors    makes a steering vector (without arguments: all options)
  coxswain user MODEL --head FILE --pairs FILE                a user's latent, of pairs that they chose between

  --config FILE   YAML; config/default.yaml if left out
  --port N        instead of the config's
  --host H        instead of the config's
  --check-config  read all that the config names, say whether it would serve, and exit with 0 or 1
  --dry-run       the same, and print what memory it would take
  --version       print the version
  --help          print this
`;

/** Wrong usage: its message, and where to look. */
function usage(message: string): number {
  console.error(`${message}\n\n${HELP}`);
  return 2;
}

async function main(args: readonly string[]): Promise<number> {
  if (args[0] === 'import')
    return inSteps(importCommand(args.slice(1), Math.floor(Date.now() / 1000)));
  if (args[0] === 'calibrate') return inSteps(calibrateCommand(args.slice(1)));
  if (args[0] === 'steer') return inSteps(steerCommand(args.slice(1)));
  if (args[0] === 'user') return inSteps(userCommand(args.slice(1)));
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      config: { type: 'string' },
      port: { type: 'string' },
      host: { type: 'string' },
      'check-config': { type: 'boolean' },
      'dry-run': { type: 'boolean' },
      new: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean', short: 'v' },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  if (values.version) {
    console.log(version());
    return 0;
  }
  const [command, ...rest] = positionals;
  if (command === 'hash-key' && rest.length === 0) return printHash(values.new ?? false);
  if (command !== 'serve' || rest.length > 0)
    return usage(`unknown command: ${positionals.join(' ') || '(none)'}`);
  const port = values.port === undefined ? null : Number(values.port);
  if (port !== null && !(Number.isInteger(port) && port >= 0 && port <= 65535))
    return usage(`--port is ${values.port}; it must be an integer from 0 to 65535`);
  return serve({
    config: values.config ?? null,
    host: values.host ?? null,
    port,
    check: values['check-config'] ?? false,
    dryRun: values['dry-run'] ?? false,
  });
}

/** The key comes by standard input: arguments are seen by every user of the machine. */
async function printHash(draw: boolean): Promise<number> {
  if (draw) {
    const key = newKey();
    console.log(`key     ${key}\nsha256  ${hashKey(key)}`);
    return 0;
  }
  const key = (await text(process.stdin)).trim();
  if (key === '') return usage('hash-key reads the key from standard input, which was empty');
  console.log(hashKey(key));
  return 0;
}

/** Between two steps signals are heard: an interrupted command leaves nothing behind. */
async function inSteps(steps: Generator<string, string>): Promise<number> {
  const signals = ['SIGINT', 'SIGTERM'] as const;
  let stopped = false;
  const stop = () => (stopped = true);
  for (const signal of signals) process.once(signal, stop);
  try {
    for (;;) {
      const { done, value } = steps.next();
      if (done === true) {
        console.log(value);
        return 0;
      }
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${value}`);
      await setImmediate();
      if (stopped) {
        console.error('\nstopped; nothing was written');
        return 130;
      }
    }
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  } finally {
    steps.return('');
    for (const signal of signals) process.off(signal, stop);
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const wrongUsage =
    error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE');
  if (!wrongUsage) throw error;
  process.exitCode = usage(error.message);
}
// A socket that lingers must not keep a drained server alive.
setTimeout(() => process.exit(), 2000).unref();
