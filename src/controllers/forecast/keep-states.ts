// SPDX-License-Identifier: Apache-2.0
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import type { Clock } from '../../base/clock.ts';
import { HeadstartError } from '../../base/errors.ts';
import { formatDuration } from '../../base/duration.ts';
import type { StoreProblem } from '../../history/database.ts';
import type { StateKey, StateStore } from '../../history/state-store.ts';
import { objectKey } from '../../kube/store.ts';

/** Each state is kept once in this time, and again at the end. */
const keepEveryMs = 3_600_000;
/** Between two of them, so that a thousand forecasts that begin together are not written together. */
const betweenKeepsMs = 200;
/** What is older would have to catch up on more than it knows. */
const oldestSeconds = 86_400;
/** Clocks of two starts may differ so much. */
const youngestSeconds = -300;

/** Where what is learnt outlives the process, and who is told. */
export interface KeepOptions {
  readonly store: Pick<StateStore, 'load' | 'save' | 'forget' | 'retain'>;
  readonly onState?: (outcome: 'restored' | 'saved') => void;
  readonly onProblem?: (problem: StoreProblem) => void;
}

/** A state, and what it is for. */
export interface StateOf {
  readonly spec: string;
  readonly state: unknown;
}

/** Keeps what is learnt for the next start; best effort, nothing throws. */
export interface Keeper {
  /** What `restore` makes of what was kept for this spec; undefined when that is nothing, or of no use. */
  restore<T>(forecast: DemandForecast, spec: string, restore: (state: unknown) => T): T | undefined;
  /** Says why what was kept is of no use, and forgets it. */
  discard(forecast: DemandForecast, cause: unknown): void;
  /** Whether the state is to be kept now; who is told so does it. */
  takeTurn(forecast: DemandForecast): boolean;
  /** When it was last kept, by this process or the one before; ms since the epoch. */
  keptAtMs(forecast: DemandForecast): number | undefined;
  keep(forecast: DemandForecast, state: () => StateOf | undefined): void;
  forget(uid: string): void;
  /** Forgets all but these. */
  retain(forecasts: readonly DemandForecast[]): void;
}

/** A keeper of one store. */
export function createKeeper(
  { store, onState = () => undefined, onProblem = () => undefined }: KeepOptions,
  clock: Clock,
): Keeper {
  const keptAtMs = new Map<string, number>();
  let lastTurnMs = Number.NEGATIVE_INFINITY;
  const discard: Keeper['discard'] = (forecast, cause) => {
    const { name, uid } = keyOf(forecast, '');
    const message = `the state that was kept of ${name} is discarded`;
    onProblem({ outcome: 'discarded', error: new HeadstartError('InvalidInput', message, { cause }) });
    keptAtMs.delete(uid);
    store.forget(uid);
  };
  return {
    discard,
    restore: (forecast, spec, restore) => {
      const key = keyOf(forecast, spec);
      const kept = store.load(key);
      if (kept === undefined) return undefined;
      try {
        refuseAge(clock.nowMs() / 1000 - kept.savedAt);
        const restored = restore(kept.state);
        keptAtMs.set(key.uid, kept.savedAt * 1000);
        onState('restored');
        return restored;
      } catch (cause) {
        discard(forecast, cause);
        return undefined;
      }
    },
    takeTurn: ({ metadata: { uid } }) => {
      const nowMs = clock.nowMs();
      const lastMs = keptAtMs.get(uid) ?? Number.NEGATIVE_INFINITY;
      if (nowMs - lastMs < keepEveryMs || Math.abs(nowMs - lastTurnMs) < betweenKeepsMs) return false;
      lastTurnMs = nowMs;
      keptAtMs.set(uid, nowMs);
      return true;
    },
    keptAtMs: ({ metadata }) => keptAtMs.get(metadata.uid),
    keep: (forecast, state) => {
      try {
        const given = state();
        if (given === undefined) return;
        const savedAt = clock.nowMs() / 1000;
        if (store.save(keyOf(forecast, given.spec), { state: given.state, savedAt })) onState('saved');
      } catch (cause) {
        const message = `keeping the state of ${keyOf(forecast, '').name}`;
        onProblem({ outcome: 'failed', error: new HeadstartError('Unavailable', message, { cause }) });
      }
    },
    forget: (uid) => {
      keptAtMs.delete(uid);
      store.forget(uid);
    },
    retain: (forecasts) => store.retain(forecasts.map(({ metadata }) => metadata.uid)),
  };
}

function keyOf({ metadata: { namespace, name, uid } }: DemandForecast, spec: string): StateKey {
  return { uid, name: objectKey(namespace, name), spec };
}

/** @throws HeadstartError InvalidInput */
function refuseAge(ageSeconds: number): void {
  if (ageSeconds >= youngestSeconds && ageSeconds <= oldestSeconds) return;
  const age = ageSeconds < 0 ? 'of the time to come' : `${formatDuration(Math.round(ageSeconds))} old`;
  throw new HeadstartError('InvalidInput', `it is ${age}, at most ${formatDuration(oldestSeconds)} is of use`);
}
