/** Tests run on the sources. Node 20 knows no `await using`: it is lowered, as tsc does for dist. */

import { defineConfig } from 'vitest/config';

export default defineConfig({
  oxc: { target: 'es2022' },
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 120_000, // of a hung test: a busy machine is slow, and that is no failure,
    expect: { poll: { timeout: 15_000 } },
    maxWorkers: 2,
  },
});
