// SPDX-License-Identifier: Apache-2.0

/** What was known of one step. NaN or undefined: not known. */
export interface IncidentEvidence {
  /** Epoch seconds at which the step begins. */
  readonly timestamp: number;
  /** Of the anomaly detector: 0.5 and more is unusual, as long as it lasts. */
  readonly surprise?: number;
  /** Demand over its forecast; only a fall is an incident, a rise is demand. */
  readonly demandRatio?: number;
  /** Failed over all requests, 0 to 1. */
  readonly errorRate?: number;
  readonly readyPods?: number;
  readonly wantedPods?: number;
}

/** Demand of this time is not to be learnt; the end is not part of it. */
export interface IncidentWindow {
  readonly start: number;
  readonly end: number;
  /** What spoke for an incident, in the order of time. */
  readonly reasons: readonly IncidentReason[];
}

export type IncidentReason = 'errors' | 'pods-not-ready' | 'demand-vanished';

export interface IncidentOptions {
  readonly stepSeconds: number;
  /** Steps before the first sign and after the last one that belong to the incident too; default 2. */
  readonly marginSteps?: number;
  /** Signs no further apart are one incident; default 15 min. */
  readonly joinSeconds?: number;
}

const unusual = 0.5;
const highErrorRate = 0.05;
const lowReadyShare = 0.5;
const fallenRatio = 0.7;
const vanishedRatio = 0.1;

/**
 * The windows to keep out of training. A step is a sign of an incident when demand fell away from its forecast, or is
 * unusual, while many requests fail or many pods are not ready; or when nearly nothing of the demand is left although it
 * is unusual. High demand alone never is: it is what is to be learnt.
 * @param evidence in the order of time
 */
export function incidentWindows(evidence: readonly IncidentEvidence[], options: IncidentOptions): IncidentWindow[] {
  const { stepSeconds, marginSteps = 2, joinSeconds = 900 } = options;
  const margin = marginSteps * stepSeconds;
  const windows: IncidentWindow[] = [];
  for (const step of evidence) {
    const reason = reasonOf(step);
    if (reason === undefined) continue;
    const next = { start: step.timestamp - margin, end: step.timestamp + stepSeconds + margin, reasons: [reason] };
    const last = windows.at(-1);
    if (last === undefined || next.start - last.end > joinSeconds) {
      windows.push(next);
      continue;
    }
    const reasons = last.reasons.includes(reason) ? last.reasons : [...last.reasons, reason];
    windows[windows.length - 1] = { start: last.start, end: Math.max(last.end, next.end), reasons };
  }
  return windows;
}

function reasonOf(step: IncidentEvidence): IncidentReason | undefined {
  const { surprise = 0, demandRatio = Number.NaN, errorRate = 0 } = step;
  const odd = surprise >= unusual;
  if (!odd && !(demandRatio < fallenRatio)) return undefined;
  // Demand that rose is demand, whatever else goes on.
  if (demandRatio > 1) return undefined;
  if (errorRate > highErrorRate) return 'errors';
  if (podsNotReady(step)) return 'pods-not-ready';
  return odd && demandRatio < vanishedRatio ? 'demand-vanished' : undefined;
}

function podsNotReady({ readyPods = Number.NaN, wantedPods = Number.NaN }: IncidentEvidence): boolean {
  return wantedPods > 0 && readyPods < lowReadyShare * wantedPods;
}
