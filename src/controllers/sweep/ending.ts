// SPDX-License-Identifier: Apache-2.0
import type { ExitReason } from '../../api/clone-labels.ts';
import { backoffMs } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import { errorMessage, HeadstartError } from '../../base/errors.ts';
import { isAlive } from '../../capacity/clones/victims.ts';
import type { CloneView } from '../../capacity/clones/view.ts';
import type { KubeClient, KubeObject } from '../../kube/client.ts';
import { parseClone } from '../clone/clone-object.ts';
import { deletePod, evict, markRetiring, reread, unprotect } from './end-pod.ts';

/** A clone that was ended. */
export interface Exit {
  readonly namespace: string;
  /** Name of its ClonePool; undefined where somebody else marked it. */
  readonly pool: string | undefined;
  readonly name: string;
  readonly reason: ExitReason;
}

/** How far the end of one clone has come. Lives in memory only: the pod and spec.replicas say the same. */
export interface Ending {
  clone: CloneView;
  readonly reason: ExitReason;
  readonly policy: 'EvictThenDelete' | 'Delete';
  readonly evictTimeoutMs: number;
  /** What comes next. */
  step: 'commit' | 'mark' | 'end' | 'done';
  isBusy: boolean;
  /** Was a delete or an eviction sent whose answer was lost? */
  isUnsure: boolean;
  /** Has the protection been taken off that refuses a delete? */
  isUnprotected: boolean;
  /** Failures in a row. */
  tries: number;
  /** When an eviction was refused first. */
  refusedSinceMs: number | undefined;
  refusal: 'BudgetExhausted' | 'SeveralBudgets' | undefined;
  nextMs: number;
  touchedMs: number;
}

/** What an attempt needs. */
export interface EndingContext {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onExit: (exit: Exit) => void;
  readonly onProblem: (problem: { readonly namespace: string; readonly name: string; readonly error: unknown }) => void;
}

/** Whose end it is: a label that names a pool does not make a clone of it. */
export function exitOf({ clone, reason }: Pick<Ending, 'clone' | 'reason'>): Exit {
  const { namespace, name, owner } = clone;
  return { namespace, pool: owner?.isPool === true ? clone.pool : undefined, name, reason };
}

/** After a refusal; a budget has its controller look again within 10 s (pkg/registry/core/pod/storage/eviction.go). */
const refused = { baseMs: 20_000, maxMs: 60_000 };
const failed = { baseMs: 2_000, maxMs: 30_000 };
/** Whether the request was carried out is not known. */
const unsure: ReadonlySet<string> = new Set(['Timeout', 'Unavailable', 'BadResponse', 'Internal']);

/**
 * One attempt to bring a clone to its end, from where it stands; sets when the next one is due.
 * @throws what is no HeadstartError, and the signal's reason
 */
export async function attempt(context: EndingContext, ending: Ending, signal: AbortSignal): Promise<void> {
  ending.touchedMs = context.clock.nowMs();
  try {
    if (ending.isUnsure && !(await lookAgain(context, ending, signal))) return;
    if (ending.step === 'mark') await mark(context, ending, signal);
    if (ending.step === 'end') await end(context, ending, signal);
  } catch (error) {
    if (signal.aborted || !(error instanceof HeadstartError)) throw error;
    try {
      await handle(context, ending, { error, signal });
    } catch (second) {
      if (signal.aborted || !(second instanceof HeadstartError)) throw second;
      retryLater(context, ending, { error: second, backoff: failed });
    }
  }
}

async function mark(context: EndingContext, ending: Ending, signal: AbortSignal): Promise<void> {
  const pod = await markRetiring(context.client, ending.clone, ending.reason, signal);
  ending.tries = 0;
  ending.step = isTerminating(pod) ? 'done' : 'end';
}

async function end(context: EndingContext, ending: Ending, signal: AbortSignal): Promise<void> {
  const { clone } = ending;
  if (isEvictable(ending, context.clock.nowMs())) await evict(context.client, clone, signal);
  else await deletePod(context.client, clone, signal);
  ending.step = 'done';
  tell(context, ending);
}

/** Budgets are asked about what runs, as long as there is patience. */
function isEvictable({ clone, policy, evictTimeoutMs, refusedSinceMs }: Ending, nowMs: number): boolean {
  if (policy === 'Delete' || clone.state === 'Pending' || clone.state === 'Ended') return false;
  return refusedSinceMs === undefined || nowMs - refusedSinceMs < evictTimeoutMs;
}

interface Failure {
  readonly error: HeadstartError;
  readonly signal: AbortSignal;
}

async function handle(context: EndingContext, ending: Ending, { error, signal }: Failure): Promise<void> {
  const { code } = error;
  if (code === 'NotFound') return finish(context, ending);
  // Another pod of that name, or it has changed since.
  const mayBeAnother = code === 'Conflict' || (code === 'InvalidInput' && ending.step === 'mark');
  if (mayBeAnother && !(await isStillThere(context, ending, signal))) return;
  if (ending.step === 'end') return await handleEnd(context, ending, { error, signal });
  retryLater(context, ending, { error, backoff: failed });
  // Whoever refuses that it is marked does not keep it for ever.
  if (!error.retryable && ending.tries > 1) ending.step = 'end';
}

async function handleEnd(context: EndingContext, ending: Ending, { error, signal }: Failure): Promise<void> {
  if (isEvictable(ending, context.clock.nowMs())) return noteRefusal(context, ending, error);
  if (error.code === 'Forbidden' && !ending.isUnprotected) return await takeOff(context, ending, signal);
  ending.isUnsure ||= unsure.has(error.code);
  retryLater(context, ending, { error, backoff: failed });
}

/** It is gone; ended by what was sent, if that was not answered. */
function finish(context: EndingContext, ending: Ending): void {
  if (ending.isUnsure) tell(context, ending);
  ending.isUnsure = false;
  ending.step = 'done';
}

/** Someone who may refuse has; they are asked again until the time is up. */
function noteRefusal(context: EndingContext, ending: Ending, error: HeadstartError): void {
  const nowMs = context.clock.nowMs();
  const message = errorMessage(error);
  const isSeveral = /more than one PodDisruptionBudget/i.test(message);
  ending.refusal = isSeveral ? 'SeveralBudgets' : error.code === 'Throttled' ? 'BudgetExhausted' : undefined;
  ending.refusedSinceMs ??= nowMs;
  ending.isUnsure ||= !isSeveral && unsure.has(error.code);
  retryLater(context, ending, { error, backoff: ending.refusal === undefined ? failed : refused });
  ending.nextMs = Math.min(ending.nextMs, Math.max(nowMs, ending.refusedSinceMs + ending.evictTimeoutMs));
}

function retryLater(
  { clock, random, onProblem }: EndingContext,
  ending: Ending,
  {
    error,
    backoff,
  }: { readonly error: HeadstartError; readonly backoff: { readonly baseMs: number; readonly maxMs: number } },
): void {
  ending.nextMs = clock.nowMs() + backoffMs(ending.tries, { ...backoff, random });
  ending.tries += 1;
  const { namespace, name } = ending.clone;
  onProblem({ namespace, name, error });
}

/** Is there still something to do? An answer that was lost may have been a yes. */
async function lookAgain(context: EndingContext, ending: Ending, signal: AbortSignal): Promise<boolean> {
  if (!(await isStillThere(context, ending, signal))) return false;
  ending.isUnsure = false;
  return true;
}

/** Reads the pod; goes on with what it is now. */
async function isStillThere(context: EndingContext, ending: Ending, signal: AbortSignal): Promise<boolean> {
  const pod = await reread(context.client, ending.clone, signal);
  if (pod === undefined || isTerminating(pod)) {
    finish(context, ending);
    return false;
  }
  const { clone } = parseClone(pod);
  // It was deleted unmarked when it had no node; now it has one.
  if (ending.step === 'end' && isAlive(clone) && clone.state !== 'Pending') ending.step = 'mark';
  ending.clone = clone;
  return true;
}

/** Takes off what refuses the delete. */
async function takeOff(context: EndingContext, ending: Ending, signal: AbortSignal): Promise<void> {
  ending.isUnprotected = true;
  await unprotect(context.client, ending.clone, signal);
  ending.nextMs = context.clock.nowMs();
}

function tell({ onExit }: EndingContext, ending: Ending): void {
  onExit(exitOf(ending));
}

function isTerminating(pod: KubeObject): boolean {
  return pod.metadata.deletionTimestamp !== undefined;
}
