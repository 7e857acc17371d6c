/** Tests run on the sources. Node 20 knows no `await using`: it is lowered, as tsc does for dist. */

import { defineConfig } from 'vitest/config';

export default defineConfig({
  oxc: { target: 'es2022' },
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 20_000,
    maxWorkers: 2,
  },
});
