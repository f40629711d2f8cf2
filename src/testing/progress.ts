// SPDX-License-Identifier: Apache-2.0

/** Shows that something long runs: seconds that count up on a terminal; elsewhere a line at the start, each 30 s and at the end. */
export function startProgress(label: string, log: (line: string) => void): { end(): void } {
  const startMs = Date.now();
  const seconds = (): number => Math.round((Date.now() - startMs) / 1000);
  if (process.stderr.isTTY) {
    const show = (): boolean => process.stderr.write(`\r${label} … ${seconds()} s`);
    show();
    const timer = setInterval(show, 1000);
    return {
      end: () => {
        clearInterval(timer);
        process.stderr.write(`\r${label}: ${seconds()} s  \n`);
      },
    };
  }
  log(`${label} …`);
  const timer = setInterval(() => log(`${label} … ${seconds()} s`), 30_000);
  return {
    end: () => {
      clearInterval(timer);
      log(`${label}: ${seconds()} s`);
    },
  };
}
