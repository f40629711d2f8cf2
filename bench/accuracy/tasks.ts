// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { dayAheadNeeds, evaluateDayAhead } from './day-ahead.ts';
import { evaluateM4, listM4 } from './m4.ts';
import { evaluateMinutes, minutesNeeds } from './minutes.ts';
import { scoreNab } from './nab.ts';
import { startPackages } from './packages.ts';
import type { ProtocolName, Settings, Task, TaskResult } from './protocol.ts';
import { evaluateQuantiles, quantilesNeeds } from './quantiles.ts';
import { isEnough, listTraces, readExtents } from './traces.ts';
import type { Extent } from './traces.ts';

/** Which tasks are wanted. */
export interface Choice {
  readonly protocols: readonly ProtocolName[];
  /** Parts of paths; empty for all. */
  readonly patterns: readonly string[];
  /** So many series of each protocol, spread over all; undefined for all. */
  readonly sample?: number;
}

interface Protocol {
  list(folder: string): string[];
  /** undefined for a series that is too short or too coarse. */
  evaluate(task: Task, settings: Settings): TaskResult | undefined;
}

const protocols: Readonly<Record<ProtocolName, Protocol>> = {
  'day-ahead': {
    list: (folder) => listTraces(folder).filter(suits(folder, dayAheadNeeds)),
    evaluate: evaluateDayAhead,
  },
  m4: { list: listM4, evaluate: evaluateM4 },
  minutes: { list: (folder) => listTraces(folder).filter(suits(folder, minutesNeeds)), evaluate: evaluateMinutes },
  quantiles: {
    list: (folder) => listTraces(folder).filter(suits(folder, quantilesNeeds)),
    evaluate: evaluateQuantiles,
  },
  nab: { list: (folder) => (existsSync(join(folder, 'nab')) ? ['nab'] : []), evaluate: evaluateNab },
};

/** All files at once: one threshold is for all of them. */
function evaluateNab(task: Task, { folder }: Settings): TaskResult {
  const nab = scoreNab(folder);
  return {
    ...task,
    metrics: [],
    origins: nab.files.length,
    refused: 0,
    chosen: {},
    cpuSeconds: nab.total.cpuSeconds,
    nab,
  };
}

/** What the manifest says is enough; without a word there, reading the series decides. */
function suits(folder: string, needs: Extent): (series: string) => boolean {
  const extents = readExtents(folder);
  return (series) => {
    const extent = extents.get(series);
    return extent === undefined || isEnough(extent, needs);
  };
}

/** All tasks of a choice. */
export function listTasks(folder: string, { protocols: names, patterns, sample }: Choice): Task[] {
  return names.flatMap((protocol) => {
    const series = protocols[protocol]
      .list(folder)
      .filter((name) => patterns.length === 0 || patterns.some((pattern) => name.includes(pattern)));
    return spread(series, sample).map((name) => ({ protocol, series: name }));
  });
}

function spread(all: readonly string[], count = all.length): readonly string[] {
  if (count >= all.length) return all;
  return Array.from({ length: count }, (_, place) => all[Math.floor(((place + 0.5) * all.length) / count)] ?? '');
}

/** undefined for a series that is too short or too coarse for the protocol. */
export async function runTask(task: Task, settings: Settings): Promise<TaskResult | undefined> {
  if (settings.packages) await startPackages(settings.wasmstan);
  return protocols[task.protocol].evaluate(task, settings);
}
