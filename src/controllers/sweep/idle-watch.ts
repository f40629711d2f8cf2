// SPDX-License-Identifier: Apache-2.0
import type { ClonePoolConditionDraft } from '../../api/conditions.ts';
import type { ClonePool, UtilizationExit } from '../../api/v1alpha1/clone-pool.ts';
import { HeadstartError } from '../../base/errors.ts';
import { parseExitBelow } from '../../capacity/clones/exit-below.ts';
import { decideExits, isIdle, measureUsage, noRecord, recordSample } from '../../capacity/clones/utilization.ts';
import type { IdleDecision, IdleRecord, IdleRule, MeasuredResource } from '../../capacity/clones/utilization.ts';
import { parseTimestamp } from '../../series/rfc3339.ts';
import type { Sample } from '../../series/time-series.ts';
import { idleConditions } from './decide.ts';
import type { MeasuringState } from './decide.ts';
import type { SweptClone } from './swept-clone.ts';
import { failureOf } from './usage.ts';
import type { PodUsage, UsageReader } from './usage.ts';

/** Clones, and the pool that owns them; without a pool each has its own rule, in an annotation. */
export interface WatchedGroup {
  readonly namespace: string;
  readonly pool: ClonePool | undefined;
  readonly clones: readonly SweptClone[];
}

/** Remembers how busy clones are. */
export interface IdleWatch {
  /** Measures every clone that may end for want of work. What fails is part of the conditions. */
  sample(groups: readonly WatchedGroup[], now: number, signal: AbortSignal): Promise<void>;
  /** Uids of the clones that have had nothing to do, and may end now. */
  idle(group: WatchedGroup, now: number): ReadonlySet<string>;
  /** Clones of a pool have begun to end as Idle: its cooldown begins. */
  exited(poolUid: string, now: number): void;
  conditions(pool: ClonePool): ClonePoolConditionDraft<'MetricsAvailable' | 'ExitFrozen'>[];
  /** Forgets clones and pools that are gone. */
  keepOnly(clones: ReadonlySet<string>, pools: ReadonlySet<string>): void;
}

/** What the annotation does not say; the defaults of spec.utilizationExit. */
const ownDefaults = {
  clearAbovePercent: 100,
  minSamples: 5,
  warmupSeconds: 120,
  maxSampleAgeSeconds: 90,
  poolGuardPercent: 100,
  cooldownSeconds: 0,
} as const;

const nothing: MeasuringState = { failure: undefined, withoutRequests: 0, decision: undefined };

/** A watch that knows nothing yet. */
export function createIdleWatch(reader: UsageReader): IdleWatch {
  const records = new Map<string, IdleRecord>();
  const states = new Map<string, MeasuringState>();
  const exitedAt = new Map<string, number>();
  const context: Context = { reader, records, states, exitedAt };
  return {
    sample: async (groups, now, signal) => {
      const byPods = groups.filter(({ pool }) => pool === undefined || isByPods(pool.spec.utilizationExit));
      const byNamespace = Map.groupBy(byPods, ({ namespace }) => namespace);
      await Promise.all([
        ...[...byNamespace].map(async ([, inIt]) => await samplePods(context, inIt, { now, signal })),
        ...groups.map(async (group) => await sampleQuery(context, group, { now, signal })),
      ]);
    },
    idle: (group, now) => (group.pool === undefined ? ownIdle(context, group, now) : poolIdle(context, group, now)),
    exited: (poolUid, now) => void exitedAt.set(poolUid, now),
    conditions: ({ metadata, spec }) => idleConditions(spec.utilizationExit, states.get(metadata.uid) ?? nothing),
    keepOnly: (clones, pools) => {
      for (const uid of records.keys()) if (!clones.has(uid)) records.delete(uid);
      for (const uid of states.keys()) if (!pools.has(uid)) states.delete(uid);
      for (const uid of exitedAt.keys()) if (!pools.has(uid)) exitedAt.delete(uid);
    },
  };
}

interface Context {
  readonly reader: UsageReader;
  readonly records: Map<string, IdleRecord>;
  readonly states: Map<string, MeasuringState>;
  readonly exitedAt: Map<string, number>;
}

interface Moment {
  readonly now: number;
  readonly signal: AbortSignal;
}

function isByPods(exit: UtilizationExit | undefined): boolean {
  return exit !== undefined && exit.query === undefined;
}

async function samplePods(context: Context, groups: readonly WatchedGroup[], { now, signal }: Moment): Promise<void> {
  const measured = groups.filter(({ clones }) => clones.some(({ clone }) => clone.state === 'Serving'));
  const [first] = measured;
  if (first === undefined || measured.every((group) => !hasRule(group))) return;
  try {
    const usages = await context.reader.readPods(first.namespace, signal);
    for (const group of measured) takePods(context, group, { usages, now });
  } catch (error) {
    if (!(error instanceof HeadstartError)) throw error;
    for (const { pool } of measured) if (pool !== undefined) note(context, pool, { failure: failureOf(error, false) });
  }
}

function hasRule({ pool, clones }: WatchedGroup): boolean {
  return pool !== undefined || clones.some(({ clone }) => clone.exitBelow !== undefined);
}

function takePods(
  context: Context,
  { pool, clones }: WatchedGroup,
  { usages, now }: { readonly usages: ReadonlyMap<string, PodUsage>; readonly now: number },
): void {
  let withoutRequests = 0;
  for (const swept of clones) {
    const { clone, measured } = swept;
    const usage = usages.get(clone.name);
    const rule = pool === undefined ? ownRule(swept) : ruleOf(pool);
    if (usage === undefined || rule === undefined) continue;
    const result = measureUsage(rule.resource, measured, usage[rule.resource]);
    if (result.kind === 'unknown') withoutRequests += result.reason === 'NoRequest' ? 1 : 0;
    else take(context, swept, { rule, now, sample: result });
  }
  if (pool !== undefined) note(context, pool, { failure: undefined, withoutRequests });
}

async function sampleQuery(context: Context, group: WatchedGroup, { now, signal }: Moment): Promise<void> {
  const { namespace, pool } = group;
  const { query, serverRef } = pool?.spec.utilizationExit ?? {};
  if (pool === undefined || query === undefined || serverRef === undefined) return;
  try {
    const values = await context.reader.readQuery({ namespace, serverRef, query }, now, signal);
    takeValues(context, group, { values, now });
    note(context, pool, { failure: undefined, withoutRequests: 0 });
  } catch (error) {
    if (!(error instanceof HeadstartError)) throw error;
    note(context, pool, { failure: failureOf(error, true) });
  }
}

function takeValues(
  context: Context,
  { pool, clones }: WatchedGroup,
  { values, now }: { readonly values: ReadonlyMap<string, Sample>; readonly now: number },
): void {
  const rule = pool === undefined ? undefined : ruleOf(pool);
  if (rule === undefined) return;
  for (const swept of clones) {
    const value = values.get(swept.clone.name);
    if (value === undefined) continue;
    const restarts = swept.measured.containers.reduce((total, item) => total + item.restarts, 0);
    const sample = { ...value, windowSeconds: 0, used: value.value, requested: 100, shape: `${restarts}` };
    take(context, swept, { rule, now, sample });
  }
}

function take(
  { records }: Context,
  { clone }: SweptClone,
  {
    rule,
    now,
    sample,
  }: { readonly rule: IdleRule; readonly now: number; readonly sample: Parameters<typeof recordSample>[1] },
): void {
  const before = records.get(clone.uid) ?? noRecord;
  records.set(clone.uid, recordSample(before, sample, { rule, readyAt: clone.readyAt, now }));
}

function note({ states }: Context, { metadata }: ClonePool, change: Partial<MeasuringState>): void {
  states.set(metadata.uid, { ...(states.get(metadata.uid) ?? nothing), ...change });
}

function ruleOf({ spec }: ClonePool): (IdleRule & { readonly resource: MeasuredResource }) | undefined {
  const exit = spec.utilizationExit;
  return exit === undefined ? undefined : { ...exit, resource: exit.resource ?? 'cpu' };
}

function ownRule({ clone }: SweptClone): (IdleRule & { readonly resource: MeasuredResource }) | undefined {
  const own = clone.exitBelow === undefined ? undefined : parseExitBelow(clone.exitBelow);
  if (own === undefined) return undefined;
  return { ...ownDefaults, clearAbovePercent: Math.min(100, own.belowPercent + 10), ...own };
}

/** A clone without a pool ends by its own rule; whether others could carry its work is not for us to know. */
function ownIdle({ records }: Context, { clones }: WatchedGroup, now: number): ReadonlySet<string> {
  const idle = clones.filter((swept) => {
    const rule = ownRule(swept);
    return rule !== undefined && swept.clone.state === 'Serving' && isIdle(records.get(swept.clone.uid), rule, now);
  });
  return new Set(idle.map(({ clone }) => clone.uid));
}

function poolIdle(context: Context, { pool, clones }: WatchedGroup, now: number): ReadonlySet<string> {
  const rule = pool === undefined ? undefined : ruleOf(pool);
  if (pool === undefined || rule === undefined) return new Set();
  const { uid } = pool.metadata;
  const decision: IdleDecision = decideExits(
    {
      clones: clones.map(({ clone }) => clone),
      records: context.records,
      rule,
      windowStarts: (pool.spec.windows ?? []).map(({ startTime }) =>
        parseTimestamp(startTime, 'spec.windows.startTime'),
      ),
      leadSeconds: pool.spec.lifetime.startupBudgetSeconds,
      lastExitAt: context.exitedAt.get(uid),
    },
    now,
  );
  note(context, pool, { decision });
  const isBlind = context.states.get(uid)?.failure !== undefined;
  return new Set(isBlind ? [] : decision.exits.map((clone) => clone.uid));
}
