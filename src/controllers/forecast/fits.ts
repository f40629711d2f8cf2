// SPDX-License-Identifier: Apache-2.0
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import type { Clock } from '../../base/clock.ts';
import { errorMessage } from '../../base/errors.ts';
import type { FitInput } from '../../forecast/fit.ts';
import type { ForecasterState } from '../../forecast/forecaster.ts';
import type { CannotFit } from '../../forecast/model.ts';
import type { DueFit, FitFailure } from '../../forecast/refit.ts';
import type { Learnt } from './learnt.ts';

type FitAnswer = ForecasterState | CannotFit | FitFailure;

/** Makes a fit in another thread; never rejects. Urgent ones go first. */
export type MakeFit = (input: () => FitInput, urgency: { readonly isUrgent: boolean }) => Promise<FitAnswer>;

/** What came of a fit. */
export interface FitObservation {
  readonly namespace: string;
  readonly name: string;
  /** `Fitted`, `CannotFit` (too little to learn from), or `Failed` (the thread died, or it took too long). */
  readonly outcome: 'Fitted' | 'CannotFit' | 'Failed';
  /** From the beginning of its turn on. */
  readonly seconds: number;
  /** Why, when it failed; it is tried again in ten minutes. */
  readonly message?: string;
}

interface FitContext {
  readonly clock: Clock;
  readonly fit?: MakeFit;
  readonly onFit?: (fit: FitObservation) => void;
}

/**
 * Makes the fit that is due, if one is. A forecast without a fit waits for it; one that has a fit goes on with that one
 * meanwhile, and takes the new one when it looks next.
 */
export async function makeFit(context: FitContext, forecast: DemandForecast, learnt: Learnt): Promise<void> {
  const { clock, fit } = context;
  if (fit === undefined) return;
  const due = learnt.takeFit(forecast, clock.nowMs() / 1000);
  if (due === undefined) return;
  const made = follow({ ...context, fit }, forecast, due);
  if (due.isAwaited) await made;
}

async function follow(
  { clock, fit, onFit }: FitContext & { readonly fit: MakeFit },
  { metadata }: DemandForecast,
  due: DueFit,
): Promise<void> {
  let startMs = clock.nowMs();
  const input = (): FitInput => {
    startMs = clock.nowMs();
    return due.input();
  };
  const answer = settle(due, await fit(input, { isUrgent: due.isAwaited }), clock.nowMs() / 1000);
  const { namespace, name } = metadata;
  const seconds = (clock.nowMs() - startMs) / 1000;
  onFit?.({
    namespace,
    name,
    outcome: outcomes[answer.kind],
    seconds,
    ...(answer.kind === 'failed' ? { message: answer.message } : {}),
  });
}

const outcomes = { 'forecaster-state': 'Fitted', 'cannot-fit': 'CannotFit', failed: 'Failed' } as const;

/** An answer that cannot be taken is a failure like any other. */
function settle(due: DueFit, answer: FitAnswer, nowSeconds: number): FitAnswer {
  try {
    due.settle(answer, nowSeconds);
    return answer;
  } catch (error) {
    const failure: FitFailure = { kind: 'failed', message: `the fit cannot be used: ${errorMessage(error)}` };
    due.settle(failure, nowSeconds);
    return failure;
  }
}
