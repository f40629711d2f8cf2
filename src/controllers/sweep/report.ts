// SPDX-License-Identifier: Apache-2.0
import { isDeepStrictEqual } from 'node:util';
import { changedConditions, mergeConditions } from '../../api/conditions.ts';
import type { ClonePoolCondition, ClonePoolConditionDraft } from '../../api/conditions.ts';
import { apiVersion } from '../../api/labels.ts';
import { clonePoolCrd } from '../../api/v1alpha1/clone-pool.ts';
import type { ClonePool } from '../../api/v1alpha1/clone-pool.ts';
import type { Clock } from '../../base/clock.ts';
import { errorCode } from '../../base/errors.ts';
import { applyStatus } from '../../kube/apply.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { ObjectStore } from '../../kube/store.ts';
import type { EventRecorder } from '../../kube/recorder.ts';
import { formatRfc3339, parseTimestamp } from '../../series/rfc3339.ts';
import { announce } from '../clone/render.ts';
import type { Exit } from './ending.ts';
import { createExitEvents } from './exit-events.ts';
import type { ExitEvents } from './exit-events.ts';

/** What a report needs. */
export interface SweepReportOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** Epoch seconds of the apiserver's clock; nothing is written while they are not known. */
  readonly now: () => number | undefined;
  readonly pools: ObjectStore<ClonePool>;
  /** What the sweeper has to say of a pool. */
  readonly conditions: (pool: ClonePool) => readonly ClonePoolConditionDraft[];
  readonly recorder: Pick<EventRecorder, 'record'>;
  /** Told when one of its conditions has another status or reason. */
  readonly onChange?: (change: ConditionChange) => void;
  readonly onProblem: (problem: { readonly key: string; readonly error: unknown }) => void;
}

/** A condition that says something new. */
export type ConditionChange = ClonePoolConditionDraft & {
  readonly namespace: string;
  readonly name: string;
  readonly isWarning: boolean;
};

/** Says in the status of ClonePools, and in Events, what the sweeper sees, and how many clones ended, by reason. */
export interface SweepReport {
  /** Counts a clone that ended. */
  exited(exit: Exit): void;
  /** Writes what is new every five seconds until the signal aborts; never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

/** Owns these parts of a status; the clone controller owns the others. */
const fieldManager = 'headstart-sweeper';
const { kind, plural } = clonePoolCrd;
const periodMs = 5_000;
/** Where only the numbers of a sentence waver. */
const sameReasonSeconds = 60;

/** A pool as young as this has been told of by nobody, whatever its status says. */
const youngSeconds = 60;

type Counts = Readonly<Record<string, number>>;

interface PoolState {
  /** As last written; the cache may be older. */
  written: Counts;
  writtenAt: number;
  pending: Map<string, number>;
  /** The conditions that were told last. */
  told: readonly Pick<ClonePoolCondition, 'type' | 'status' | 'reason'>[] | undefined;
}

interface Context extends SweepReportOptions {
  readonly states: Map<string, PoolState>;
  readonly exits: ExitEvents;
}

/** A report that has nothing to say yet. */
export function createSweepReport(options: SweepReportOptions): SweepReport {
  const context: Context = { ...options, states: new Map(), exits: createExitEvents() };
  return {
    exited: (exit) => {
      const { namespace, pool: name, reason } = exit;
      const pool = name === undefined ? undefined : options.pools.get(namespace, name);
      if (pool === undefined) {
        context.exits.add({ apiVersion: 'v1', kind: 'Pod', namespace, name: exit.name }, exit);
        return;
      }
      context.exits.add(regarding(pool), exit);
      const { pending } = stateOf(context, pool);
      pending.set(reason, (pending.get(reason) ?? 0) + 1);
    },
    run: async (signal) => {
      while (!signal.aborted) {
        await options.clock.sleep(periodMs, signal).catch(() => undefined);
        if (signal.aborted) return;
        for (const event of context.exits.take(options.clock.nowMs())) options.recorder.record(event);
        await writeAll(context, signal);
      }
    },
  };
}

function stateOf({ states }: Context, { metadata }: ClonePool): PoolState {
  const state = states.get(metadata.uid) ?? {
    written: {},
    writtenAt: Number.NEGATIVE_INFINITY,
    pending: new Map(),
    told: undefined,
  };
  states.set(metadata.uid, state);
  return state;
}

async function writeAll(context: Context, signal: AbortSignal): Promise<void> {
  const { now, pools, states, onProblem } = context;
  const at = now();
  if (at === undefined) return;
  const present = pools.list();
  const uids = new Set(present.map(({ metadata }) => metadata.uid));
  for (const uid of states.keys()) if (!uids.has(uid)) states.delete(uid);
  for (const pool of present) {
    await write(context, pool, { now: at, signal }).catch((error: unknown) => {
      const { namespace, name } = pool.metadata;
      // A pool that is gone has no status, and what was interrupted has not failed.
      if (!signal.aborted && errorCode(error) !== 'NotFound') onProblem({ key: `${namespace}/${name}`, error });
    });
  }
}

async function write(
  context: Context,
  pool: ClonePool,
  { now, signal }: { readonly now: number; readonly signal: AbortSignal },
): Promise<void> {
  const state = stateOf(context, pool);
  const { namespace, name, generation } = pool.metadata;
  const drafts = context.conditions(pool);
  tell(context, pool, { drafts, now });
  const own = new Set<string>(drafts.map(({ type }) => type));
  const standing = (pool.status?.conditions ?? []).filter(({ type }) => own.has(type));
  const at = { observedGeneration: generation, now: formatRfc3339(now) };
  const conditions = mergeConditions<ClonePoolCondition>(standing, drafts, at);
  const sent = new Map(state.pending);
  if (sent.size === 0 && !mustSay(standing, conditions, now - state.writtenAt)) return;
  const exits = add(pool.status?.exits ?? {}, state.written, sent);
  const target = { apiVersion, plural, namespace, name };
  await applyStatus(
    context.client,
    target,
    { kind, status: { exits, conditions } },
    { fieldManager, force: true, signal },
  );
  state.written = exits;
  state.writtenAt = now;
  // Others may have ended meanwhile.
  for (const [reason, count] of sent) {
    const left = (state.pending.get(reason) ?? 0) - count;
    if (left > 0) state.pending.set(reason, left);
    else state.pending.delete(reason);
  }
}

/** Told here alone: the clone controller writes the same conditions, and whoever comes second sees nothing new. */
function tell(
  context: Context,
  pool: ClonePool,
  { drafts, now }: { readonly drafts: readonly ClonePoolConditionDraft[]; readonly now: number },
): void {
  const state = stateOf(context, pool);
  const { namespace, name, creationTimestamp } = pool.metadata;
  const isYoung = now - parseTimestamp(creationTimestamp, 'metadata.creationTimestamp') < youngSeconds;
  const before = state.told ?? (isYoung ? [] : (pool.status?.conditions ?? []));
  const events = announce(drafts, before);
  for (const { message: note, ...event } of events) {
    context.recorder.record({ regarding: regarding(pool), note, ...event });
  }
  const warnings = new Set(events.filter(({ type }) => type === 'Warning').map(({ action }) => action));
  const last = new Map(before.map(({ type, status, reason }) => [String(type), `${status} ${reason}`]));
  for (const draft of drafts) {
    if (last.get(draft.type) === `${draft.status} ${draft.reason}`) continue;
    context.onChange?.({ namespace, name, ...draft, isWarning: warnings.has(draft.type) });
  }
  state.told = drafts;
}

function regarding({ metadata: { namespace, name, uid } }: ClonePool) {
  return { apiVersion, kind, namespace, name, uid };
}

function mustSay(
  standing: readonly ClonePoolCondition[],
  conditions: readonly ClonePoolCondition[],
  sinceSeconds: number,
): boolean {
  if (changedConditions(standing, conditions).length > 0) return true;
  const texts = (list: readonly ClonePoolCondition[]) =>
    new Map(list.map(({ type, message, observedGeneration }) => [type, [message, observedGeneration]]));
  return sinceSeconds >= sameReasonSeconds && !isDeepStrictEqual(texts(standing), texts(conditions));
}

/** Counts only ever grow: of what the cache has and what was written the larger is the newer. */
function add(standing: Counts, written: Counts, more: ReadonlyMap<string, number>): Counts {
  const reasons = new Set([...Object.keys(standing), ...Object.keys(written), ...more.keys()]);
  const entries = [...reasons].map((reason) => {
    const before = Math.max(standing[reason] ?? 0, written[reason] ?? 0);
    return [reason, before + (more.get(reason) ?? 0)] as const;
  });
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
