/**
 * Tests run on the sources. Node 20 knows no `await using`: it is lowered, as tsc does for dist.
 * Those of OpenAI's SDK run twice: in the second project `openai` is the newest one, which declares Node 22 but runs on 20.
 */

import { defineConfig } from 'vitest/config';

export default defineConfig({
  oxc: { target: 'es2022' },
  test: {
    testTimeout: 120_000, // of a hung test: a busy machine is slow, and that is no failure,
    expect: { poll: { timeout: 15_000 } },
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: {
          name: 'coxswain',
          include: ['test/**/*.test.ts'],
          env: { OPENAI_SDK: '6.49.0' },
        },
      },
      {
        extends: true,
        resolve: { alias: { openai: 'openai-newest' } },
        test: {
          name: 'openai-newest',
          env: { OPENAI_SDK: '7.57.0' },
          include: ['test/clients/{openai,responses,retries,structured,tools}.test.ts'],
        },
      },
    ],
  },
});
