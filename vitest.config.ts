/** Tests run on the sources. Node 20 knows no `await using`: it is lowered, as tsc does for dist. */

import { defineConfig } from 'vitest/config';

export default defineConfig({
  oxc: { target: 'es2022' },
  test: {
    include: ['test/**/*.test.ts'],
    // Generous: a machine that others use as well is slow, not wrong.
    testTimeout: 90_000,
    expect: { poll: { timeout: 15_000 } },
    maxWorkers: 2,
  },
});
