// SPDX-License-Identifier: Apache-2.0
// The ensemble behind `headstart detect`. Everything here goes forward in time: a score uses the rows up to its own.
import type { Sample } from '../../series/time-series.ts';
import { localCalendar } from '../../series/calendar.ts';
import { median } from '../robust.ts';
import { createLearnedNormal } from './learned.ts';
import { createNovelty } from './novelty.ts';
import { detectorNames, rarity } from './rarity.ts';
import type { DetectorName } from './rarity.ts';
import { createPeriodForecast, PastSamples } from './residual.ts';
import { createRestPeriod } from './rest.ts';
import { createRobustZ } from './robust-z.ts';
import { createShapeNovelty } from './shape.ts';

const daySeconds = 86_400;
const days = 4;
const weeks = 3;

/** The combined rarity from which on a row is an anomaly. */
const anomalyRarity = 2.02;

/** A score from here on is an anomaly. */
export const anomalyScore = 0.5;

/** Of the mean of the detectors' rarities: high, so that one sure detector counts for more than many unsure ones. */
const power = 4;

/** So many first samples score 0: there is nothing yet to be unlike. */
const warmUpSamples = 100;

/** Values that the unit of the logarithm is the median of: the same detections in any unit. */
const unitValues = 100;

/** What the ensemble makes of one row. */
export interface AnomalyScore {
  /** 0 to 1; from 0.5 on an anomaly. Of an anomaly that goes on only the first row has so much. */
  readonly score: number;
  /** The same without regard to what was reported shortly before: says how long an anomaly lasts. */
  readonly surprise: number;
  /** How rare what each detector saw is: 3 is once in a thousand rows. */
  readonly rarities: Readonly<Record<DetectorName, number>>;
}

/** Follows one series. */
export interface AnomalyDetector {
  /** Samples come in the order of time; a NaN value is a missing sample and scores 0. */
  observe(sample: Sample): AnomalyScore;
  /** What the detectors themselves say of a sample, before it is made comparable. */
  measure(sample: Sample): Readonly<Record<DetectorName, number>>;
}

/** @param timeZone IANA zone in which days are counted */
export function createAnomalyDetector({ timeZone }: { readonly timeZone: string }): AnomalyDetector {
  const measure = createMeasures(timeZone);
  const rest = createRestPeriod(anomalyRarity);
  let seen = 0;
  return {
    measure,
    observe: (sample) => {
      const measures = measure(sample);
      const rarities = mapValues(measures, (detector, value) => rarity(detector, value));
      seen += 1;
      const combined = seen > warmUpSamples ? combine(Object.values(rarities)) : 0;
      return { score: rest.damp(combined, toScore(combined)), surprise: toScore(combined), rarities };
    },
  };
}

/** The names are all of them, in their order. */
function mapValues(
  values: Readonly<Record<DetectorName, number>>,
  change: (name: DetectorName, value: number) => number,
): Readonly<Record<DetectorName, number>> {
  const changed = { ...values };
  for (const name of Object.keys(detectorNames) as DetectorName[]) changed[name] = change(name, values[name]);
  return changed;
}

/** Power mean. */
function combine(rarities: readonly number[]): number {
  return (rarities.reduce((total, value) => total + value ** power, 0) / rarities.length) ** (1 / power);
}

/** 0.5 for the rarity from which on a row is an anomaly. */
function toScore(combined: number): number {
  return combined / (combined + anomalyRarity);
}

function createMeasures(timeZone: string): AnomalyDetector['measure'] {
  const calendar = localCalendar(timeZone);
  const past = new PastSamples();
  const [day, week] = [createPeriodForecast(past, daySeconds, days), createPeriodForecast(past, 7 * daySeconds, weeks)];
  const [level, mean4, logMean16, shape] = [createNovelty(), createNovelty(4), createNovelty(16), createShapeNovelty()];
  const [dayNovelty, day4Novelty, week4Novelty] = [createNovelty(1), createNovelty(4), createNovelty(4)];
  const [robustZ, learned] = [createRobustZ(), createLearnedNormal(7)];
  const [values, dayResiduals, weekResiduals] = [new Recent(16), new Recent(4), new Recent(4)];
  const unit = createUnit();
  return ({ timestamp, value }) => {
    if (!Number.isFinite(value)) return silent;
    const time = timestamp + calendar.offsetSeconds(timestamp);
    const [dayResidual, weekResidual] = [value - day.predict(time), value - week.predict(time)];
    past.add(time, value);
    values.push(value);
    dayResiduals.push(dayResidual);
    weekResiduals.push(weekResidual);
    const [last4, last16, day4] = [values.mean(4), values.mean(16), dayResiduals.mean(4)];
    const slope = value - values.back(4);
    const { forest, svm } = learned.observe([value, last4, last16, dayResidual, day4, values.deviation(8), slope]);
    return {
      level: level.observe(value),
      'mean-4': mean4.observe(last4),
      'log-mean-16': logMean16.observe(unit(value, last16)),
      shape: shape.observe(value),
      'day-residual': dayNovelty.observe(dayResidual),
      'day-residual-4': day4Novelty.observe(day4),
      'week-residual-4': week4Novelty.observe(weekResiduals.mean(4)),
      'robust-z': robustZ.observe(day4),
      'isolation-forest': forest,
      'one-class-svm': svm,
    };
  };
}

const silent: Readonly<Record<DetectorName, number>> = {
  level: 0,
  'mean-4': 0,
  'log-mean-16': 0,
  shape: 0,
  'day-residual': 0,
  'day-residual-4': 0,
  'week-residual-4': 0,
  'robust-z': 0,
  'isolation-forest': 0,
  'one-class-svm': 0,
};

/** A logarithm of both signs, in units of the median size of the first values; NaN until that is known. */
function createUnit(): (value: number, mean: number) => number {
  const first: number[] = [];
  let size = Number.NaN;
  return (value, mean) => {
    if (Number.isNaN(size)) {
      first.push(Math.abs(value));
      if (first.length === unitValues) size = median(first) || Math.max(...first) || Number.NaN;
      if (first.length === unitValues && Number.isNaN(size)) first.length = 0;
    }
    return Math.sign(mean) * Math.log1p(Math.abs(mean) / size);
  };
}

/** The last values, newest last. */
class Recent {
  readonly #values: number[] = [];
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  push(value: number): void {
    this.#values.push(value);
    if (this.#values.length > this.#size) this.#values.shift();
  }

  /** The value so many before the last; NaN before the first. */
  back(steps: number): number {
    return this.#values.at(-1 - steps) ?? Number.NaN;
  }

  /** NaN for fewer than `count` values, or a NaN among them. */
  mean(count: number): number {
    let total = this.#values.length < count ? Number.NaN : 0;
    for (let index = 0; index < count; index += 1) total += this.back(index);
    return total / count;
  }

  /** Standard deviation of the last values, likewise. */
  deviation(count: number): number {
    const mean = this.mean(count);
    let total = 0;
    for (let index = 0; index < count; index += 1) total += (this.back(index) - mean) ** 2;
    return Math.sqrt(total / count);
  }
}
