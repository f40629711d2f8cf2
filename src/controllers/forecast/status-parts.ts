// SPDX-License-Identifier: Apache-2.0
import { isDeepStrictEqual } from 'node:util';
import type { DemandForecastStatus } from '../../api/v1alpha1/demand-forecast.ts';

/** What is applied in every loop: small, and needed fresh by the metrics replicas. */
type FastStatus = Pick<DemandForecastStatus, 'observedGeneration' | 'observed' | 'forecast'>;
/** What explains it: applied only when it says something new. */
export type SlowStatus = Omit<DemandForecastStatus, keyof FastStatus>;

/** Numbers that waver with each loop (inside messages, losses, scores) are written down at least this often. */
const refreshSeconds = 600;

/** The two parts of a status; each has a field manager of its own. */
export function splitStatus(status: DemandForecastStatus): { readonly fast: FastStatus; readonly slow: SlowStatus } {
  const { observedGeneration, observed, forecast, ...slow } = status;
  const fast = {
    ...(observedGeneration === undefined ? {} : { observedGeneration }),
    ...(observed === undefined ? {} : { observed }),
    ...(forecast === undefined ? {} : { forecast }),
  };
  return { fast, slow };
}

/**
 * Whether the slow part must be applied: always the first time (`writtenSeconds` is undefined), so that its fields have
 * their owner before the other manager lets go of them; when anything but wavering numbers differs from what stands;
 * and when only those differ, ten minutes after the last time. Times are epoch seconds.
 */
export function mustWriteSlow(
  { slow, standing }: { readonly slow: SlowStatus; readonly standing: SlowStatus },
  writtenSeconds: number | undefined,
  now: number,
): boolean {
  if (writtenSeconds === undefined) return true;
  if (isDeepStrictEqual(slow, standing)) return false;
  return Math.abs(now - writtenSeconds) >= refreshSeconds || !isDeepStrictEqual(steady(slow), steady(standing));
}

/** The slow part without the numbers that waver. */
function steady({
  conditions = [],
  signals = [],
  exclusions,
  model,
  accuracy,
  history,
  lead,
  hpa,
}: SlowStatus): unknown {
  return {
    hpa,
    signals: signals.map(({ name, value, normalLow, normalHigh }) => ({
      name,
      isHigh: Number(value) > Number(normalHigh),
      isLow: Number(value) < Number(normalLow),
    })),
    exclusions,
    conditions: conditions.map(({ message, ...rest }) => ({ ...rest, message: withoutNumbers(message) })),
    lead: lead && { p50: lead.p50, p90: lead.p90, source: lead.source },
    model: model && { ...model, candidates: model.candidates.map(({ name }) => name) },
    hasAccuracy: accuracy !== undefined,
    history: history && { have: withoutNumbers(history.have), need: history.need },
  };
}

/** `140 at 2026-09-01T12:00:30Z` and `1.5e+3 at …` become the same text as any other number and time. */
function withoutNumbers(text: string): string {
  return text.replaceAll(/\d+(?:\.\d+)?(?:e[+-]?\d+)?/g, '#');
}
