// SPDX-License-Identifier: Apache-2.0
import { forecastOrigins } from '../../src/forecast/batch.ts';
import type { BatchForecast } from '../../src/forecast/batch.ts';
import type { Model } from '../../src/forecast/model.ts';
import { defaultModelNames, modelNames, models } from '../../src/forecast/registry.ts';
import type { Sample } from '../../src/series/time-series.ts';
import { ours } from './tally.ts';

export const levels = [0.5, 0.8, 0.95, 0.99];

/** Which models take part. */
export interface Entrants {
  /** Empty: those that take part when nobody names any. */
  readonly models: readonly string[];
  /** Each is also scored alone. */
  readonly each: boolean;
}

/** What was forecast of one series. */
export interface Run {
  readonly forecasts: ReadonlyMap<number, BatchForecast>;
  readonly refused: number;
  readonly cpuSeconds: number;
  /** How many forecasts each model made. */
  readonly chosen: Readonly<Record<string, number>>;
}

/** What `headstart forecast` would do. */
export interface Request {
  readonly origins: readonly number[];
  readonly stepSeconds: number;
  readonly horizonSeconds: number;
}

/** Runs by method: all entrants in one contest and, if wanted, each alone. */
export function runEntrants(samples: readonly Sample[], request: Request, entrants: Entrants): Record<string, Run> {
  const names = entrants.models.length === 0 ? defaultModelNames(request.horizonSeconds) : entrants.models.map(nameOf);
  const all = names.map((name) => models[name]);
  const runs = { [ours]: run(samples, request, all) };
  if (!entrants.each) return runs;
  const alone = all.map((model) => [`${ours}: ${model.name}`, run(samples, request, [model])] as const);
  return { ...runs, ...Object.fromEntries(alone) };
}

function nameOf(name: string) {
  const known = modelNames.find((candidate) => candidate === name);
  if (known === undefined) throw new Error(`--model: got "${name}", want one of ${modelNames.join(', ')}`);
  return known;
}

function run(samples: readonly Sample[], { origins, ...request }: Request, entrants: readonly Model[]): Run {
  const forecasts = new Map<number, BatchForecast>();
  const chosen: Record<string, number> = {};
  let refused = 0;
  const before = cpuSeconds();
  for (const result of forecastOrigins(samples, origins, { ...request, levels, timeZone: 'UTC', models: entrants })) {
    if ('quantiles' in result) {
      forecasts.set(result.origin, result);
      chosen[result.model] = (chosen[result.model] ?? 0) + 1;
    } else refused += 1;
  }
  return { forecasts, refused, cpuSeconds: cpuSeconds() - before, chosen };
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
