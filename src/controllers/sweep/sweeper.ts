// SPDX-License-Identifier: Apache-2.0
import type { ClonePoolConditionDraft } from '../../api/conditions.ts';
import type { ClonePool } from '../../api/v1alpha1/clone-pool.ts';
import type { Clock } from '../../base/clock.ts';
import { groupClones } from '../../capacity/clones/scan.ts';
import type { CloneGroup } from '../../capacity/clones/scan.ts';
import { isAlive } from '../../capacity/clones/victims.ts';
import type { NodeFacts, Victim } from '../../capacity/clones/victims.ts';
import type { CloneView } from '../../capacity/clones/view.ts';
import type { KubeObject } from '../../kube/client.ts';
import type { ServerTime } from '../../kube/server-time.ts';
import type { ObjectStore } from '../../kube/store.ts';
import { blockedCondition, isQuiet, planPool, targetGoneSince } from './decide.ts';
import type { Wanted } from './decide.ts';
import type { IdleWatch, WatchedGroup } from './idle-watch.ts';
import { createTokenBucket, poolRate } from './rate.ts';
import type { TokenBucket } from './rate.ts';
import type { Retirement } from './retire.ts';
import type { SweptClone } from './swept-clone.ts';

/** What the sweeper needs. */
export interface SweeperOptions {
  readonly clock: Clock;
  readonly serverTime: ServerTime;
  /** Every pod with the label of clones, whoever owns it. */
  readonly clones: ObjectStore<SweptClone>;
  readonly pools: ObjectStore<ClonePool & KubeObject>;
  readonly retirement: Retirement;
  readonly idleWatch: IdleWatch;
  /** Told of what failed and is tried again; `key` is the pool's namespace and name where it is about one. */
  readonly onProblem: (problem: { readonly key: string | undefined; readonly error: unknown }) => void;
  /** Told how long each scan took. */
  readonly onScan?: (scan: { readonly clones: number; readonly seconds: number }) => void;
}

/** Ends clones, by whatever reason they end. */
export interface Sweeper {
  /** Scans every second until the signal aborts; never rejects. Of all replicas only the leader runs it. */
  run(signal: AbortSignal): Promise<void>;
  /** One scan; what it begins goes on after it. */
  tick(signal: AbortSignal): Promise<void>;
  /** Resolves when what the scans have begun is done. */
  settled(): Promise<void>;
  /** What the sweeper has to say in a pool's status: MetricsAvailable, ExitFrozen, PDBBlocked. */
  conditions(pool: ClonePool): ClonePoolConditionDraft<'MetricsAvailable' | 'ExitFrozen' | 'PDBBlocked'>[];
}

const scanMs = 1_000;
/** metrics-server's resolution. */
const sampleSeconds = 15;
/** Of clones without a pool, in a namespace. */
const orphansPerMinute = 60;
/** Pods that ended by themselves harm nobody: so many are deleted in a scan, and what lives goes first. */
const endedPerScan = 20;

interface PoolState {
  readonly bucket: TokenBucket;
  dropSince: number | undefined;
  isBusy: boolean;
}

interface Context extends SweeperOptions {
  readonly states: Map<string, PoolState>;
  readonly work: Set<Promise<void>>;
  sampledAt: number;
  isSampling: boolean;
}

/** A sweeper that has begun nothing. */
export function createSweeper(options: SweeperOptions): Sweeper {
  const context: Context = {
    ...options,
    states: new Map(),
    work: new Set(),
    sampledAt: Number.NEGATIVE_INFINITY,
    isSampling: false,
  };
  const settled = async (): Promise<void> => {
    while (context.work.size > 0) await Promise.all(context.work);
  };
  return {
    tick: async (signal) => await tick(context, signal),
    settled,
    run: async (signal) => {
      while (!signal.aborted) {
        await tick(context, signal).catch((error: unknown) => report(context, undefined, { error, signal }));
        await options.clock.sleep(scanMs, signal).catch(() => undefined);
      }
      await settled();
    },
    conditions: (pool) => [
      ...options.idleWatch.conditions(pool),
      blockedCondition(options.retirement.blocked(pool.metadata.uid), pool.spec.termination.evictTimeoutSeconds),
    ],
  };
}

async function tick(context: Context, signal: AbortSignal): Promise<void> {
  const { serverTime, clones, pools, retirement, clock, onScan } = context;
  await serverTime.refresh(signal);
  const now = serverTime.now();
  // Half a list looks like clones without pools, and an unknown time like any other.
  if (now === undefined || !clones.hasSynced() || !pools.hasSynced()) return;
  const startMs = clock.nowMs();
  const swept = clones.list();
  const byUid = new Map(pools.list().map((pool) => [pool.metadata.uid, pool]));
  const groups = groupClones(swept).map((group) => ({
    ...group,
    pool: group.owner === undefined ? undefined : byUid.get(group.owner),
  }));
  sample(context, groups, { now, signal });
  for (const group of groups) sweepGroup(context, group, { now, signal });
  onScan?.({ clones: swept.length, seconds: (clock.nowMs() - startMs) / 1000 });
  spawn(context, undefined, { signal, work: async () => await retirement.advance(signal) });
}

interface Group extends CloneGroup {
  readonly pool: ClonePool | undefined;
}

interface Moment {
  readonly now: number;
  readonly signal: AbortSignal;
}

/** Decides about one pool, or about the clones of a namespace that have none, and begins what is to be done. */
function sweepGroup(context: Context, group: Group, { now, signal }: Moment): void {
  const { retirement } = context;
  const state = stateOf(context, group);
  if (state.isBusy) return;
  if (retirement.ending.size === 0 && isQuiet(group, planned(group), now)) {
    state.dropSince = undefined;
    return;
  }
  const [clones = [], notServing = []] = [group.clones, group.notServing].map((list) => withoutEnding(context, list));
  resume(context, group, notServing);
  const plan = planGroup(context, { ...group, clones, notServing }, { now, dropSince: state.dropSince });
  state.dropSince = plan.dropSince;
  const chosen = plan.victims.slice(0, state.bucket.take(plan.victims.length));
  const ended = notServing
    .filter((clone) => clone.state === 'Ended')
    .slice(0, endedPerScan)
    .map((clone) => ({ clone, reason: 'Failed' as const }));
  if (chosen.length === 0 && ended.length === 0) return;
  const idle = chosen.filter(({ reason }) => reason === 'Idle');
  if (group.pool !== undefined && idle.length > 0) context.idleWatch.exited(group.pool.metadata.uid, now);
  state.isBusy = true;
  const work = async (): Promise<void> => {
    try {
      await retirement.retire(group.pool, [...chosen, ...ended], signal);
    } finally {
      state.isBusy = false;
    }
  };
  spawn(context, keyOf(group), { signal, work });
}

function planGroup(
  context: Context,
  group: Group,
  { now, dropSince }: { readonly now: number; readonly dropSince: number | undefined },
): { readonly victims: readonly Victim[]; readonly dropSince: number | undefined } {
  const { pool, clones, notServing } = group;
  const isDeleted = isGoing(pool);
  const lost =
    isDeleted || pool === undefined ? [] : notServing.filter(({ isReady, state }) => !isReady && state === 'Starting');
  const since = lost.flatMap((clone) => {
    const at = context.clones.get(clone.namespace, clone.name)?.lostReadinessAt;
    return at === undefined ? [] : [[clone.uid, at] as const];
  });
  const input = {
    ...planned(group),
    clones,
    lostReadiness: new Map(since),
    idle: isDeleted ? new Set<string>() : findIdle(context, group, now),
    dropSince,
  };
  const plan = planPool(input, now);
  if (plan.victims.length === 0) return plan;
  // Only now, as it takes another look at every clone: what of other pools is on the nodes.
  return planPool({ ...input, nodes: neighbours(context, clones) }, now);
}

/** What is to be there. What goes with its pool is deleted by the garbage collector. */
function planned({ pool }: Group): Wanted {
  return {
    spec: isGoing(pool) ? undefined : pool?.spec,
    targetRevision: pool?.status?.targetRevision,
    targetGoneSince: pool === undefined ? undefined : targetGoneSince(pool),
  };
}

function isGoing(pool: ClonePool | undefined): boolean {
  return pool?.metadata.deletionTimestamp !== undefined;
}

function findIdle(context: Context, group: Group, now: number): ReadonlySet<string> {
  const { pool, clones } = group;
  const mayExit =
    pool === undefined ? clones.some(({ exitBelow }) => exitBelow !== undefined) : pool.spec.utilizationExit;
  return mayExit ? context.idleWatch.idle(watched(context, group), now) : new Set();
}

function watched(context: Context, { namespace, pool, clones }: Group): WatchedGroup {
  const swept = clones.flatMap((clone) => context.clones.get(clone.namespace, clone.name) ?? []);
  return { namespace, pool, clones: swept };
}

/** Clones of others on the nodes of these. */
function neighbours({ clones: store }: Context, clones: readonly CloneView[]): ReadonlyMap<string, NodeFacts> {
  const own = new Set(clones.map(({ uid }) => uid));
  const nodes = new Map<string, { otherClones: number; otherHorizon: number }>();
  for (const { node } of clones) {
    if (node !== undefined) nodes.set(node, { otherClones: 0, otherHorizon: Number.NEGATIVE_INFINITY });
  }
  for (const { clone } of store.list()) {
    const node = nodes.get(clone.node ?? '');
    if (node === undefined || !isAlive(clone) || own.has(clone.uid)) continue;
    node.otherClones += 1;
    node.otherHorizon = Math.max(node.otherHorizon, clone.effectiveDeadline);
  }
  return nodes;
}

/** Nothing is copied while nobody ends. */
function withoutEnding({ retirement: { ending } }: Context, clones: readonly CloneView[]): readonly CloneView[] {
  const isBegun = ending.size > 0 && clones.some(({ uid }) => ending.has(uid));
  return isBegun ? clones.filter(({ uid }) => !ending.has(uid)) : clones;
}

/** Retiring is final: whoever marked them is gone, and they still end. */
function resume({ retirement, clones: store }: Context, { pool }: Group, clones: readonly CloneView[]): void {
  const marked = clones.filter(({ state }) => state === 'Retiring');
  const victims = marked.map((clone) => {
    const reason = store.get(clone.namespace, clone.name)?.exitReason ?? 'Expired';
    return { clone, reason };
  });
  if (victims.length > 0) retirement.resume(pool, victims);
}

/** Measures in the background every 15 s: a slow metrics-server must not delay deadlines. */
function sample(context: Context, groups: readonly Group[], { now, signal }: Moment): void {
  if (context.isSampling || Math.abs(now - context.sampledAt) < sampleSeconds) return;
  context.sampledAt = now;
  forget(context);
  const measured = groups.filter(({ pool, clones }) =>
    pool === undefined
      ? clones.some(({ exitBelow }) => exitBelow !== undefined)
      : pool.spec.utilizationExit !== undefined,
  );
  if (measured.length === 0) return;
  context.isSampling = true;
  const work = async (): Promise<void> => {
    try {
      await context.idleWatch.sample(
        measured.map((group) => watched(context, group)),
        now,
        signal,
      );
    } finally {
      context.isSampling = false;
    }
  };
  spawn(context, undefined, { signal, work });
}

function stateOf({ states, clock }: Context, group: Group): PoolState {
  const key = group.owner ?? `orphans of ${group.namespace}`;
  const rate = poolRate(group.pool?.spec.termination.maxPerMinute ?? orphansPerMinute);
  const known = states.get(key) ?? { bucket: createTokenBucket(rate, clock), dropSince: undefined, isBusy: false };
  known.bucket.setRate(rate);
  states.set(key, known);
  return known;
}

/** Pools that are gone, and clones. */
function forget({ states, idleWatch, clones, pools }: Context): void {
  const owners = new Set(pools.list().map(({ metadata }) => metadata.uid));
  const uids = clones.list().map(({ clone }) => clone.uid);
  for (const [key, state] of states) if (!owners.has(key) && !state.isBusy) states.delete(key);
  idleWatch.keepOnly(new Set(uids), owners);
}

interface Work {
  readonly signal: AbortSignal;
  readonly work: () => Promise<void>;
}

function spawn(context: Context, key: string | undefined, { signal, work }: Work): void {
  const task = work()
    .catch((error: unknown) => report(context, key, { error, signal }))
    .finally(() => context.work.delete(task));
  context.work.add(task);
}

function report(
  context: Context,
  key: string | undefined,
  { error, signal }: { error: unknown; signal: AbortSignal },
): void {
  // What was interrupted has not failed.
  if (!signal.aborted) context.onProblem({ key, error });
}

function keyOf({ namespace, pool }: Group): string {
  return pool === undefined ? namespace : `${namespace}/${pool.metadata.name}`;
}
