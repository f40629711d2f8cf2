// SPDX-License-Identifier: Apache-2.0
import type { ClonePool, ClonePoolSpec } from '../../api/v1alpha1/clone-pool.ts';
import type { Clock } from '../../base/clock.ts';
import { isAlive } from '../../capacity/clones/victims.ts';
import type { Victim } from '../../capacity/clones/victims.ts';
import type { CloneView } from '../../capacity/clones/view.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { ObjectStore } from '../../kube/store.ts';
import { createLimiter } from '../../sources/metrics/limiter.ts';
import type { Limiter } from '../../sources/metrics/limiter.ts';
import { parseClone } from '../clone/clone-object.ts';
import type { CloneObject } from '../clone/clone-object.ts';
import { commitReplicas } from './commit.ts';
import { reread } from './end-pod.ts';
import { attempt, exitOf } from './ending.ts';
import type { Ending, Exit } from './ending.ts';

/** What retiring needs. */
export interface RetirementOptions {
  /** Whoever limits what is written limits it. */
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly random: () => number;
  /** Every clone there is, by label. */
  readonly clones: ObjectStore<CloneObject>;
  /** Told of each clone that was ended here; once for each. */
  readonly onExit: (exit: Exit) => void;
  /** Told of what went wrong and is tried again. */
  readonly onProblem: (problem: { readonly namespace: string; readonly name: string; readonly error: unknown }) => void;
}

/** Why the clones of a pool that are to end do not. */
export interface Blocked {
  readonly budgetExhausted: number;
  readonly severalBudgets: number;
}

/** Ends clones, one protocol for all reasons; one of it in a process, for all who end clones. */
export interface Retirement {
  /**
   * The retire protocol: lowers spec.replicas (not in mode Scale, and not without a pool), marks the pods, and evicts
   * them. Resolves when each has been tried once; what was refused is tried again by `advance`. Clones whose end goes
   * on already are left out.
   * @throws HeadstartError when the commit failed: then nobody has been touched
   */
  retire(pool: ClonePool | undefined, victims: readonly Victim[], signal: AbortSignal): Promise<void>;
  /** Goes on with clones that are marked as Retiring, by a process before this one. */
  resume(pool: ClonePool | undefined, victims: readonly Victim[]): void;
  /** Tries whatever is due; resolves when each has been tried. Call it every second. */
  advance(signal: AbortSignal): Promise<void>;
  /** Uids of the clones whose end has been begun here. */
  readonly ending: Pick<ReadonlySet<string>, 'has' | 'size'>;
  /** Of a pool, by its uid. */
  blocked(poolUid: string): Blocked;
}

type Termination = ClonePoolSpec['termination'];

/** Of clones without a pool. */
const defaultTermination: Termination = { policy: 'EvictThenDelete', evictTimeoutSeconds: 120, maxPerMinute: 60 };
/** A cache that has heard nothing for so long is not trusted with a deletion. */
const trustedMs = 60_000;
/** Of what has ended and is still in the cache; then it is looked at anew. */
const forgetMs = 10 * 60_000;
/** Requests at a time. */
const concurrency = 16;

interface Context extends RetirementOptions {
  readonly endings: Map<string, Ending>;
  readonly limit: Limiter;
  /** The last commit of each pool; two at a time would each count the other's clones. */
  readonly commits: Map<string, Promise<unknown>>;
}

/** A Retirement in which nobody ends yet. */
export function createRetirement(options: RetirementOptions): Retirement {
  const context: Context = { ...options, endings: new Map(), limit: createLimiter(concurrency), commits: new Map() };
  const { endings } = context;
  return {
    retire: async (pool, victims, signal) => await retire(context, pool, { victims, signal }),
    resume: (pool, victims) => {
      for (const victim of victims) if (!endings.has(victim.clone.uid)) begin(context, pool, victim).step = 'end';
    },
    advance: async (signal) => {
      prune(context);
      const nowMs = options.clock.nowMs();
      const due = [...endings.values()].filter(
        ({ step, isBusy, nextMs }) => (step === 'mark' || step === 'end') && !isBusy && nextMs <= nowMs,
      );
      await tryAll(context, due, signal);
    },
    ending: endings,
    blocked: (poolUid) => {
      const refused = [...endings.values()].filter(({ clone, step }) => step === 'end' && clone.owner?.uid === poolUid);
      const count = (refusal: Ending['refusal']): number =>
        refused.filter((ending) => ending.refusal === refusal).length;
      return { budgetExhausted: count('BudgetExhausted'), severalBudgets: count('SeveralBudgets') };
    },
  };
}

async function retire(
  context: Context,
  pool: ClonePool | undefined,
  { victims, signal }: { readonly victims: readonly Victim[]; readonly signal: AbortSignal },
): Promise<void> {
  const fresh = victims.filter(({ clone }) => !context.endings.has(clone.uid));
  const begun = fresh.map((victim) => begin(context, pool, victim));
  try {
    await confirm(context, begun, signal);
    const ending = begun.filter(({ step }) => step === 'commit');
    if (pool !== undefined) await commit(context, pool, { ending, signal });
    // What has not been scheduled, or has ended by itself, is deleted at once: no budget covers it.
    for (const item of ending) item.step = isAlive(item.clone) && item.clone.state !== 'Pending' ? 'mark' : 'end';
  } catch (error) {
    for (const { clone } of begun) context.endings.delete(clone.uid);
    throw error;
  }
  await tryAll(
    context,
    begun.filter(({ step }) => step !== 'done'),
    signal,
  );
}

function begin({ endings, clock }: Context, pool: ClonePool | undefined, victim: Victim): Ending {
  const { policy, evictTimeoutSeconds } = pool?.spec.termination ?? defaultTermination;
  const nowMs = clock.nowMs();
  const ending: Ending = {
    clone: victim.clone,
    reason: victim.reason,
    policy,
    evictTimeoutMs: evictTimeoutSeconds * 1000,
    step: 'commit',
    isBusy: false,
    isUnsure: false,
    isUnprotected: false,
    tries: 0,
    refusedSinceMs: undefined,
    refusal: undefined,
    nextMs: nowMs,
    touchedMs: nowMs,
  };
  endings.set(victim.clone.uid, ending);
  return ending;
}

/** Looks at each victim itself when the cache may be out of date; who has changed is left to the next look. */
async function confirm(
  { client, clock, clones, endings, limit }: Context,
  begun: readonly Ending[],
  signal: AbortSignal,
): Promise<void> {
  if (clock.nowMs() - clones.lastContactMs() <= trustedMs) return;
  const check = async (ending: Ending): Promise<void> => {
    const pod = await limit(async () => await reread(client, ending.clone, signal), signal);
    if (pod !== undefined && isSame(parseClone(pod).clone, ending.clone)) return;
    ending.step = 'done';
    endings.delete(ending.clone.uid);
  };
  await Promise.all(begun.map(check));
}

function isSame(now: CloneView, then: CloneView): boolean {
  return now.state === then.state && now.effectiveDeadline === then.effectiveDeadline;
}

async function commit(
  context: Context,
  pool: ClonePool,
  { ending, signal }: { readonly ending: readonly Ending[]; readonly signal: AbortSignal },
): Promise<void> {
  const { uid, namespace } = pool.metadata;
  const counted = ending.filter(({ clone }) => isAlive(clone) && clone.owner?.uid === uid);
  if (counted.length === 0) return;
  const live = (): number =>
    context.clones.list(namespace).filter(({ clone }) => {
      const step = context.endings.get(clone.uid)?.step ?? 'commit';
      return clone.owner?.uid === uid && isAlive(clone) && step === 'commit';
    }).length;
  const before = context.commits.get(uid) ?? Promise.resolve();
  const work = before.then(async () => {
    await commitReplicas(context.client, pool, { ending: counted.length, live }, signal);
    for (const item of counted) item.step = 'mark';
  });
  const settled = work.catch(() => undefined);
  context.commits.set(uid, settled);
  try {
    await work;
  } finally {
    if (context.commits.get(uid) === settled) context.commits.delete(uid);
  }
}

async function tryAll(context: Context, endings: readonly Ending[], signal: AbortSignal): Promise<void> {
  for (const ending of endings) ending.isBusy = true;
  const results = await Promise.allSettled(
    endings.map(async (ending) => {
      try {
        await context.limit(async () => await attempt(context, ending, signal), signal);
      } finally {
        ending.isBusy = false;
      }
    }),
  );
  const failed = results.find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

/** Forgets whoever is gone; an end of which the answer was lost, and the pod with it, has been reached. */
function prune({ clones, endings, clock, onExit }: Context): void {
  for (const [uid, ending] of endings) {
    if (ending.step === 'commit' || ending.isBusy) continue;
    const { namespace, name } = ending.clone;
    const isGone = !isHere(clones.get(namespace, name)?.clone, uid);
    const isForgotten = ending.step === 'done' && clock.nowMs() - ending.touchedMs > forgetMs;
    if (isGone && ending.isUnsure) onExit(exitOf(ending));
    if (isGone || isForgotten) endings.delete(uid);
  }
}

function isHere(cached: CloneView | undefined, uid: string): boolean {
  return cached?.uid === uid && cached.state !== 'Terminating';
}
