// SPDX-License-Identifier: Apache-2.0
import type { Entrants, Run } from './headstart.ts';
import type { NabReport } from './nab.ts';
import { ours } from './tally.ts';
import type { Metric } from './tally.ts';

/** The protocols, in the order of the page. */
export const protocolNames = ['day-ahead', 'm4', 'minutes', 'quantiles', 'nab'] as const;

export type ProtocolName = (typeof protocolNames)[number];

/** What all protocols may be told. */
export interface Settings {
  readonly folder: string;
  readonly entrants: Entrants;
  /** Random origins of each series in minutes ahead. */
  readonly origins: number;
  /** References of packages are computed too: they take most of the time of day ahead and M4. */
  readonly packages: boolean;
  /** Main file of @bsull/augurs-prophet-wasmstan. */
  readonly wasmstan?: string;
}

/** One series of one protocol. */
export interface Task {
  readonly protocol: ProtocolName;
  readonly series: string;
}

/** What came of a task. */
export interface TaskResult extends Task {
  readonly metrics: readonly Metric[];
  /** Forecasts made and refused. */
  readonly origins: number;
  readonly refused: number;
  /** How many forecasts each model made. */
  readonly chosen: Readonly<Record<string, number>>;
  /** CPU time of our own forecasts; the references are not in it. */
  readonly cpuSeconds: number;
  /** Of the protocol nab alone. */
  readonly nab?: NabReport;
}

export function resultOf(task: Task, runs: Readonly<Record<string, Run>>, metrics: readonly Metric[]): TaskResult {
  const run = runs[ours];
  return {
    ...task,
    metrics,
    origins: run?.forecasts.size ?? 0,
    refused: run?.refused ?? 0,
    chosen: run?.chosen ?? {},
    cpuSeconds: run?.cpuSeconds ?? 0,
  };
}
