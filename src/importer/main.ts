/** Runs the `import` command: node dist/importer/main.js <checkpoint folder> --out models/<name> --role ... */

import { importCommand } from './command.ts';

try {
  console.log(importCommand(process.argv.slice(2), Math.floor(Date.now() / 1000)));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
