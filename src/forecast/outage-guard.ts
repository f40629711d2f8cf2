// SPDX-License-Identifier: Apache-2.0

/** What one look at a workload shows. Times are epoch seconds; what is not known is NaN, or undefined. */
export interface GuardLook {
  readonly now: number;
  /** NaN when there are no samples: the scrapes have vanished. */
  readonly demand: number;
  /** Median demand that was forecast for now, before anything fell; NaN where there is no forecast. */
  readonly expected: number;
  /** Median demand of the half hour before the last minutes; NaN where not known. */
  readonly before: number;
  readonly pods: { readonly ready: number; readonly wanted: number } | undefined;
  /** Signals above their normal range that only trouble explains (errors, latency), with their numbers. */
  readonly alarms: readonly string[];
  /** Nobody could be asked: no evidence for or against anything. */
  readonly isBlind: boolean;
}

/** Why a fall of demand is not believed. */
export type GuardEvidence = 'ErrorsRise' | 'ScrapesVanished' | 'PodsNotReady';

/** Where the guard stands. It begins as {@link watching}. */
export type GuardState =
  | { readonly kind: 'watching' }
  /** Demand is not trusted since; the forecast is published meanwhile. */
  | {
      readonly kind: 'holding';
      readonly since: number;
      /** When evidence was last seen. */
      readonly evidentAt: number;
      readonly evidence: GuardEvidence;
      readonly message: string;
      /** Looks in a row at which demand was back. */
      readonly recovered: number;
    }
  /** It was held for too long: what is observed is believed, until demand is back or the evidence is gone. */
  | { readonly kind: 'given-up'; readonly since: number; readonly at: number; readonly message: string };

export const watching: GuardState = { kind: 'watching' };

/** The longest hold; what lasts longer is how things are now. */
export const maxHoldSeconds = 1800;

/** Below this share of what was forecast, and of what was before, demand has fallen suddenly. */
const fallenShare = 0.6;
/** From this share of what is expected on demand is back. */
const backShare = 0.8;
const looksToRecover = 2;
/** Below this share of the wanted pods being Ready the fall may be the pods' doing. */
const readyShare = 0.7;
/** A fall that goes on for so long with nothing wrong is a real one. */
const clearedSeconds = 300;

/**
 * Takes the next look. A fall counts when demand is below 60 % both of what was forecast and of what it was before; it is
 * held only with evidence that the workload is in trouble: errors or latency out of range, less than 70 % of the wanted
 * pods Ready, or no samples at all. The hold ends when demand is back for two looks, when nothing has been wrong for five
 * minutes, or after 30 minutes in any case.
 */
export function stepGuard(state: GuardState, look: GuardLook): GuardState {
  switch (state.kind) {
    case 'watching':
      return watch(look);
    case 'holding':
      return hold(state, look);
    case 'given-up':
      return isBack(look) || (!look.isBlind && evidenceOf(look) === undefined) ? watching : state;
  }
}

function watch(look: GuardLook): GuardState {
  const evidence = evidenceOf(look);
  if (look.isBlind || evidence === undefined || !hasFallen(look)) return watching;
  const { now } = look;
  return { kind: 'holding', since: now, evidentAt: now, evidence, message: describe(look, evidence), recovered: 0 };
}

function hold(state: Extract<GuardState, { kind: 'holding' }>, look: GuardLook): GuardState {
  const { now, isBlind } = look;
  // A clock that was set back must not make it last.
  if (now - state.since >= maxHoldSeconds || now < state.since) {
    return { kind: 'given-up', since: state.since, at: now, message: state.message };
  }
  if (isBlind) return { ...state, recovered: 0 };
  const recovered = isBack(look) ? state.recovered + 1 : 0;
  if (recovered >= looksToRecover) return watching;
  const evidence = evidenceOf(look);
  if (evidence !== undefined) return { ...state, evidentAt: now, recovered };
  return now - state.evidentAt >= clearedSeconds ? watching : { ...state, recovered };
}

function hasFallen({ demand, expected, before }: GuardLook): boolean {
  const floor = fallenShare * Math.min(expected, before);
  return floor > 0 && !(demand >= floor);
}

function isBack({ demand, expected, before }: GuardLook): boolean {
  const usual = [expected, before].filter((value) => !Number.isNaN(value));
  return usual.length > 0 && demand >= backShare * Math.min(...usual);
}

function evidenceOf({ demand, alarms, pods }: GuardLook): GuardEvidence | undefined {
  if (Number.isNaN(demand)) return 'ScrapesVanished';
  if (alarms.length > 0) return 'ErrorsRise';
  return pods !== undefined && pods.ready < readyShare * pods.wanted ? 'PodsNotReady' : undefined;
}

function describe(look: GuardLook, evidence: GuardEvidence): string {
  const { demand, expected, before, pods, alarms } = look;
  const fall = Number.isNaN(demand) ? 'demand has no samples any more' : `demand fell to ${short(demand)}`;
  const usual = `${short(expected)} was forecast, ${short(before)} came before`;
  const why = {
    ErrorsRise: alarms.join(', '),
    ScrapesVanished: 'the server answers',
    PodsNotReady: `${pods?.ready ?? 0} of ${pods?.wanted ?? 0} pods are Ready`,
  }[evidence];
  return `${fall} where ${usual}, and ${why}`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
