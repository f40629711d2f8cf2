import { defineConfig } from 'vitest/config';

/** Three projects, by what they need: nothing, real servers, the installed product. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'hack/**/*.test.ts'],
          exclude: ['**/*.integration.test.ts', '**/node_modules/**'],
          // Parsers meet 10⁵ cases: seconds, and more of them on a machine that is busy.
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['src/**/*.integration.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['e2e/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          // Most of their time they wait.
          maxWorkers: 2,
        },
      },
    ],
  },
});
