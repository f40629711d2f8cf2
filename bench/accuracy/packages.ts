// SPDX-License-Identifier: Apache-2.0
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import initMstl, { MSTL } from '@bsull/augurs/mstl';
import initProphet, { Prophet } from '@bsull/augurs/prophet';
import type { ProphetOptions } from '@bsull/augurs/prophet';
import { at } from '../../src/series/time-series.ts';
import type { TimeSeries } from '../../src/series/time-series.ts';
import type { Reference } from './references.ts';
import { daySeconds, timeOf } from './traces.ts';

type Optimizer = ProphetOptions['optimizer'];

export const stlName = 'STL + ETS';
export const prophetName = 'Prophet';

/** Version of the package that gives both. */
export const packageVersion = readVersion();

let started: Promise<unknown> | undefined;
let optimizer: Optimizer | undefined;

/**
 * Makes the packages ready, once in a process. Prophet needs Stan's optimiser, of the package
 * @bsull/augurs-prophet-wasmstan, whose main file is `wasmstan`, if it is not installed here; without it there is no
 * Prophet.
 */
export async function startPackages(wasmstan: string | undefined): Promise<void> {
  started ??= start(wasmstan);
  await started;
}

async function start(wasmstan: string | undefined): Promise<void> {
  await initMstl({ module_or_path: readFileSync(wasmOf('@bsull/augurs/mstl')) });
  await initProphet({ module_or_path: readFileSync(wasmOf('@bsull/augurs/prophet')) });
  const from = wasmstan === undefined ? installed('@bsull/augurs-prophet-wasmstan') : pathToFileURL(wasmstan).href;
  if (from === undefined) return;
  const module: { optimizer: Optimizer } = await import(from);
  optimizer = module.optimizer;
}

function wasmOf(name: string): string {
  return fileURLToPath(import.meta.resolve(name)).replace(/\.js$/, '_bg.wasm');
}

function installed(name: string): string | undefined {
  try {
    const url = import.meta.resolve(name);
    return existsSync(fileURLToPath(url)) ? url : undefined;
  } catch {
    return undefined;
  }
}

function readVersion(): string {
  const file = new URL('package.json', import.meta.resolve('@bsull/augurs'));
  const { version }: { version: string } = JSON.parse(readFileSync(file, 'utf8'));
  return version;
}

/** The references that packages give, by name. */
export function packageReferences(): Record<string, Reference> {
  return { [stlName]: stlEts, ...(optimizer === undefined ? {} : { [prophetName]: prophet }) };
}

/** STL with the day and, from two whole weeks on, the week; automatic ETS on the rest. */
function stlEts(grid: TimeSeries, index: number, steps: number): Float64Array {
  const day = Math.round(daySeconds / grid.stepSeconds);
  const history = filled(grid.values.subarray(0, index), day);
  const periods = [day, 7 * day].filter((period) => history.length >= 2 * period);
  const model = MSTL.ets(periods, { impute: false });
  try {
    model.fit(history);
    return Float64Array.from(model.predict(steps).point);
  } catch {
    // What the package cannot fit gets its simplest model, the last value.
    return new Float64Array(steps).fill(history.at(-1) ?? Number.NaN);
  } finally {
    model.free();
  }
}

/** Prophet as it is without options. */
function prophet(grid: TimeSeries, index: number, steps: number): Float64Array {
  if (optimizer === undefined) return new Float64Array(steps).fill(Number.NaN);
  const ds: number[] = [];
  const y: number[] = [];
  for (let place = 0; place < index; place += 1) {
    if (Number.isNaN(at(grid.values, place))) continue;
    ds.push(timeOf(grid, place));
    y.push(at(grid.values, place));
  }
  const model = new Prophet({ optimizer, uncertaintySamples: 0 });
  try {
    model.fit({ ds, y });
    const ahead = Array.from({ length: steps }, (_, row) => timeOf(grid, index + row));
    return Float64Array.from(model.predict({ ds: ahead }).yhat.point);
  } finally {
    model.free();
  }
}

/** Gaps are filled with the same time a day before, or the last value: the package needs every point. */
function filled(values: Float64Array, day: number): Float64Array {
  const whole = Float64Array.from(values);
  let last = whole.find((value) => !Number.isNaN(value)) ?? 0;
  for (const [place, value] of whole.entries()) {
    const yesterday = at(whole, place - day);
    if (Number.isNaN(value)) whole[place] = Number.isNaN(yesterday) ? last : yesterday;
    last = at(whole, place);
  }
  return whole;
}
