// SPDX-License-Identifier: Apache-2.0
// CPU time of one target's forecaster: a full fit (contest, calibration, final fit) and an ordinary minute.
//
//   node bench/micro/forecaster.ts [DAYS…]      history in days, default 14 28
import { createTargetForecaster } from '../../src/forecast/engine.ts';
import { demandSeries, samplesOf } from '../../src/testing/demand.ts';

const minutes = 300;
const given = process.argv.slice(2).map(Number);

for (const days of given.length > 0 ? given : [14, 28]) {
  const samples = samplesOf(demandSeries({ seed: 1, days: days + 1, stepSeconds: 60, weekend: 0.6, gaps: 0.01 }));
  const known = samples.length - minutes;
  const forecaster = createTargetForecaster({
    timeZone: 'Europe/Berlin',
    historySeconds: days * 86_400,
    quantile: 0.7,
    leadSeconds: 180,
  });
  forecaster.observe(samples.slice(0, known));
  const first = cpuMs(() => forecaster.issue(samples[known - 1]?.timestamp ?? 0));
  // Another lead needs another fit: by now the code is compiled.
  forecaster.setOptions({ leadSeconds: 240 });
  const second = cpuMs(() => forecaster.issue(samples[known - 1]?.timestamp ?? 0));
  const each = samples.slice(known).map((sample) =>
    cpuMs(() => {
      forecaster.observe([sample]);
      forecaster.issue(sample.timestamp);
    }),
  );
  const mean = each.reduce((sum, ms) => sum + ms, 0) / each.length;
  const heap = process.memoryUsage().rss / 2 ** 20;
  process.stdout.write(
    `${days} d at 1 min: first fit ${first.toFixed(0)} ms, next fit ${second.toFixed(0)} ms, ` +
      `a minute ${mean.toFixed(2)} ms (mean of ${minutes}), process ${heap.toFixed(0)} MiB\n`,
  );
}

function cpuMs(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
