// SPDX-License-Identifier: Apache-2.0
import { isDeepStrictEqual } from 'node:util';
import type { ExitReason } from '../../api/clone-labels.ts';
import { changedConditions, mergeConditions } from '../../api/conditions.ts';
import type { ClonePoolCondition, ClonePoolConditionDraft } from '../../api/conditions.ts';
import { apiVersion } from '../../api/labels.ts';
import { clonePoolCrd } from '../../api/v1alpha1/clone-pool.ts';
import type { ClonePool } from '../../api/v1alpha1/clone-pool.ts';
import type { Clock } from '../../base/clock.ts';
import { errorCode } from '../../base/errors.ts';
import { applyStatus } from '../../kube/apply.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { EventRecorder } from '../../kube/recorder.ts';
import type { ObjectStore } from '../../kube/store.ts';
import { formatRfc3339 } from '../../series/rfc3339.ts';
import type { Exit } from './ending.ts';

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
  readonly onProblem: (problem: { readonly key: string; readonly error: unknown }) => void;
}

/** Says in the status of ClonePools what the sweeper sees, and how many clones ended, by reason; Events say so too. */
export interface SweepReport {
  /** Counts a clone that ended; of one without a pool an Event alone tells. */
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
/** What an exit reason means, for people; those that somebody should look at are warnings. */
const meanings: Readonly<Record<ExitReason, { readonly type: 'Normal' | 'Warning'; readonly text: string }>> = {
  Expired: { type: 'Normal', text: 'the end of its time had come' },
  Idle: { type: 'Normal', text: 'it had had nothing to do for long enough' },
  Surplus: { type: 'Normal', text: 'fewer clones are wanted' },
  Outdated: { type: 'Normal', text: 'the pod template has changed' },
  StartFailed: { type: 'Warning', text: 'it was not Ready within its time to start' },
  Failed: { type: 'Warning', text: 'its pod had ended by itself' },
};

type Counts = Readonly<Record<string, number>>;

interface PoolState {
  /** As last written; the cache may be older. */
  written: Counts;
  writtenAt: number;
  pending: Map<ExitReason, number>;
}

interface Context extends SweepReportOptions {
  readonly states: Map<string, PoolState>;
}

/** A report that has nothing to say yet. */
export function createSweepReport(options: SweepReportOptions): SweepReport {
  const context: Context = { ...options, states: new Map() };
  return {
    exited: (exit) => {
      const { namespace, pool: name, reason } = exit;
      const pool = name === undefined ? undefined : options.pools.get(namespace, name);
      if (pool === undefined) return tellOrphan(context, exit);
      const { pending } = stateOf(context, pool);
      pending.set(reason, (pending.get(reason) ?? 0) + 1);
    },
    run: async (signal) => {
      while (!signal.aborted) {
        await options.clock.sleep(periodMs, signal).catch(() => undefined);
        if (!signal.aborted) await writeAll(context, signal);
      }
    },
  };
}

function stateOf({ states }: Context, { metadata }: ClonePool): PoolState {
  const state = states.get(metadata.uid) ?? { written: {}, writtenAt: Number.NEGATIVE_INFINITY, pending: new Map() };
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
  for (const [reason, count] of sent) tell(context, pool, { reason, count });
  state.written = exits;
  state.writtenAt = now;
  // Others may have ended meanwhile.
  for (const [reason, count] of sent) {
    const left = (state.pending.get(reason) ?? 0) - count;
    if (left > 0) state.pending.set(reason, left);
    else state.pending.delete(reason);
  }
}

/** One Event for all that ended since the last one, as there may be hundreds. */
function tell(
  { recorder }: Context,
  { metadata }: ClonePool,
  { reason, count }: { readonly reason: ExitReason; readonly count: number },
): void {
  const { namespace, name, uid } = metadata;
  const { type, text } = meanings[reason];
  const note = count === 1 ? `a clone was ended: ${text}` : `${count} clones were ended, each because ${text}`;
  recorder.record({ regarding: { apiVersion, kind, namespace, name, uid }, type, reason, action: 'Retire', note });
}

/** About the pod, as there is nothing else. */
function tellOrphan({ recorder }: Context, { namespace, name, reason }: Exit): void {
  const { type, text } = meanings[reason];
  const regarding = { apiVersion: 'v1', kind: 'Pod', namespace, name };
  recorder.record({ regarding, type, reason, action: 'Retire', note: `the clone was ended: ${text}` });
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
function add(standing: Counts, written: Counts, more: ReadonlyMap<ExitReason, number>): Counts {
  const reasons = new Set([...Object.keys(standing), ...Object.keys(written), ...more.keys()]);
  const entries = [...reasons].map((reason) => {
    const before = Math.max(standing[reason] ?? 0, written[reason] ?? 0);
    return [reason, before + (more.get(reason as ExitReason) ?? 0)] as const;
  });
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
